"""Pivots and divergences: known when confirmed, unchanged by the future."""

from __future__ import annotations

from typing import Any

import pytest
from flow_tape import MINUTES, closing, flows, without_empty
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import DomainError
from orderflow.indicators.delta_divergence import delta_divergences, pivots
from orderflow.timeframe import MINUTE_MS


def test_bearish() -> None:
    """A higher high on less CVD, known at the end of the confirming bar."""
    bars = closing(5, 9, 5, 10, 5, deltas=[1, 4, -3, 2, -1])
    (found,) = delta_divergences(bars, left=1, right=1)
    assert (found.kind, found.first_ticks, found.second_ticks) == ("bearish", 9, 10)
    assert found.cvd_change_lots == -1
    assert (found.second_ms, found.confirmed_ms) == (3 * MINUTE_MS, 5 * MINUTE_MS)


def test_bullish_and_agreement() -> None:
    """A lower low on more CVD is bullish; with CVD lower too nothing diverges."""
    bars = closing(9, 5, 9, 4, 9, deltas=[1, -4, 3, -2, 1])
    assert [d.kind for d in delta_divergences(bars, left=1, right=1)] == ["bullish"]
    agreeing = closing(9, 5, 9, 4, 9, deltas=[1, -4, 1, -2, 1])
    assert delta_divergences(agreeing, left=1, right=1) == []


def test_reach_and_ties() -> None:
    """Pivots too far apart aren't compared; of equal highs the first is the pivot."""
    bars = closing(5, 9, 5, 10, 5, deltas=[1, 4, -3, 2, -1])
    assert delta_divergences(bars, left=1, right=1, reach=1) == []
    assert pivots([1, 3, 3, 1], 1, 1) == [1]
    with pytest.raises(DomainError):
        delta_divergences(bars, right=0)


@given(MINUTES, st.integers(0, 12))
def test_no_look_ahead(tape: Any, cut: int) -> None:
    """What was confirmed stays; what wasn't yet isn't said."""
    bars = flows(tape)
    known = delta_divergences(bars, left=2, right=1)
    early = delta_divergences(bars[:cut], left=2, right=1)
    assert early == [d for d in known if d.confirmed_ms <= cut * MINUTE_MS]


@given(MINUTES)
def test_empty_bars_are_neutral(tape: Any) -> None:
    """Bars without trades are no bars."""
    bars = flows(tape)
    assert delta_divergences(bars, left=1, right=1) == delta_divergences(
        without_empty(bars), left=1, right=1
    )


@given(MINUTES)
def test_mirror(tape: Any) -> None:
    """Turning prices and sides upside down swaps bearish and bullish."""
    mirrored = [[(200 - p, lots, not buy) for p, lots, buy in trades] for trades in tape]
    swap = {"bearish": "bullish", "bullish": "bearish"}
    one = delta_divergences(flows(tape), left=1, right=1)
    other = delta_divergences(flows(mirrored), left=1, right=1)
    assert sorted((swap[d.kind], d.second_ms, -d.cvd_change_lots) for d in one) == sorted(
        (d.kind, d.second_ms, d.cvd_change_lots) for d in other
    )
