"""Day types: each on a day made for it, mirrored, and only with an initial balance."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.flow import FlowBar
from orderflow.indicators.day_type import DayType, day_type
from orderflow.indicators.market_profile import BRACKET_MS, Range, read, time_profile

DAYS: dict[str, tuple[list[Range], int]] = {
    "normal": ([(0, 20), (2, 18), (5, 15), (6, 14)], 9),
    "normal_variation": ([(0, 10), (2, 10), (5, 14), (6, 14)], 9),
    "trend": ([(0, 5), (2, 8), (5, 12), (9, 16), (13, 20)], 19),
    "neutral_center": ([(5, 15), (5, 15), (3, 14), (6, 17)], 10),
    "neutral_extreme": ([(5, 15), (5, 15), (3, 14), (6, 17)], 17),
    "double_distribution": ([(0, 4), (0, 4), (1, 12), (10, 14), (10, 14)], 12),
}


def typed(ranges: list[Range], close_row: int) -> DayType | None:
    bars = [
        FlowBar(
            *(k * BRACKET_MS, (k + 1) * BRACKET_MS, Decimal(1), Decimal(1)),
            records=1,
            low_ticks=low,
            high_ticks=high,
        )
        for k, (low, high) in enumerate(ranges)
    ]
    found = read(time_profile(bars, 0, row_ticks=1))
    return None if found is None else day_type(found, close_row)


@pytest.mark.parametrize("name", sorted(DAYS))
def test_each_type(name: str) -> None:
    """The day made for a type is of that type, and so is its mirror image."""
    ranges, close = DAYS[name]
    found = typed(ranges, close)
    mirror = typed([(30 - high, 30 - low) for low, high in ranges], 30 - close)
    assert found is not None
    assert mirror is not None
    assert found.name == mirror.name == name
    assert found.above_balance_rows == mirror.below_balance_rows
    assert found.close_position == 1 - mirror.close_position
    assert found.balance_final


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=8), st.data()
)
def test_every_day_has_one(found: list[tuple[int, int]], data: st.DataObject) -> None:
    """A day with a first hour has exactly one type, and its evidence adds up to the range."""
    ranges = [(low, low + height) for low, height in found]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    result = typed(ranges, data.draw(st.integers(lowest, highest)))
    assert result is not None
    assert result.range_rows == (
        result.balance_rows + result.above_balance_rows + result.below_balance_rows
    )
    assert 0 <= result.close_position <= 1


def test_no_first_hour() -> None:
    """Without trades in the first hour there is no balance and no type."""
    bar = FlowBar(
        *(2 * BRACKET_MS, 3 * BRACKET_MS, Decimal(1), Decimal(1)),
        records=1,
        low_ticks=1,
        high_ticks=2,
    )
    late = read(time_profile([bar], 0, row_ticks=1))
    assert late is not None
    assert day_type(late, 1) is None
