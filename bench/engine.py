"""The engine on one core: decoded bursts of 1,000 mixed trades over 1,000 instruments.

Beside it a pandas groupby of the histogram alone (instrument, price, side) on the same bursts,
alternating, by processor time. The engine does everything: ledger, guard, cells, rows, size
classes, largest prints, sweeps, VPIN, every streaming number. It is fed as the processor feeds it,
through the same `Waiting` with its own limits; the time counts until nothing waits and every ladder
can be read. Then every streaming indicator is switched off in turn: what is saved is what it costs.
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.table import Table

from bench.goals import Goal, console, times
from orderflow.mixed import MIXED_COLUMNS, MixedTrades, grouped
from orderflow.timeframe import DAY_MS
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import bulk
from processor import waiting as waits
from processor.engine import Engine
from processor.ladder import Ladder
from processor.spans import Spans
from processor.stream import Stream
from processor.toxicity import Toxicity
from processor.waiting import ENOUGH_MIXED, Waiting

INSTRUMENTS, BURST = 1_000, 1_000
TRADES_PER_S = 50_000
"""Tape time between trades, that of a liquidation cascade over all markets of both venues."""
TURN_BURSTS = TRADES_PER_S // 10 // BURST
"""A tick of the processor: an instrument may bring as much again."""
START_MS = 1_795_000_020_000
WARM = 128
"""Bursts before the clock starts: every instrument has been seen once."""
GOAL_RATE, GOAL_RATIO = 2e6, 3.0
SIZES = (ENOUGH_MIXED, 32_768, 8_192)
"""Trades that wait for each other: what the processor does, and fewer to compare."""
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


def fed(bursts: list[MixedTrades], at_once: int = ENOUGH_MIXED) -> tuple[float, Engine]:
    """Seconds of processor time to feed the bursts, so many trades waiting for each other."""
    found, waiting = engine(), Waiting()
    feed(found, waiting, bursts[:WARM])
    settle(found, waiting)
    gc.collect()
    gc.disable()
    with patch.object(waits, "ENOUGH_MIXED", at_once):
        began = process_time()
        feed(found, waiting, bursts[WARM:])
        settle(found, waiting)
        taken = process_time() - began
    gc.enable()
    return taken, found


def histogram(frames: list[pd.DataFrame]) -> float:
    """Seconds of processor time of a groupby per burst, added up in a dict."""
    total: dict[tuple[int, int, int], int] = {}
    gc.collect()
    began = process_time()
    for frame in frames:
        for cell, lots in frame.groupby(["number", "price", "side"])["lots"].sum().items():
            total[cell] = total.get(cell, 0) + lots  # type: ignore[index, arg-type]
    return process_time() - began


def frame_of(burst: MixedTrades) -> pd.DataFrame:
    """A burst as pandas would get it."""
    numbers = np.array([int(name[12:16]) for name in burst.instruments])
    values = {name: getattr(burst, name) for name in MIXED_COLUMNS}
    return pd.DataFrame(
        {
            "number": np.repeat(numbers, np.diff(burst.edges)),
            "price": values["price_ticks"],
            "side": values["side"],
            "lots": values["qty_lots"],
        }
    )


def applied(found: Engine) -> int:
    """Trades in the ledgers, all of which must be there."""
    streams: list[Stream] = list(found.streams.values())
    assert sum(stream.ledger.counts.received for stream in streams) == sum(
        stream.ledger.counts.applied for stream in streams
    )
    return sum(stream.ledger.counts.applied for stream in streams)


OFF: dict[str, list[tuple[Any, str, Callable[..., Any]]]] = {
    "volume at price (profile, footprint)": [(Spans, "rows", lambda spans: [()] * spans.count)],
    "size classes": [
        (Spans, "classes", lambda spans: [(0, None)] * spans.count),
        (Ladder, "add_sizes", lambda ladder, lowest, sizes: None),
    ],
    "largest prints": [(Spans, "large", lambda spans: iter(()))],
    "sweeps": [
        (Spans, "bursts", lambda spans: [None] * spans.count),
        (bulk, "_go_on", lambda tally, bursts: None),
    ],
    "COT, min and max delta": [(Spans, "_extremes", lambda spans, low: (low,) * 5)],
    "VPIN": [(Toxicity, "goes_on", lambda *sums: True)],
}
"""What is put in the place of each streaming indicator so that it costs nothing."""


@contextmanager
def without(indicator: str) -> Iterator[None]:
    """The engine without one indicator."""
    patches = [patch.object(*found) for found in OFF[indicator]]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def costs(bursts: list[MixedTrades], repeats: int) -> dict[str, float]:
    """Seconds a trade that each indicator adds, the median of differences of neighbouring runs."""
    count = (len(bursts) - WARM) * BURST
    saved: dict[str, list[float]] = {name: [] for name in OFF}
    for _ in range(repeats):
        for name, found in saved.items():
            whole, _ = fed(bursts)
            with without(name):
                less, _ = fed(bursts)
            found.append((whole - less) / count)
    return {name: statistics.median(found) for name, found in saved.items()}


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate, print; goals, and seconds a trade."""
    count, repeats = (640_000, 3) if quick else (2_048_000, 5)
    bursts = made(count)
    some = [frame_of(burst) for burst in bursts[:128]]
    runs: dict[str, list[float]] = {"pandas groupby, histogram alone": []}
    work: dict[str, Callable[[], float]] = {}
    for size in SIZES:
        work[f"engine, everything, {size:,} waiting"] = lambda size=size: _checked(bursts, size)
        runs[f"engine, everything, {size:,} waiting"] = []
    for number in range(repeats):
        console.print(f"engine: run {number + 1} of {repeats}, {count:,} trades")
        runs["pandas groupby, histogram alone"].append(histogram(some) / (len(some) * BURST))
        for name, feed in work.items():
            runs[name].append(feed() / (count - WARM * BURST))
    seconds = {name: statistics.median(found) for name, found in runs.items()}
    indicators = costs(bursts[:640], repeats)
    shown(seconds, indicators)
    base, ours, *_ = seconds.values()
    name = "engine, 1,000 instruments, all on"
    best = 1 / ours
    goals = [
        Goal(name, "trades/s/core", best, GOAL_RATE, "least"),
        times(f"{name} / pandas histogram alone", "trades/s/core", best, 1 / base, GOAL_RATIO),
    ]
    more = {"s_per_trade": seconds, "indicator_s_per_trade": indicators, "load": os.getloadavg()}
    return goals, more


def _checked(bursts: list[MixedTrades], size: int) -> float:
    taken, found = fed(bursts, size)
    assert applied(found) == sum(len(burst) for burst in bursts) + 2 * INSTRUMENTS
    return taken


def shown(seconds: dict[str, float], indicators: dict[str, float]) -> None:
    """Two tables."""
    base, *_ = seconds.values()
    table = Table("1,000 instruments, bursts of 1,000", "ns/trade", "trades/s/core", "x pandas")
    for name, figure in seconds.items():
        table.add_row(name, f"{figure * 1e9:,.0f}", f"{1 / figure:,.0f}", f"{base / figure:.2f}")
    console.print(table)
    table = Table("switched off", "saves ns/trade")
    for name, figure in indicators.items():
        table.add_row(name, f"{figure * 1e9:,.0f}")
    console.print(table)
