"""The engine on one core: decoded bursts of 1,000 mixed trades over 1,000 instruments.

Beside it a pandas groupby of the histogram alone (instrument, price, side) on the same bursts,
alternating, by processor time. The engine does everything: ledger, guard, cells, rows, size
classes, largest prints, sweeps, VPIN, every streaming number. It is fed as the processor feeds it,
through the same `Waiting` with its own limits; the time counts until nothing waits and every ladder
can be read. Then every streaming indicator is switched off in turn: what is saved is what it costs.
Last the histogram and the flow alone, on one instrument (`bench.alone`).
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.table import Table

from bench import alone
from bench.alone import OFF, without
from bench.bursts import BURST, INSTRUMENTS, engine, feed, made, settle
from bench.goals import Goal, console, times
from orderflow.mixed import MIXED_COLUMNS, MixedTrades
from processor import waiting as waits
from processor.engine import Engine
from processor.stream import Stream
from processor.waiting import ENOUGH_MIXED, Waiting

WARM = 128
"""Bursts before the clock starts: every instrument has been seen once."""
GOAL_RATE, GOAL_RATIO = 2e6, 3.0
SIZES = (ENOUGH_MIXED, 32_768, 8_192)
"""Trades that wait for each other: what the processor does, and fewer to compare."""


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
    count, repeats = (640_000, 1) if quick else (2_048_000, 5)
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
        for name, run in work.items():
            runs[name].append(run() / (count - WARM * BURST))
    seconds = {name: statistics.median(found) for name, found in runs.items()}
    indicators = costs(bursts[:640], repeats)
    shown(seconds, indicators)
    base, ours, *_ = seconds.values()
    name = "engine, 1,000 instruments, all on"
    best = 1 / ours
    goals = [
        Goal(name, "trades/s/core", best, GOAL_RATE, "least"),
        times(f"{name} / pandas histogram alone", "trades/s/core", best, 1 / base, GOAL_RATIO),
        alone.measured(repeats),
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
