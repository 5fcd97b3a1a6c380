"""Drawn trades as bars: the raw material of the indicators' property tests."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS

TRADE = st.tuples(st.integers(80, 120), st.integers(1, 40), st.booleans())
MINUTES = st.lists(st.lists(TRADE, max_size=8), min_size=1, max_size=12)
"""Trades per minute; some minutes are empty."""


def minutes(tape: Sequence[Sequence[Trade]], start_ms: int = 0) -> list[FootprintBar]:
    """One bar per minute, empty ones included."""
    bars, first_id = [], 1
    for place, trades in enumerate(tape):
        bars.append(bar_of(trades, start_ms + place * MINUTE_MS, first_id))
        first_id += len(trades)
    return bars


def flows(tape: Sequence[Sequence[Trade]], start_ms: int = 0) -> list[FlowBar]:
    """The same without rows."""
    return [bar.flow for bar in minutes(tape, start_ms)]


def without_empty(bars: Sequence[FlowBar]) -> list[FlowBar]:
    """Only bars that traded."""
    return [bar for bar in bars if not bar.empty]


def closing(*closes: int, deltas: Sequence[int] = ()) -> list[FlowBar]:
    """Minute bars of one price each, with these closes and deltas (1 lot bought by default)."""
    bars = []
    for place, close in enumerate(closes):
        delta = deltas[place] if deltas else 1
        bars.append(bar_of([(close, abs(delta), delta > 0)], place * MINUTE_MS, place + 1).flow)
    return bars


def shaped(bar: FlowBar, **changes: object) -> FlowBar:
    """The bar with some fields changed."""
    return msgspec.structs.replace(bar, **changes)
