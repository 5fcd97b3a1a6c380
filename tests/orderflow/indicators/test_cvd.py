"""CVD candles: chained, anchored, and never counted twice."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from flow_tape import MINUTES, flows
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import flow
from orderflow.errors import MergeError
from orderflow.indicators.cvd import UTC_DAY, Anchor, candles, session_anchor
from orderflow.indicators.sessions import NAMED
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window


@given(MINUTES)
def test_chained_sums(tape: Any) -> None:
    """Each candle opens at the close before; closes are the running sum of delta."""
    bars = flows(tape)
    found = candles(bars)
    assert [one.close_lots for one in found] == list(accumulate(bar.delta_lots for bar in bars))
    assert [one.open_lots for one in found] == [0, *(one.close_lots for one in found[:-1])]
    assert all((c.low_lots or 0) <= min(c.open_lots, c.close_lots) for c in found)
    assert all((c.high_lots or 0) >= max(c.open_lots, c.close_lots) for c in found)


@given(MINUTES, st.integers(1, 11))
def test_no_look_ahead(tape: Any, cut: int) -> None:
    """Without the future the past is the same."""
    bars = flows(tape)
    assert candles(bars[:cut]) == candles(bars)[:cut]


@given(MINUTES)
def test_grouping(tape: Any) -> None:
    """One long candle is the hull of the short ones."""
    bars = flows(tape)
    total = bars[0]
    for bar in bars[1:]:
        total = flow.then(total, bar)
    (one,), many = candles([total]), candles(bars)
    assert one.close_lots == many[-1].close_lots
    assert one.high_lots == max(c.high_lots or 0 for c in many)
    assert one.low_lots == min(c.low_lots or 0 for c in many)


def test_defect_same_window_twice() -> None:
    """Defect 4: computing a window twice gave 60, then 120. Here it gives 60 both times."""
    bars = [bar_of([(100, 60, True)]).flow]
    assert candles(bars)[-1].close_lots == candles(bars)[-1].close_lots == 60
    with pytest.raises(MergeError, match="each bar once"):
        candles(bars + bars)


def test_utc_day_resets() -> None:
    """The sum starts again at 00:00 UTC and says so."""
    bars = flows([[(1, 5, True)], [(1, 7, True)], [(1, 1, False)]], DAY_MS - 2 * MINUTE_MS)
    found = candles(bars, UTC_DAY)
    assert [(c.anchor_ms, c.since_ms, c.close_lots) for c in found] == [
        (0, DAY_MS - 2 * MINUTE_MS, 5),
        (0, DAY_MS - 2 * MINUTE_MS, 12),
        (DAY_MS, DAY_MS, -1),
    ]


def test_sessions_and_custom() -> None:
    """Sessions reset at each opening; before the first one there is no sum."""
    bars = flows([[(1, 1, True)]] * 4)
    sessions = Anchor("session", (MINUTE_MS, 3 * MINUTE_MS))
    assert [(c.start_ms, c.close_lots) for c in candles(bars, sessions)] == [
        (MINUTE_MS, 1),
        (2 * MINUTE_MS, 2),
        (3 * MINUTE_MS, 1),
    ]
    assert candles(bars, Anchor("custom", (HOUR_MS,))) == []
    with pytest.raises(MergeError, match="shorter bars"):
        candles(bars, Anchor("custom", (90_000,)))


def test_session_openings_follow_the_clock() -> None:
    """New York opens at 13:00 UTC before 2025-03-09 and at 12:00 UTC from then on."""
    monday = 1_741_564_800_000
    week = Window(monday - 3 * DAY_MS, monday + DAY_MS)
    anchor = session_anchor(NAMED["us"], week)
    hours = [reset % DAY_MS // HOUR_MS for reset in anchor.resets_ms]
    assert (hours[0], hours[-1]) == (13, 12)
    assert anchor.before(week.start_ms) is not None
    assert anchor.before(monday + 12 * HOUR_MS) == monday + 12 * HOUR_MS
    bars = flows([[(1, 5, True)], [(1, 7, True)]], monday + 12 * HOUR_MS - MINUTE_MS)
    assert [c.close_lots for c in candles(bars, anchor)] == [5, 7]


def test_merged_venues() -> None:
    """Two venues together have a close, but no high and low."""
    both = flow.beside(bar_of([(1, 3, True)]).flow, bar_of([(1, 5, False)]).flow)
    (found,) = candles([both])
    assert (found.close_lots, found.high_lots, found.low_lots) == (-2, None, None)
