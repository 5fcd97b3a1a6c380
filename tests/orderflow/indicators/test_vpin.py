"""VPIN: any batching, checkpoints in the middle, gaps, splits."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import DomainError
from orderflow.indicators import vpin

TRADES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1)), max_size=60)


def plain(trades: list[tuple[int, int]], size: int, buckets: int) -> Fraction | None:
    """VPIN once more: lots laid side by side and cut every `size`."""
    line = [1 if side else -1 for lots, side in trades for _ in range(lots)]
    full = [line[k : k + size] for k in range(0, len(line) - size + 1, size)][-buckets:]
    if len(full) < buckets:
        return None
    return Fraction(sum(abs(sum(bucket)) for bucket in full), size * buckets)


def fed(trades: list[tuple[int, int]], size: int, buckets: int) -> vpin.Vpin:
    """A state that got the trades at once."""
    state = vpin.new(size, buckets)
    state.add_trades([lots for lots, _ in trades], [side for _, side in trades])
    return state


@given(TRADES, st.integers(1, 30), st.integers(1, 6))
def test_against_lots_in_a_line(trades: list[tuple[int, int]], size: int, buckets: int) -> None:
    """The state equals cutting the line of all lots into buckets."""
    expected, found = plain(trades, size, buckets), fed(trades, size, buckets).value()
    assert (expected is None) == (found is None)
    if expected is not None and found is not None:
        assert abs(Fraction(found) - expected) <= Fraction(1, 10**6)


@given(TRADES, st.integers(1, 30), st.lists(st.integers(0, 60), max_size=6))
def test_any_batching(trades: list[tuple[int, int]], size: int, cuts: list[int]) -> None:
    """However the trades are batched, with sums where no bucket fills, the state is the same."""
    lots, sides = [lots for lots, _ in trades], [side for _, side in trades]
    state, other = vpin.new(size, 4), vpin.new(size, 4)
    borders = sorted({0, len(trades), *(cut for cut in cuts if cut < len(trades))})
    for start, stop in pairwise(borders):
        bought = [q if side else 0 for q, side in trades[start:stop]]
        sold = [0 if side else q for q, side in trades[start:stop]]
        if not state.add_totals(sum(bought), sum(sold)):
            state.add_trades(lots, sides, start, stop)
        other.add_columns(bought, sold)
    assert state == other == fed(trades, size, 4)


@given(TRADES, st.integers(1, 30), st.integers(0, 60))
def test_checkpoint(trades: list[tuple[int, int]], size: int, cut: int) -> None:
    """A state that was stored in the middle goes on as if nothing had been."""
    state = vpin.decode(vpin.encode(fed(trades[:cut], size, 4)))
    state.add_trades([lots for lots, _ in trades[cut:]], [side for _, side in trades[cut:]])
    assert state == fed(trades, size, 4)


def test_gap() -> None:
    """After a gap there is no value until every bucket was filled anew."""
    state = fed([(5, 1)] * 4, 5, 2)
    assert state.value() == 1
    state.gap()
    assert (state.value(), state.filled) == (None, 0)
    state.add_trades([9], [1])
    assert (state.value(), state.buy_lots) == (None, 4)
    state.add_trades([1], [0])
    assert str(state.value()) == "0.800000"


def test_split_as_public_references() -> None:
    """Split trades give 0.4 where whole trades in a bucket would give 1.0."""
    state = fed([(7, 1), (6, 0), (7, 1)], 10, 2)
    assert str(state.value()) == "0.400000"
    assert state.imbalances == [4, 4]


def test_a_huge_trade_costs_no_loop() -> None:
    """A trade of a million million buckets is one step."""
    state = fed([(10**15, 1), (1, 0)], 1_000, 50)
    assert (state.value(), state.filled, state.sell_lots) == (1, 10**12, 1)


def test_resize_from_the_next_bucket() -> None:
    """A new size leaves the unfinished bucket alone, and volumes stay with their buckets."""
    state = fed([(3, 1)], 10, 2)
    state.resize(4)
    state.add_trades([7, 4], [0, 1])
    assert state.volumes == [10, 4]
    assert state.imbalances == [4, 4]
    assert str(state.value()) == "0.571429"
    state.gap()
    state.resize(6)
    assert state.bucket_lots == 6


@given(TRADES, st.integers(1, 30), st.integers(1, 100))
def test_finer_lots(trades: list[tuple[int, int]], size: int, factor: int) -> None:
    """Counting in finer lots changes nothing else."""
    state = fed(trades, size, 3)
    value = state.value()
    state.rescale(factor)
    fine = fed([(lots * factor, side) for lots, side in trades], size * factor, 3)
    assert state == fine
    assert state.value() == value


def test_defect_flags_other_than_one_are_sells() -> None:
    """tradetropy counted flag -1 as a buy by testing bits; only 1 is a buy here."""
    state = vpin.new(100)
    state.add_trades([5, 5, 5], [1, 0, -1])
    assert (state.buy_lots, state.sell_lots) == (5, 10)


def test_refusals() -> None:
    """Sizes are positive, a trade has one side, a stored state must make sense."""
    assert vpin.bucket_of(12_345) == 246
    assert vpin.bucket_of(3) == 1
    with pytest.raises(DomainError):
        vpin.new(0)
    with pytest.raises(DomainError):
        vpin.new(2).add_columns([1], [1])
    good = msgspec.to_builtins(fed([(7, 1)], 5, 3))
    for changes in (
        {"buy_lots": 5},
        {"bucket_lots": 0},
        {"sell_lots": -1},
        {"imbalances": [9]},
        {"volumes": []},
        {"filled": 0},
        {"filled": "x"},
    ):
        with pytest.raises(DomainError, match="start a new one"):
            vpin.decode(msgspec.json.encode(good | changes))
