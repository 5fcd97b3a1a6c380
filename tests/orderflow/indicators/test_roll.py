"""Roll's spread from closes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_tape import MINUTES, closing, flows, without_empty
from hypothesis import given

from orderflow.indicators import impact
from orderflow.indicators.roll import Roll, roll


@given(MINUTES)
def test_against_the_trade_level_function(tape: Any) -> None:
    """The same spread as from the list of closes; empty bars are neutral."""
    bars = without_empty(flows(tape))
    expected = impact.roll_spread([Decimal(bar.close_ticks or 0) for bar in bars])
    found = roll(flows(tape)).spread
    if expected is None or expected == 0:
        assert not found
    else:
        assert found == pytest.approx(expected, rel=Decimal("1e-20"))
    assert roll(flows(tape)) == roll(bars)


def test_bounce_and_trend() -> None:
    """Bouncing closes have a spread, a trend has none, three closes are too few."""
    assert roll(closing(10, 11, 10, 11, 10)).spread is not None
    assert roll(closing(1, 2, 3, 4, 5)) == Roll(None, 3)
    assert roll(closing(1, 2, 1)) == Roll(None, 1)
    assert roll(closing(1, 9, 10, 11, 10, 11, 10), window=5) == roll(closing(10, 11, 10, 11, 10))
