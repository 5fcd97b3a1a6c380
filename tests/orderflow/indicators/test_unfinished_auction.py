"""Unfinished auctions and their completion."""

from __future__ import annotations

from typing import Any

from flow_tape import MINUTES, minutes
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow.indicators.unfinished_auction import (
    default_minimum,
    unfinished_auctions,
    unfinished_ledger,
)
from orderflow.timeframe import MINUTE_MS

BOTH_AT_TOP = [(10, 2, True), (11, 3, True), (11, 4, False)]


def test_both_sides_at_the_extreme() -> None:
    """Both sides at the high are unfinished there; one side alone is finished."""
    (found,) = unfinished_auctions(bar_of(BOTH_AT_TOP))
    assert (found.at, found.row, found.buy_lots, found.sell_lots) == ("high", 11, 3, 4)
    assert unfinished_auctions(bar_of(BOTH_AT_TOP), minimum_lots=4) == []
    assert unfinished_auctions(bar_of([])) == []


def test_wide_rows_ask_for_more() -> None:
    """On wide rows a little of both sides at the extreme is usual, and not unfinished."""
    trades = [(10, 20, True), (15, 20, False), (20, 1, False), (21, 9, True)]
    wide = bar_of(trades, row_ticks=5)
    assert default_minimum(wide) == 10
    assert unfinished_auctions(wide) == []
    assert [a.row for a in unfinished_auctions(wide, minimum_lots=1)] == [4]
    assert default_minimum(bar_of(trades)) == 1


def test_completion() -> None:
    """The first later bar that reaches the row completes it, also by jumping over it."""
    for later in ((11, 1, True), (15, 1, True)):
        bars = minutes([BOTH_AT_TOP, [(9, 1, True)], [later]])
        found = next(a for a in unfinished_ledger(bars) if a.at == "high" and a.row == 11)
        assert found.completed_ms == 3 * MINUTE_MS
    below = unfinished_ledger(minutes([BOTH_AT_TOP, [(9, 1, True)]]))
    assert [a.completed_ms for a in below] == [None]


def test_one_row() -> None:
    """A bar of one price with both sides is unfinished at both ends."""
    found = unfinished_auctions(bar_of([(5, 1, True), (5, 1, False)]))
    assert [a.at for a in found] == ["low", "high"]


@given(MINUTES, st.integers(0, 12))
def test_no_look_ahead(tape: Any, cut: int) -> None:
    """The future only completes what was open."""
    bars = minutes(tape)
    early = unfinished_ledger(bars[:cut])
    later = [a for a in unfinished_ledger(bars) if a.formed_ms <= cut * MINUTE_MS]
    assert len(early) == len(later)
    for one, other in zip(early, later, strict=True):
        known = other.completed_ms is not None and other.completed_ms <= cut * MINUTE_MS
        assert one.completed_ms == (other.completed_ms if known else None)
        assert (one.at, one.row, one.formed_ms) == (other.at, other.row, other.formed_ms)


@given(MINUTES)
def test_empty_bars_are_neutral(tape: Any) -> None:
    """A minute without trades neither forms nor completes anything."""
    bars = minutes(tape)
    assert unfinished_ledger(bars) == unfinished_ledger([b for b in bars if not b.flow.empty])
