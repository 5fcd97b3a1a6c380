"""A trading range of thirty minutes, and bars that leave it in the ways Wyckoff names."""

from __future__ import annotations

from collections.abc import Sequence

from flow_tape import minutes
from six_trades import Trade, bar_of

from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS

BARS = 30


def usual(place: int) -> list[Trade]:
    """A minute between 98 and 102 that closes near 100, with a little delta either way."""
    lean = place % 5
    return [
        (100, 10 + lean, True),
        (101 + place % 2, 4, True),
        (100, 12, False),
        (99 - place % 2, 5 + place % 3, False),
        (100 + place % 2, 6, place % 2 == 0),
    ]


CONTEXT = minutes([usual(place) for place in range(BARS)])


def next_bar(trades: Sequence[Trade]) -> FootprintBar:
    """The bar after the range."""
    return bar_of(trades, BARS * MINUTE_MS, 10_000)


def upside_down(bars: Sequence[FootprintBar]) -> list[FootprintBar]:
    """The same range seen from below: prices mirrored at 100, buyers and sellers swapped."""
    return minutes([mirrored(usual(place)) for place in range(len(bars))])


def mirrored(trades: Sequence[Trade]) -> list[Trade]:
    """Trades mirrored at 100."""
    return [(200 - price, lots, not buy) for price, lots, buy in trades]
