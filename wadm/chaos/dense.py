"""A market of thousands of trades a second in whole columns: invented in seconds, not minutes."""

from __future__ import annotations

import numpy as np

from orderflow.timeframe import MINUTE_MS
from simulator.columns import BUYER, EMIT, EVENT, FIRST, KEY, LAST, PRICE, QTY, SEQ, Ints
from simulator.instrument import TapeInstrument, parse_name, split_symbol
from simulator.tape import Tape, Track, empty_rows
from simulator.tapes.build import BYBIT_FIRST_SEQ, number_bybit
from simulator.tapes.synthetic import Market

SWING, SWING_MIN = 0.3, 5.0
"""The rate swings by this part around its mean, once in so many minutes."""
STEP_TICKS = 1.2
MOST_FILLS = 4


def dense_tape(markets: list[Market], start_ms: int, length_ms: int, seed: int) -> Tape:
    """`orders_per_s` records a second of each market in the mean, the same for the same seed."""
    tracks = [
        _track(market, start_ms, length_ms, np.random.default_rng([seed, place]))
        for place, market in enumerate(markets)
    ]
    return Tape(tuple(tracks), f"dense market, seed {seed}")


def _track(market: Market, start_ms: int, length_ms: int, draw: np.random.Generator) -> Track:
    venue, kind, symbol = parse_name(market.name)
    tick_digits, lot_digits = (
        len(s.partition(".")[2]) for s in (market.tick_size, market.lot_size)
    )
    base, quote = split_symbol(symbol)
    instrument = TapeInstrument(
        venue, kind, symbol, base, quote, market.tick_size, market.lot_size,
        tick_digits, lot_digits, tick_digits, lot_digits,
    )  # fmt: skip
    at = _times(market.orders_per_s, length_ms, draw)
    count = len(at)
    rows = empty_rows(count)
    rows[EVENT] = start_ms + at
    rows[EMIT] = np.maximum.accumulate(rows[EVENT] + draw.integers(0, 4, count))
    first_tick = round(market.price / float(market.tick_size))
    rows[PRICE] = first_tick + np.cumsum(draw.normal(0, STEP_TICKS, count)).astype(np.int64)
    sizes = draw.lognormal(-1.1, 1.5, count) * market.mean_qty / float(market.lot_size)
    rows[QTY] = np.maximum(1, sizes.astype(np.int64))
    rows[BUYER] = draw.random(count) < 0.5
    if venue == "bybit":
        number_bybit(rows, kind)
    else:
        _number(rows, start_ms, draw)
    return Track(instrument, rows, is_aggregated=venue == "binance")


def _times(per_s: float, length_ms: int, draw: np.random.Generator) -> Ints:
    """Milliseconds of orders in order: a Poisson flow whose rate swings."""
    seconds = np.arange(length_ms // 1_000)
    rate = per_s * (1 + SWING * np.sin(seconds / (SWING_MIN * 60) * 2 * np.pi))
    counts = draw.poisson(rate)
    at = np.repeat(seconds * 1_000, counts) + draw.integers(0, 1_000, int(counts.sum()))
    found: Ints = np.sort(at)
    return found


def _number(rows: Ints, start_ms: int, draw: np.random.Generator) -> None:
    """Aggregate ids without holes, each of one to a few raw trades."""
    count = rows.shape[1]
    fills = np.minimum(draw.integers(1, MOST_FILLS + 1, count), rows[QTY])
    rows[KEY] = start_ms + np.arange(count)
    rows[LAST] = 10 * start_ms + np.cumsum(fills) - 1
    rows[FIRST] = rows[LAST] - fills + 1
    rows[SEQ] = BYBIT_FIRST_SEQ


def whole_minutes_ms(length_s: float) -> int:
    """Milliseconds of the whole minutes that cover so many seconds."""
    return (int(length_s * 1_000) // MINUTE_MS + 1) * MINUTE_MS
