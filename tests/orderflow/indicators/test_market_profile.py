"""Market profile: brackets merge in any order, extremes and balance as defined."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import MergeError, ValidationError
from orderflow.flow import FlowBar
from orderflow.indicators.market_profile import (
    BRACKET_MS,
    masks,
    merged,
    read,
    time_profile,
    tpo,
)
from orderflow.timeframe import MINUTE_MS

ranges = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, 40), st.integers(0, 9))), max_size=90
)


def bar(start_ms: int, found: tuple[int, int] | None, length_ms: int = MINUTE_MS) -> FlowBar:
    plain = FlowBar(start_ms, start_ms + length_ms, Decimal(1), Decimal(1))
    if found is None:
        return plain
    low, height = found
    return FlowBar(
        *(start_ms, start_ms + length_ms, Decimal(1), Decimal(1)),
        buy_lots=1,
        records=1,
        low_ticks=low,
        high_ticks=low + height,
    )


@given(ranges, st.integers(0, 90), st.integers(1, 5))
def test_any_order_and_grouping(
    found: list[tuple[int, int] | None], cut: int, row_ticks: int
) -> None:
    """Parts merged, or bars in reverse, equal all bars at once; masks count what tpo counts."""
    bars = [bar(k * MINUTE_MS, one) for k, one in enumerate(found)]
    whole = time_profile(bars, 0, row_ticks=row_ticks)
    parts = [time_profile(part, 0, row_ticks=row_ticks) for part in (bars[:cut], bars[cut:])]
    assert merged(*parts) == merged(*parts[::-1]) == whole
    assert time_profile(bars[::-1], 0, row_ticks=row_ticks) == whole
    assert {row: mask.bit_count() for row, mask in masks(whole).items()} == tpo(whole.ranges)


@given(ranges)
def test_extremes(found: list[tuple[int, int] | None]) -> None:
    """Tails begin at the extremes, single prints lie within, a poor extreme has no tail."""
    bars = [bar(k * MINUTE_MS, one) for k, one in enumerate(found)]
    profile = read(time_profile(bars, 0, row_ticks=1))
    if profile is None:
        assert all(one is None for one in found)
        return
    lowest, highest = min(profile.counts), max(profile.counts)
    assert (profile.low.row, profile.high.row) == (lowest, highest)
    for extreme in (profile.low, profile.high):
        assert not (extreme.poor and extreme.tail)
        assert extreme.poor == (profile.counts[extreme.row] >= 2)
        assert not extreme.excess or extreme.tail is not None
    for low, high in profile.single_prints:
        assert lowest < low <= high < highest
        assert {profile.counts[row] for row in range(low, high + 1)} == {1}
    if profile.balance is not None:
        assert lowest == profile.balance[0] - profile.below_balance_rows
        assert highest == profile.balance[1] + profile.above_balance_rows


def test_equals_wickra(shared: Path) -> None:
    """From bars: counts are wickra's, the balance is its two brackets, the tails are excess."""
    case = json.loads((shared / "cases" / "of14_tpo_ib.json").read_text())
    bars = [
        bar(k * BRACKET_MS, (low, high - low), BRACKET_MS)
        for k, (_, high, low, _, _) in enumerate(case["bars_o_h_l_c_v"])
    ]
    found = read(time_profile(bars, 0, row_ticks=1))
    assert found is not None
    expected = case["expected"]
    assert [float(n) for n in found.counts.values()] == expected["wickra"]["tpo_profile"][2]
    high, low = expected["wickra"]["initial_balance_2_bars_high_low"]
    assert found.balance == (low, high)
    assert found.balance_final
    assert found.above_balance_rows == 4
    assert (found.low.tail, found.high.tail) == ((100, 101), (109, 110))
    assert found.low.excess
    assert found.high.excess
    assert found.single_prints == ()


def test_single_prints_between_two_areas() -> None:
    """One bracket that runs from one area to another leaves single prints between them."""
    bars = [
        bar(k * BRACKET_MS, one, BRACKET_MS)
        for k, one in enumerate([(0, 3), (0, 3), (2, 10), (9, 4), (9, 4)])
    ]
    found = read(time_profile(bars, 0, row_ticks=1))
    assert found is not None
    assert found.single_prints == ((4, 8),)
    assert found.high.poor
    assert found.low.poor


def test_borders_and_gaps() -> None:
    """A bar over a border is refused, an empty first hour has no balance, one bracket is a tail."""
    with pytest.raises(ValidationError, match="finer bars"):
        time_profile([bar(BRACKET_MS - 1, (1, 1))], 0, row_ticks=1)
    with pytest.raises(ValidationError):
        time_profile([bar(-MINUTE_MS, (1, 1))], 0, row_ticks=1)
    late = time_profile([bar(3 * BRACKET_MS, (1, 4))], 0, row_ticks=1)
    found = read(late)
    assert found is not None
    assert (found.balance, found.balance_final) == (None, True)
    assert (found.high.tail, found.low.tail) == ((1, 5), None)
    with pytest.raises(MergeError):
        merged(late, time_profile([], 1, row_ticks=1))
    assert read(time_profile([], 0, row_ticks=1)) is None
