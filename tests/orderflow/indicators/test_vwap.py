"""VWAP and bands: exact whatever the order and size, anchored without look-ahead."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow import flow
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.indicators.vwap import ROOT_DIGITS, anchored, vwap
from orderflow.timeframe import MINUTE_MS

trades = st.lists(
    st.tuples(st.integers(1, 500), st.integers(1, 50), st.booleans()), min_size=1, max_size=20
)
minutes = st.lists(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 9), st.booleans()), max_size=4),
    min_size=1,
    max_size=8,
)


@given(trades)
def test_against_the_definition(found: list[Trade]) -> None:
    """Mean and variance equal the fractions over the trades, in any order; the root is cut only."""
    result = vwap(bar_of(found).flow)
    assert result is not None
    total = sum(lots for _, lots, _ in found)
    mean = Fraction(sum(price * lots for price, lots, _ in found), total)
    variance = sum((price - mean) ** 2 * lots for price, lots, _ in found) / total
    assert (result.mean_ticks, result.variance_ticks) == (mean, variance)
    sigma, step = Fraction(result.sigma), Fraction(1, 10**ROOT_DIGITS)
    assert sigma**2 <= variance < (sigma + step) ** 2
    turned = vwap(bar_of(found[::-1]).flow)
    assert turned == result


@given(trades, trades)
def test_then_and_beside_add(a: list[Trade], b: list[Trade]) -> None:
    """Two parts, one after the other or side by side, give the VWAP of all trades."""
    one, other = bar_of(a).flow, bar_of(b, MINUTE_MS).flow
    direct = vwap(bar_of(a + b).flow)
    assert direct is not None
    for merged in (flow.then(one, other), flow.beside(one, other), flow.beside(other, one)):
        found = vwap(merged)
        assert found is not None
        assert (found.lots, found.amount, found.squares) == (
            direct.lots,
            direct.amount,
            direct.squares,
        )


@given(minutes, st.integers(0, 8), st.integers(0, 8))
def test_anchored(found: list[list[Trade]], start: int, cut: int) -> None:
    """Each point is the VWAP since the anchor; truncating the future changes nothing."""
    bars = [bar_of(one, k * MINUTE_MS).flow for k, one in enumerate(found)]
    points = anchored(bars, start * MINUTE_MS)
    assert points[: len(anchored(bars[:cut], start * MINUTE_MS))] == anchored(
        bars[:cut], start * MINUTE_MS
    )
    direct = vwap(bar_of([trade for one in found[start:] for trade in one]).flow)
    assert (not points) == (direct is None)
    if points and direct is not None:
        assert points[-1].mean_ticks == direct.mean_ticks
        assert points[-1].sigma == direct.sigma


def test_sums_beyond_63_bits() -> None:
    """A spread of one tick on ninety-bit sums is not lost (doubles and 28 digits lose it)."""
    price, lots = 10**10 + 1, 10**13
    amount = price * lots + (price + 2) * lots
    squares = price**2 * lots + (price + 2) ** 2 * lots
    bar = FlowBar(
        *(0, 1, Decimal("0.01"), Decimal(1)),
        buy_lots=2 * lots,
        buy_quote=amount,
        square_quote=squares,
    )
    found = vwap(bar)
    assert found is not None
    assert found.variance_ticks == 1
    assert found.sigma == Decimal("0.01")
    assert found.band(2) == (found.price - Decimal("0.02"), found.price + Decimal("0.02"))


def test_edges() -> None:
    """Nothing traded has no VWAP, one price no deviation; a bar across the anchor is refused."""
    assert vwap(bar_of([]).flow) is None
    assert anchored([bar_of([]).flow], 0) == []
    one = vwap(bar_of([(7, 3, True), (7, 2, False)]).flow)
    assert one is not None
    assert (one.price, one.sigma) == (7, 0)
    with pytest.raises(MergeError, match="anchor"):
        anchored([bar_of([(7, 3, True)]).flow], 1)
