"""Spot against perp in quote units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_tape import MINUTES, flows, shaped, without_empty
from hypothesis import given
from six_trades import bar_of

from orderflow.errors import MergeError
from orderflow.indicators.spot_perp import spot_perp
from orderflow.timeframe import MINUTE_MS


@given(MINUTES, MINUTES)
def test_sums_and_exchange(spot: Any, perp: Any) -> None:
    """CVDs are plain sums in quote units; swapping the markets swaps the answer."""
    found = spot_perp(flows(spot), flows(perp))
    other = spot_perp(flows(perp), flows(spot))
    plain = sum(p * q * (1 if buy else -1) for trades in spot for p, q, buy in trades)
    assert found.spot.cvd_quote == plain
    assert (found.spot, found.perp) == (other.perp, other.spot)
    assert found.correlation == other.correlation
    assert found.diverges == other.diverges


@given(MINUTES, MINUTES)
def test_scale_changes_nothing(spot: Any, perp: Any) -> None:
    """Bars counted in finer steps are the same bars."""
    fine = [bar.rescaled(Decimal("0.1"), Decimal("0.01")) for bar in flows(perp)]
    assert spot_perp(flows(spot), fine) == spot_perp(flows(spot), flows(perp))


@given(MINUTES, MINUTES)
def test_empty_bars_are_neutral(spot: Any, perp: Any) -> None:
    """A bar without trades is the same as no bar, while the other market traded or neither did."""
    one, other = (
        spot_perp(without_empty(flows(spot)), flows(perp)),
        spot_perp(flows(spot), flows(perp)),
    )
    assert (one.state, one.spot.cvd_quote) == (other.state, other.spot.cvd_quote)


def test_states() -> None:
    """Signs decide; a market below the minimum share takes no side."""
    up, down = bar_of([(10, 5, True)]).flow, bar_of([(10, 5, False), (10, 4, True)]).flow
    assert spot_perp([up], [down]).state == "spot_buys_perp_sells"
    assert spot_perp([down], [up]).state == "perp_buys_spot_sells"
    assert spot_perp([down], [down]).state == "both_sell"
    assert spot_perp([up], [up]).diverges is False
    assert spot_perp([up], [down], minimum_pct=12).diverges is None
    assert spot_perp([up], [down], minimum_pct=11).diverges is True
    assert spot_perp([], []).state == "undecided"


def test_slope() -> None:
    """A CVD that grows by 10 a step has slope 10."""
    bars = [bar_of([(10, 1, True)], k * MINUTE_MS, k + 1).flow for k in range(5)]
    assert spot_perp(bars, []).spot.slope_quote_per_step == 10


def test_mixed_lengths_are_refused() -> None:
    """Steps of different lengths can't be compared."""
    bar = bar_of([(10, 1, True)]).flow
    with pytest.raises(MergeError, match="one length"):
        spot_perp([bar], [shaped(bar, end_ms=5_000)])
