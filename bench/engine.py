"""The engine on one core: decoded bursts of 1,000 mixed trades over 1,000 instruments.

`python -m bench.engine [--quick]` beside a pandas groupby of the histogram alone (instrument,
price, side) on the same bursts, alternating, by processor time. The engine does everything: ledger,
guard, cells, rows, size classes, largest prints, sweeps, every streaming number. It is fed as the
processor feeds it: bursts wait until they are worth it. Writes build/bench_engine.json; exits 1
when a goal is missed.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from orderflow.mixed import MIXED_COLUMNS, MixedTrades, grouped, joined
from orderflow.trade import Connected, InstrumentChanged, Watermark
from processor.engine import Engine
from processor.stream import Stream

INSTRUMENTS, BURST = 1_000, 1_000
TRADES_PER_S = 50_000
"""Tape time between trades, that of a liquidation cascade over all markets of both venues."""
START_MS = 1_795_000_020_000
WARM = 128
"""Bursts before the clock starts: every instrument has been seen once."""
GOAL_RATE, GOAL_RATIO = 2e6, 3.0
SIZES = (1_000, 4_000, 16_000, 64_000)
NAMES = [f"bench:spot:C{number:04d}USDT" for number in range(INSTRUMENTS)]
console = Console(width=110)


def made(count: int) -> list[MixedTrades]:
    """Bursts of 1,000 trades: Zipf instruments, walking prices, log-normal sizes."""
    chance = np.random.default_rng(7)
    weights = 1 / np.arange(1, INSTRUMENTS + 1)
    number = chance.choice(INSTRUMENTS, count, p=weights / weights.sum())
    order = number.argsort(kind="stable")
    key, price = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    starts = np.searchsorted(number[order], np.arange(INSTRUMENTS))
    steps = chance.choice((-1, 0, 0, 0, 1), count)
    levels = np.random.default_rng(3).integers(50_000, 6_000_000, INSTRUMENTS)
    walk = steps.cumsum()
    key[order] = np.arange(count) - starts[number[order]] + 1
    price[order] = levels[number[order]] + walk - walk[starts[number[order]]]
    at = START_MS + np.arange(count) * 1_000 // TRADES_PER_S
    lots = np.minimum(chance.lognormal(6, 2, count), 1e9).astype(np.int64) + 1
    side = chance.integers(0, 2, count)
    columns = [number, key, at, price, lots, side, np.ones_like(key), key, key]
    return [burst_of([column[i : i + BURST] for column in columns]) for i in range(0, count, BURST)]


def burst_of(columns: list[np.ndarray]) -> MixedTrades:
    """Columns, the first of them the instrument's number, as the codec hands them over."""
    found, edges, rest = grouped(columns[0], columns[1:])
    return MixedTrades([NAMES[k] for k in found], [0] * len(found), edges, *rest)


def engine() -> Engine:
    """A thousand instruments, each announced and connected."""
    fresh = Engine()
    for name in NAMES:
        symbol = name.rpartition(":")[2]
        text = ("bench", "spot", symbol, symbol[:-4], "USDT", Decimal("0.01"), Decimal("0.001"))
        fresh.handle(InstrumentChanged(*text, last_price=Decimal(30_000)))
    fresh.handle(Connected(NAMES, "c", START_MS))
    fresh.handle(Watermark(NAMES, START_MS, "c"))
    return fresh


def fed(bursts: list[MixedTrades], at_once: int) -> tuple[float, Engine]:
    """Seconds of processor time to feed the bursts, so many trades applied at a time."""
    found = engine()
    every = max(1, at_once // BURST)
    for k in range(0, WARM, every):
        found.handle(joined(bursts[k : k + every]))
    gc.collect()
    gc.disable()
    began = process_time()
    for k in range(WARM, len(bursts), every):
        found.handle(joined(bursts[k : k + every]))
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


def main() -> int:
    """Alternate, print, judge."""
    quick = "--quick" in sys.argv
    count, repeats = (512_000, 3) if quick else (1_024_000, 5)
    bursts = made(count)
    some = [frame_of(burst) for burst in bursts[:128]]
    runs: dict[str, list[float]] = {"pandas groupby, histogram alone": []}
    work: dict[str, Callable[[], float]] = {}
    for size in SIZES:
        work[f"engine, everything, {size:,} at once"] = lambda size=size: _checked(bursts, size)
        runs[f"engine, everything, {size:,} at once"] = []
    for number in range(repeats):
        console.print(f"run {number + 1} of {repeats}, {count:,} trades, {INSTRUMENTS} instruments")
        runs["pandas groupby, histogram alone"].append(histogram(some) / (len(some) * BURST))
        for name, feed in work.items():
            runs[name].append(feed() / (count - WARM * BURST))
    return judged({name: statistics.median(found) for name, found in runs.items()})


def _checked(bursts: list[MixedTrades], size: int) -> float:
    taken, found = fed(bursts, size)
    assert applied(found) == sum(len(burst) for burst in bursts)
    return taken


def judged(seconds: dict[str, float]) -> int:
    """Print the table, write the file; 1 when a goal is missed."""
    base, *ours = seconds.values()
    table = Table("1,000 instruments, bursts of 1,000", "ns/trade", "trades/s/core", "x pandas")
    for name, figure in seconds.items():
        table.add_row(name, f"{figure * 1e9:,.0f}", f"{1 / figure:,.0f}", f"{base / figure:.2f}")
    console.print(table)
    best = min(ours)
    goals = [
        ("engine, everything on, trades/s on one core", 1 / best, GOAL_RATE),
        ("engine, everything on / pandas histogram alone", base / best, GOAL_RATIO),
    ]
    for name, figure, goal in goals:
        met = "met   " if figure >= goal else "MISSED"
        console.print(f"{met} {name}: {figure:,.2f} (goal {goal:,g})")
    Path("build").mkdir(exist_ok=True)
    Path("build/bench_engine.json").write_text(json.dumps({"s_per_trade": seconds}, indent=1))
    return 0 if all(figure >= goal for _, figure, goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
