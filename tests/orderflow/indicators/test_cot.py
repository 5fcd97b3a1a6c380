"""Delta at the extremes against a walk over the trades."""

from __future__ import annotations

from typing import Any

from flow_tape import TRADE
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import flow
from orderflow.indicators.cot import Cot, cot

TRADES = st.lists(TRADE, min_size=1, max_size=15)


def walked(trades: Any) -> tuple[int, int, int]:
    """(delta at the last touch of the high, at that of the low, at the end)."""
    high, low = max(t[0] for t in trades), min(t[0] for t in trades)
    running = at_high = at_low = 0
    for price, lots, buy in trades:
        running += lots if buy else -lots
        at_high = running if price == high else at_high
        at_low = running if price == low else at_low
    return at_high, at_low, running


@given(TRADES)
def test_against_a_walk(trades: Any) -> None:
    """The running delta at the last touch, and the rest of the bar's delta."""
    high, low, end = walked(trades)
    assert cot(bar_of(trades).flow) == Cot(high, low, end - high, end - low)


@given(TRADES, TRADES)
def test_grouping(a: Any, b: Any) -> None:
    """Two bars one after the other know it as well as one bar of all trades."""
    joined = flow.then(bar_of(a).flow, bar_of(b, 60_000, 100).flow)
    high, low, end = walked([*a, *b])
    assert cot(joined) == Cot(high, low, end - high, end - low)


def test_unknown() -> None:
    """Nothing traded, or nobody knows the order."""
    bar = bar_of([(5, 1, True)]).flow
    assert cot(bar_of([]).flow) == Cot(None, None, None, None)
    assert cot(flow.beside(bar, bar)).since_high_lots is None
