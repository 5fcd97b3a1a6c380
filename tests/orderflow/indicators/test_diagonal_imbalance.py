"""Diagonal imbalances: volumes, the dense grid, the right row; stacks of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orderflow.indicators.diagonal_imbalance import Imbalance, diagonal_imbalances, minimum_of
from orderflow.indicators.stacked_imbalance import Stack, stacked_imbalances

Rows = dict[int, tuple[int, int, int]]
ROWS = st.dictionaries(
    st.integers(-9, 9), st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 9))
)


@given(ROWS, st.integers(100, 500), st.integers(1, 30))
def test_against_the_rule(rows: Rows, ratio_pct: int, least: int) -> None:
    """Every row of the dense range is judged by the rule as written."""

    def side(row: int, column: int) -> int:
        return rows.get(row, (0, 0, 0))[column]

    expected = set()
    for row in range(-10, 11):
        buy, sell = side(row, 0), side(row, 1)
        if buy >= least and buy >= side(row - 1, 1) * ratio_pct / 100:
            expected.add((row, "buy"))
        if sell >= least and sell >= side(row + 1, 0) * ratio_pct / 100:
            expected.add((row, "sell"))
    found = diagonal_imbalances(rows, ratio_pct=ratio_pct, minimum_lots=least)
    assert {(i.row, i.side) for i in found} == expected
    assert [i.row for i in found] == sorted(i.row for i in found)


@given(ROWS)
def test_mirror(rows: Rows) -> None:
    """Upside down, buys become sells at the mirrored row."""
    upside_down = {-row: (sell, buy, count) for row, (buy, sell, count) in rows.items()}
    swap = {"buy": "sell", "sell": "buy"}
    one, other = diagonal_imbalances(rows), diagonal_imbalances(upside_down)
    assert {(-i.row, swap[i.side], i.own_lots) for i in one} == {
        (i.row, i.side, i.own_lots) for i in other
    }


def test_default_minimum() -> None:
    """The median row that traded, by nearest rank; at least one lot."""
    assert minimum_of({1: (3, 2, 1), 2: (0, 0, 0), 3: (9, 0, 1)}) == 5
    assert minimum_of({}) == 1
    assert diagonal_imbalances({}) == []
    assert diagonal_imbalances({1: (0, 0, 1)}, minimum_lots=0) == []


def test_defect_counts_are_no_volumes() -> None:
    """freqtrade compares numbers of trades: one trade of 90 against thirty of 1 finds nothing."""
    rows = {1: (0, 30, 30), 2: (90, 0, 1)}
    assert diagonal_imbalances(rows, minimum_lots=40) == [Imbalance(2, "buy", 90, 30)]


def test_defect_row_of_the_aggressor() -> None:
    """freqtrade reports a buy imbalance one row too low: at 2 instead of 3."""
    rows = {2: (0, 10, 1), 3: (30, 0, 1)}
    assert [(i.row, i.side) for i in diagonal_imbalances(rows, minimum_lots=20)] == [(3, "buy")]


def test_defect_neighbours_are_dense() -> None:
    """Row 9 isn't compared with row 1 across empty rows, and the empty opponent is flagged."""
    (found,) = diagonal_imbalances({1: (0, 100, 1), 9: (10, 0, 1)}, minimum_lots=5)[1:]
    assert (found.row, found.opponent_lots, found.zero_opponent) == (9, 0, True)


def test_defect_same_row_is_no_opponent() -> None:
    """chart-patterns compares both sides of one row, and reads 300 % as four times."""
    rows = {1: (30, 30, 2), 0: (0, 10, 1)}
    assert (1, "buy") in {(i.row, i.side) for i in diagonal_imbalances(rows, minimum_lots=20)}


@given(ROWS, st.integers(1, 4))
def test_stacks(rows: Rows, least: int) -> None:
    """Stacks are the longest runs: disjoint, of one side, at least as long as asked for."""
    found = diagonal_imbalances(rows, minimum_lots=1)
    stacks = stacked_imbalances(found, least=least)
    for side in ("buy", "sell"):
        own = {i.row: i for i in found if i.side == side}
        for stack in (s for s in stacks if s.side == side):
            inside = range(stack.low_row, stack.high_row + 1)
            assert stack.rows >= least
            assert all(row in own for row in inside)
            assert stack.low_row - 1 not in own
            assert stack.high_row + 1 not in own
            assert stack.own_lots == sum(own[row].own_lots for row in inside)
    assert sum(1 for i in found) >= sum(stack.rows for stack in stacks)


def test_a_long_run_is_one_stack() -> None:
    """Five rows are one stack, not every window of three."""
    found = [Imbalance(row, "buy", 9, row % 2) for row in range(5)]
    assert stacked_imbalances(found) == [Stack("buy", 0, 4, 45, 2, 3)]
    assert stacked_imbalances([]) == []
