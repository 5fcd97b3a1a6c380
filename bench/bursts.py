"""Decoded bursts of 1,000 trades over any number of instruments, and engines that take them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from orderflow.mixed import MixedTrades, grouped
from orderflow.timeframe import DAY_MS
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor.engine import Engine
from processor.waiting import Waiting

INSTRUMENTS, BURST = 1_000, 1_000
TRADES_PER_S = 50_000
"""Tape time between trades, that of a liquidation cascade over all markets of both venues."""
TURN_BURSTS = TRADES_PER_S // 10 // BURST
"""A tick of the processor: an instrument may bring as much again."""
START_MS = 1_795_000_020_000
DAY_LOTS = 2_500 * 86_400 * 2_981
"""Volume of a day, all instruments together: it sets the size of VPIN's buckets."""


def names(instruments: int) -> list[str]:
    """What they are called."""
    return [f"bench:spot:C{number:04d}USDT" for number in range(instruments)]


def shares(instruments: int) -> np.ndarray:
    """The share of every instrument (Zipf)."""
    weights = 1 / np.arange(1, instruments + 1)
    return np.asarray(weights / weights.sum())


def levels(instruments: int) -> np.ndarray:
    """The first price of every instrument."""
    return np.random.default_rng(3).integers(50_000, 6_000_000, instruments)


def made(count: int, instruments: int = INSTRUMENTS) -> list[MixedTrades]:
    """Bursts of 1,000 trades: Zipf instruments, walking prices, log-normal sizes."""
    chance = np.random.default_rng(7)
    number = chance.choice(instruments, count, p=shares(instruments))
    order = number.argsort(kind="stable")
    key, price = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    starts = np.searchsorted(number[order], np.arange(instruments))
    steps = chance.choice((-1, 0, 0, 0, 1), count)
    walk = steps.cumsum()
    key[order] = np.arange(count) - starts[number[order]] + 3
    price[order] = levels(instruments)[number[order]] + walk - walk[starts[number[order]]]
    at = START_MS + np.arange(count) * 1_000 // TRADES_PER_S
    lots = np.minimum(chance.lognormal(6, 2, count), 1e9).astype(np.int64) + 1
    side = chance.integers(0, 2, count)
    columns = [number, key, at, price, lots, side, np.ones_like(key), key, key]
    called = names(instruments)
    cuts = ([column[i : i + BURST] for column in columns] for i in range(0, count, BURST))
    return [burst_of(called, cut) for cut in cuts]


def burst_of(called: list[str], columns: list[np.ndarray]) -> MixedTrades:
    """Columns, the first of them the instrument's number, as the codec hands them over."""
    found, edges, rest = grouped(columns[0], columns[1:])
    return MixedTrades([called[k] for k in found], [0] * len(found), edges, *rest)


def engine(instruments: int = INSTRUMENTS) -> Engine:
    """Instruments, each announced and connected, with the two days before in which VPIN learns the
    size of its buckets."""
    fresh, called = Engine(), names(instruments)
    for name in called:
        symbol = name.rpartition(":")[2]
        text = ("bench", "spot", symbol, symbol[:-4], "USDT", Decimal("0.01"), Decimal("0.001"))
        fresh.handle(InstrumentChanged(*text, last_price=Decimal(30_000)))
    fresh.handle(Connected(called, "c", START_MS))
    fresh.handle(Watermark(called, START_MS, "c"))
    volumes = (shares(instruments) * DAY_LOTS).astype(int).tolist()
    for name, price, lots in zip(called, levels(instruments).tolist(), volumes, strict=True):
        times = [START_MS - 2 * DAY_MS, START_MS - DAY_MS]
        ids = [1, 2]
        columns = (times, [price] * 2, [lots] * 2, [0, 1], [], [1, 1], ids, ids)
        fresh.handle(TradeBatch(name, ids, *columns))
    return fresh


def feed(found: Engine, waiting: Waiting, bursts: list[MixedTrades]) -> None:
    """As `processor.settling` does it."""
    for place, burst in enumerate(bursts):
        if place % TURN_BURSTS == 0:
            waiting.begin_turn()
            for due in waiting.take_heavy():
                found.handle(due)
        for due in waiting.add(burst):
            found.handle(due)


def settle(found: Engine, waiting: Waiting) -> None:
    """Nothing waits, and every ladder can be read."""
    while some := waiting.take_some():
        for due in some:
            found.handle(due)
    for due in waiting.take_all():
        found.handle(due)
    for stream in found.streams.values():
        for minute in stream.minutes.values():
            minute.ladder.settle()
