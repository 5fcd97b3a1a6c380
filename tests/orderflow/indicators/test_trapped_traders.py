"""Trapped traders: where the stack lies and where the bar closed decide."""

from __future__ import annotations

from typing import Any

from flow_tape import TRADE
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow.indicators.trapped_traders import trapped_traders

CLIMB = [(row, 3, True) for row in range(1, 8)]
STACK = [(row, 50, True) for row in range(8, 11)]


def test_trapped_buyers() -> None:
    """A buy stack at the top and a close below it."""
    (found,) = trapped_traders(bar_of([*CLIMB, *STACK, (5, 1, False)]), minimum_lots=10)
    assert (found.side, found.low_row, found.high_row, found.lots) == ("buy", 8, 10, 150)
    assert (found.close_row, found.close_ticks) == (5, 5)


def test_nobody_is_trapped() -> None:
    """A close inside the stack, a stack in the middle, an empty bar."""
    assert trapped_traders(bar_of([*CLIMB, *STACK]), minimum_lots=10) == []
    high = [(row, 1, True) for row in range(11, 30)]
    assert trapped_traders(bar_of([*CLIMB, *STACK, *high, (5, 1, False)]), minimum_lots=10) == []
    assert trapped_traders(bar_of([])) == []


@given(st.lists(TRADE, min_size=1, max_size=15))
def test_mirror(trades: Any) -> None:
    """Upside down, trapped buyers are trapped sellers."""
    mirrored = [(200 - price, lots, not buy) for price, lots, buy in trades]
    one, other = (
        trapped_traders(bar_of(t), minimum_lots=1, least_rows=1) for t in (trades, mirrored)
    )
    swap = {"buy": "sell", "sell": "buy"}
    assert sorted((swap[t.side], 200 - t.high_row, t.lots) for t in one) == sorted(
        (t.side, t.low_row, t.lots) for t in other
    )
