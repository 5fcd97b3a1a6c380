"""Candles computed from a stretch of the tape, exactly, whatever the interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.columns import BUYER, EMIT, EVENT, FIRST, LAST, PRICE, QTY, Columns, Ints

MINUTE_MS = 60_000
DAY_MS = 86_400_000
INTERVALS_MS = {
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 60 * MINUTE_MS for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY_MS,
}
"""Binance's names of the fixed intervals; each starts at a multiple of itself since 1970."""

_SAFE_SUM = float(1 << 62)


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle in the tape's integers; `quote` sums have price_digits + qty_digits decimals.

    `first_id` and `last_id` are -1 where nothing traded.
    """

    start_ms: int
    end_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    trades: int = 0
    buy_volume: int = 0
    buy_quote: int = 0
    first_id: int = -1
    last_id: int = -1


def product_sum(prices: Ints, quantities: Ints) -> int:
    """The exact sum of price times quantity, also beyond 64 bits."""
    if float(prices.astype(np.float64) @ quantities.astype(np.float64)) < _SAFE_SUM:
        return int(prices @ quantities)
    return sum(p * q for p, q in zip(prices.tolist(), quantities.tolist(), strict=True))


def candle_of(columns: Columns, start: int, stop: int, span_ms: tuple[int, int]) -> Candle | None:
    """The candle of rows [start, stop); None before the first trade of the tape.

    A span without trades repeats the close before it, as both venues do.
    """
    start_ms, end_ms = span_ms
    if start >= stop:
        if start <= columns.dropped:
            return None
        close = int(columns.column(PRICE, start - 1, start)[0])
        return Candle(start_ms, end_ms, close, close, close, close)
    data = columns.matrix(start, stop)
    prices, quantities = data[PRICE], data[QTY]
    taken = data[BUYER] == 1
    return Candle(
        start_ms,
        end_ms,
        open=int(prices[0]),
        high=int(prices.max()),
        low=int(prices.min()),
        close=int(prices[-1]),
        volume=int(quantities.sum()),
        quote=product_sum(prices, quantities),
        trades=int((data[LAST] - data[FIRST]).sum()) + data.shape[1],
        buy_volume=int(quantities[taken].sum()),
        buy_quote=product_sum(prices[taken], quantities[taken]),
        first_id=int(data[FIRST, 0]),
        last_id=int(data[LAST, -1]),
    )


def candle_at(columns: Columns, start_ms: int, interval_ms: int, now_ms: int) -> Candle | None:
    """The candle that starts at `start_ms`, of what was sent up to `now_ms`."""
    end_ms = start_ms + interval_ms
    start = columns.find(EVENT, start_ms)
    stop = min(columns.find(EVENT, end_ms), columns.find(EMIT, now_ms + 1))
    return candle_of(columns, start, max(start, stop), (start_ms, end_ms))


def candles_between(
    columns: Columns, interval_ms: int, first_ms: int, last_ms: int, now_ms: int
) -> list[Candle]:
    """Candles whose start is in [first_ms, last_ms], oldest first, none that starts after now."""
    sent = columns.find(EMIT, now_ms + 1)
    if sent <= columns.dropped:
        return []
    oldest = int(columns.column(EVENT)[0])
    low = max(first_ms + -first_ms % interval_ms, oldest - oldest % interval_ms)
    high = min(last_ms, now_ms)
    found = (
        candle_at(columns, at, interval_ms, now_ms) for at in range(low, high + 1, interval_ms)
    )
    return [candle for candle in found if candle is not None]
