"""What the tape says a minute must be: sums of its columns, without any code of the engine."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import numpy as np

from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS
from simulator.columns import BUYER, EVENT, FIRST, LAST, PRICE, QTY
from simulator.tape import Track


class Expected(NamedTuple):
    """A minute of the tape, in units of 10^-digits: sums, prices, and both sides per row."""

    volume: int
    buy: int
    trades: int
    prices: tuple[int, int, int, int]
    rows: dict[int, tuple[int, int]]


def minutes_of(
    track: Track, row_size: Decimal, span_ms: tuple[int, int] | None = None
) -> dict[int, Expected]:
    """Every minute with trades (of a span), by start."""
    data = track.counted.matrix()
    if span_ms is not None:
        data = data[:, (data[EVENT] >= span_ms[0]) & (data[EVENT] < span_ms[1])]
    units = int(row_size.scaleb(track.instrument.price_digits))
    if units <= 0:
        raise ValueError("the row size is finer than the tape's prices")
    found: dict[int, Expected] = {}
    starts = data[EVENT] // MINUTE_MS * MINUTE_MS
    counts = data[LAST] - data[FIRST] + 1
    for start in np.unique(starts):
        inside = starts == start
        price, qty, buyer = (data[column][inside] for column in (PRICE, QTY, BUYER))
        rows: dict[int, list[int]] = {}
        for row, amount, side in zip(
            (price // units).tolist(), qty.tolist(), buyer.tolist(), strict=True
        ):
            rows.setdefault(row, [0, 0])[0 if side else 1] += amount
        is_binance = track.instrument.venue == "binance"
        found[int(start)] = Expected(
            int(qty.sum()),
            int(qty[buyer == 1].sum()),
            int(counts[inside].sum()) if is_binance else int(inside.sum()),
            (int(price[0]), int(price.max()), int(price.min()), int(price[-1])),
            {row: (buy, sell) for row, (buy, sell) in rows.items()},
        )
    return found


def as_stored(track: Track, bar: FootprintBar) -> Expected:
    """A stored bar in the tape's units."""
    flow = bar.flow
    lot = int(flow.lot_size.scaleb(track.instrument.qty_digits))
    tick = int(flow.tick_size.scaleb(track.instrument.price_digits))
    ticks = (flow.open_ticks, flow.high_ticks, flow.low_ticks, flow.close_ticks)
    first, high, low, last = ((price or 0) * tick for price in ticks)
    return Expected(
        flow.volume_lots * lot,
        flow.buy_lots * lot,
        flow.trades,
        (first, high, low, last),
        {row: (buy * lot, sell * lot) for row, (buy, sell, _) in bar.rows.items()},
    )
