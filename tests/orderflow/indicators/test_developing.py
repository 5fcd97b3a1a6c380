"""Developing profile: no look-ahead, equal to the profile of what was there."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow import footprint
from orderflow.errors import MergeError
from orderflow.footprint import FootprintBar
from orderflow.indicators.developing import Developing, changes, developing
from orderflow.indicators.volume_profile import METHODS, Method, profile
from orderflow.timeframe import MINUTE_MS

minutes = st.lists(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9), st.booleans()), max_size=5),
    min_size=1,
    max_size=12,
)


def bars_of(found: list[list[Trade]]) -> list[FootprintBar]:
    bars, first = [], 1
    for place, trades in enumerate(found):
        bars.append(bar_of(trades, place * MINUTE_MS, first))
        first += len(trades)
    return bars


@given(minutes, st.sampled_from(METHODS))
def test_every_point_is_the_profile_so_far(found: list[list[Trade]], method: Method) -> None:
    """After bar k the values are the profile of bars 1 to k merged; the last that of the window."""
    bars = bars_of(found)
    by_end = {point.end_ms: point for point in developing(bars, method=method)}
    for place in range(len(bars)):
        merged = footprint.then(bars[: place + 1])
        expected = profile(merged.rows, method=method)
        point = by_end.get(merged.flow.end_ms)
        assert (point is None) == (expected is None)
        if point is not None and expected is not None:
            assert (point.poc_row, point.val_row, point.vah_row) == (
                expected.poc_row,
                expected.val_row,
                expected.vah_row,
            )
            assert point.value_area_lots == expected.value_area_lots
            assert point.total_lots == expected.total_lots


@given(minutes, st.integers(0, 12))
def test_no_look_ahead(found: list[list[Trade]], cut: int) -> None:
    """Truncating the future changes nothing before it."""
    bars = bars_of(found)
    whole, truncated = developing(bars), developing(bars[:cut])
    assert whole[: len(truncated)] == truncated


@given(minutes)
def test_changes_keep_every_move(found: list[list[Trade]]) -> None:
    """The compressed points are a part of all points and start with the first."""
    points = developing(bars_of(found))
    kept = changes(points)
    assert kept[:1] == points[:1]
    assert set(map(id, kept)) <= set(map(id, points))


def test_empty_bars_repeat_and_wrong_bars_are_refused() -> None:
    """An empty bar repeats the values at its own end; disorder and mixed grids are errors."""
    first = bar_of([(5, 2, True)])
    points = developing([first, bar_of([], MINUTE_MS)])
    assert [(p.end_ms, p.poc_row) for p in points] == [(MINUTE_MS, 5), (2 * MINUTE_MS, 5)]
    assert developing([bar_of([])]) == []
    state = Developing()
    state.add(first)
    with pytest.raises(MergeError, match="time order"):
        state.add(first)
    with pytest.raises(MergeError, match="one grid"):
        state.add(msgspec.structs.replace(bar_of([], MINUTE_MS), row_size=Decimal(5)))
