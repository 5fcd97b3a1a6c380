"""The ladder's shapes, exactly at their borders."""

from __future__ import annotations

from typing import Any

import pytest
from flow_tape import MINUTES, flows
from hypothesis import given

from orderflow.errors import DomainError
from orderflow.indicators.flow_ladder import Shape, flow_ladder
from orderflow.timeframe import MINUTE_MS

TWO = (MINUTE_MS, 2 * MINUTE_MS)


def shape(before: int, now: int) -> Shape:
    """The shape of two minutes with these deltas."""
    tape = [[(100, abs(delta), delta > 0)] if delta else [] for delta in (before, now)]
    return flow_ladder(flows(tape), 2 * MINUTE_MS, TWO).shape


def test_shapes() -> None:
    """Borders count as reached: 1.5 times the pace is accelerating, half of it is fading."""
    assert shape(1, 3) == "accelerating"
    assert shape(100, 299) == "steady"
    assert shape(3, 1) == "fading"
    assert shape(299, 100) == "steady"
    assert shape(9, -1) == "flipping"
    assert shape(1, -1) == "flipping"
    assert shape(0, 0) == "quiet"
    assert shape(5, 0) == "fading"


@given(MINUTES)
def test_rungs_are_sums(tape: Any) -> None:
    """A rung is the sum of its newest bars; later bars change nothing."""
    bars = flows(tape)
    end = len(bars) * MINUTE_MS
    found = flow_ladder(bars, end, (MINUTE_MS, 3 * MINUTE_MS, 20 * MINUTE_MS))
    assert [rung.delta_lots for rung in found.rungs] == [
        sum(bar.delta_lots for bar in bars[-count:]) for count in (1, 3, 20)
    ]
    assert found.rungs[2].covered_ms == end
    late = flows([*tape, [(100, 99, True)]])
    assert flow_ladder(late, end, (MINUTE_MS, 3 * MINUTE_MS, 20 * MINUTE_MS)) == found


@given(MINUTES)
def test_mirror(tape: Any) -> None:
    """Swapping buyers and sellers keeps the shape and turns the side."""
    swapped = [[(price, lots, not buy) for price, lots, buy in trades] for trades in tape]
    end = len(tape) * MINUTE_MS
    one, other = (flow_ladder(flows(t), end) for t in (tape, swapped))
    assert one.shape == other.shape
    assert {one.side, other.side} in ({"buy", "sell"}, {None})


def test_periods_grow() -> None:
    """Periods that don't grow are no ladder."""
    with pytest.raises(DomainError):
        flow_ladder([], 0, (2, 2))
    assert flow_ladder([], 0).shape == "quiet"
