"""Exhaustion at the extremes of a bar."""

from __future__ import annotations

from typing import Any

from flow_tape import TRADE
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.indicators.exhaustion import exhaustion

FADING = [(10, 30, True), (11, 20, True), (12, 15, True), (13, 10, True), (12, 9, False)]


def test_fading_buyers() -> None:
    """30, 20, 15, 10 towards the high, and delta came off its maximum."""
    assert exhaustion(bar_of(FADING), "buy").held is True
    grown = [*FADING, (13, 1, True), (12, 9, False)]
    assert exhaustion(bar_of(grown), "buy").failed == ("extreme_share_pct",)
    assert exhaustion(bar_of(FADING[:4]), "buy").failed == ("delta_lots",)
    bumpy = [(10, 30, True), (11, 5, True), (12, 15, True), (13, 5, True), (12, 9, False)]
    assert exhaustion(bar_of(bumpy), "buy").failed == ("rows_that_grow",)


def test_unknown() -> None:
    """Too few rows, no trades or merged venues: unknown."""
    assert exhaustion(bar_of(FADING[:2]), "buy").held is not True
    assert exhaustion(bar_of([]), "sell").held is not True
    both = footprint.beside([bar_of(FADING), bar_of(FADING)])
    assert exhaustion(both, "buy").held is None


@given(st.lists(TRADE, min_size=1, max_size=15))
def test_mirror(trades: Any) -> None:
    """Upside down, buyers at the high are sellers at the low."""
    mirrored = [(200 - price, lots, not buy) for price, lots, buy in trades]
    one, other = exhaustion(bar_of(trades), "buy"), exhaustion(bar_of(mirrored), "sell")
    assert [c.held for c in one.checks] == [c.held for c in other.checks]
