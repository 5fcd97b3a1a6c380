"""Decayed counts against the sum over single bars, and in any grouping."""

from __future__ import annotations

from math import exp, expm1
from typing import Any

import pytest
from flow_tape import MINUTES, flows
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import MergeError
from orderflow.indicators.trade_intensity import Intensity, then, trade_intensity
from orderflow.timeframe import MINUTE_MS


@given(MINUTES, st.integers(0, 11))
def test_sum_and_grouping(tape: Any, cut: int) -> None:
    """The recursion equals the plain sum, and halves merge, within the stated bound."""
    bars = flows(tape)
    end = len(bars) * MINUTE_MS
    whole = trade_intensity(bars, end)
    plain = sum(bar.buy_trades * exp((bar.end_ms - end) / 60_000) for bar in bars)
    assert whole.buy == pytest.approx(plain, rel=1e-12)
    left = trade_intensity(bars[:cut], min(cut, len(bars)) * MINUTE_MS)
    merged = then(left, trade_intensity(bars[cut:], end))
    assert merged.sell == pytest.approx(whole.sell, rel=1e-12)


def test_past_only() -> None:
    """A bar counts when it has ended; the state can't be asked about its past."""
    bars = flows([[(1, 1, True)], [(1, 1, True)] * 5])
    assert trade_intensity(bars, MINUTE_MS).buy == 1
    assert trade_intensity(bars, 2 * MINUTE_MS - 1).buy < 1
    assert trade_intensity([], 5) == Intensity(5)
    with pytest.raises(MergeError):
        trade_intensity(bars, 2 * MINUTE_MS).at(0)


def test_steady_pace_within_the_bound() -> None:
    """One trade a second: the rate is 1 within the error the card states for 5 s bars."""
    state = Intensity(0)
    for k in range(1, 400):
        state = then(state, Intensity(5_000 * k, buy=5, resolution_ms=5_000))
    assert 1 <= state.buy_per_s <= 1 + expm1(5 / 60)
    assert state.per_s == state.buy_per_s
    assert state.resolution_ms == 5_000
