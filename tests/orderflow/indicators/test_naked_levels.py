"""Untested levels: touched once, by the right bar, the same in any grouping."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow import flow
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.indicators.naked_levels import (
    EMPTY,
    Ledger,
    Level,
    closed,
    forgotten,
    passed,
    row_level,
    settled,
    then,
)

STEP_MS = 60_000
DAY = 4
"""Bars of a session in these tests."""
prices = st.one_of(st.none(), st.tuples(st.integers(1, 30), st.integers(0, 4)))


def bar(place: int, found: tuple[int, int] | None, width: int = 1) -> FlowBar:
    start = place * STEP_MS
    plain = FlowBar(start, start + width * STEP_MS, Decimal(1), Decimal(1))
    if found is None:
        return plain
    low, height = found
    return FlowBar(
        start,
        start + width * STEP_MS,
        Decimal(1),
        Decimal(1),
        buy_lots=1,
        records=1,
        low_ticks=low,
        high_ticks=low + height,
    )


def level(place: int, low: int, high: int | None = None) -> Level:
    return Level("poc", str(place), low, low if high is None else high, place * STEP_MS)


def play(found: list[tuple[int, int] | None], start: int = 0) -> Ledger:
    """Bars one by one; after every DAY bars a session closes at the middle of its last bar."""
    ledger = EMPTY
    for place, one in enumerate(found, start):
        ledger = passed(ledger, bar(place, one))
        if (place + 1) % DAY == 0 and one is not None:
            ledger = closed(ledger, [level(place + 1, one[0] + one[1] // 2)])
    return ledger


bars = st.lists(prices, max_size=24)


@given(bars)
def test_a_level_is_naked_until_the_range_since_reaches_it(
    found: list[tuple[int, int] | None],
) -> None:
    """Every level is untested or touched once, by the bar that a plain scan finds."""
    ledger = play(found)
    levels = {
        place + 1: one[0] + one[1] // 2
        for place, one in enumerate(found)
        if (place + 1) % DAY == 0 and one is not None
    }
    assert len(ledger.untested) + len(ledger.touches) == len(levels)
    touched = {touch.since_ms: touch.start_ms for touch in ledger.touches}
    for since, price in levels.items():
        first, low, high = None, 10**9, -1
        for place, one in enumerate(found[since:], since):
            if one is not None:
                low, high = min(low, one[0]), max(high, one[0] + one[1])
            if low <= price <= high and first is None:
                first = place * STEP_MS
        assert touched.get(since * STEP_MS) == first


@given(bars, st.integers(0, 24), st.integers(0, 24))
def test_then_in_any_grouping(found: list[tuple[int, int] | None], one: int, other: int) -> None:
    """Three spans joined either way equal bar by bar."""
    low, high = sorted((one, other))
    parts = [play(found[:low]), play(found[low:high], low), play(found[high:], high)]
    whole = play(found)
    assert then(then(parts[0], parts[1]), parts[2]) == whole
    assert then(parts[0], then(parts[1], parts[2])) == whole
    assert then(EMPTY, whole) == then(whole, EMPTY) == whole


@given(bars, st.integers(0, 24))
def test_no_look_ahead(found: list[tuple[int, int] | None], cut: int) -> None:
    """Touches of the past do not change with the future; a checkpoint goes on the same."""
    whole, past = play(found), play(found[:cut])
    assert whole.touches[: len(past.touches)] == past.touches
    rest = play(found[cut:], cut)
    assert then(settled(past), rest).untested == whole.untested


@given(bars)
def test_longer_bars_touch_the_same_levels(found: list[tuple[int, int] | None]) -> None:
    """Pairs of bars merged give the same untested levels: a jump is a touch at any bar length."""
    even = found[: len(found) // 2 * 2]
    fine = closed(EMPTY, [level(0, 12), level(0, 20, 22)])
    coarse = fine
    for place in range(0, len(even), 2):
        pair = [bar(place, even[place]), bar(place + 1, even[place + 1])]
        for one in pair:
            fine = passed(fine, one)
        coarse = passed(coarse, flow.then(*pair))
    assert fine.untested == coarse.untested


def test_edges() -> None:
    """The edge of a row is a touch, a level opened away from stays naked, empty bars test none."""
    ledger = closed(EMPTY, [row_level("vah", "monday", 20, 5, 0)])
    assert (ledger.untested[0].low_ticks, ledger.untested[0].high_ticks) == (100, 104)
    away = passed(passed(ledger, bar(0, None)), bar(1, (105, 3)))
    assert away.untested[0].lowest_ticks == 105
    back = passed(away, bar(2, (104, 0)))
    assert back.untested == ()
    assert (back.touches[0].kind, back.touches[0].start_ms) == ("vah", 2 * STEP_MS)
    assert forgotten(away, 1).untested == ()
    assert forgotten(away, 0) == away


def test_disorder_is_refused() -> None:
    """Bars out of order, sessions closed late or within a bar, ledgers that overlap: errors."""
    seen = passed(EMPTY, bar(1, (5, 0)))
    with pytest.raises(MergeError):
        passed(seen, bar(0, (5, 0)))
    with pytest.raises(MergeError):
        closed(seen, [level(1, 5)])
    with pytest.raises(MergeError):
        passed(closed(EMPTY, [level(1, 5)]), bar(0, (5, 0), width=2))
    with pytest.raises(MergeError):
        then(seen, passed(EMPTY, bar(0, (5, 0))))
