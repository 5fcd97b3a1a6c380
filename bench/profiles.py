"""Profiles of a day: speed beside a pandas histogram, and bytes of 24 hours of footprints.

A real day of Binance spot trades (the shared one) where there is one, else a made-up walk with its
rows. All figures of a run are medians of the same process.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import tracemalloc
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any

import pandas as pd
from rich.table import Table

from bench.goals import Goal, console
from orderflow import footprint, packed
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators.nodes import nodes
from orderflow.indicators.shape import shape
from orderflow.indicators.volume_profile import profile
from orderflow.packed import PackedBars
from orderflow.timeframe import MINUTE_MS
from wadm.replay import Replay

SHARED_DAY = "data/binance_vision_20240101/BTCUSDT-aggTrades-2024-01-01.zip"
BASE_ROW, SERVED_ROW = Decimal(1), Decimal(5)
MINUTES, HOUR = 1_440, 60
INSTRUMENTS = 1_000
SINGLE_HOURS = 5
"""Hours that keep their minutes; the hours before keep their totals."""
GOAL_MS, GOAL_MB = 5.0, 400.0


def minutes_of(tape: Path | None) -> list[FootprintBar]:
    """The minutes of a day on base rows, by the real engine or made up."""
    if tape is None:
        return made_up()
    played = Replay(
        tape,
        "binance:spot:BTCUSDT",
        tick_size=None,
        lot_size=None,
        row_size=BASE_ROW,
        method="single",
    )
    return [bar for _, bar in played.windows(MINUTE_MS)][:MINUTES]


def made_up() -> list[FootprintBar]:
    """A walk with the real day's rows a minute (median 16, p95 52)."""
    chance, row, bars = random.Random(1), 42_000, []
    for place in range(MINUTES):
        count = max(2, min(90, round(chance.lognormvariate(2.8, 0.7))))
        row += chance.randint(-count // 2, count // 2)
        rows = {
            row + k: (chance.randint(0, 10**6), chance.randint(0, 10**6), chance.randint(1, 99))
            for k in range(count)
        }
        buy, sell, trades = (sum(column) for column in zip(*rows.values(), strict=True))
        flow = FlowBar(
            *(place * MINUTE_MS, (place + 1) * MINUTE_MS, Decimal("0.01"), Decimal("0.00001")),
            buy_lots=buy,
            sell_lots=sell,
            buy_trades=trades,
            records=trades,
            low_ticks=row * 100,
            high_ticks=(row + count) * 100 - 1,
        )
        bars.append(FootprintBar(flow, BASE_ROW, rows))
    return bars


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of processor time of a call, collections kept out."""
    gc.collect()
    gc.disable()
    taken = []
    for _ in range(repeats):
        start = process_time()
        work()
        taken.append((process_time() - start) * 1e3)
    gc.enable()
    return statistics.median(taken)


def read(blocks: Sequence[PackedBars], *, by_bar: bool) -> object:
    """A day's rows merged, its value area, nodes and shape."""
    rows = packed.merged_rows(blocks, SERVED_ROW, by_bar=by_bar)
    found, among = profile(rows), nodes(rows)
    return shape(rows, of=found, among=among)


def histogram(frame: pd.DataFrame) -> object:
    """The baseline: the histogram alone, without value area, nodes and shape."""
    return frame.groupby(frame["row"] // int(SERVED_ROW / BASE_ROW)).sum()


def megabytes(make: Callable[[], object], copies: int) -> float:
    """Megabytes of 1,000 instruments, measured on `copies` days of new objects."""
    gc.collect()
    tracemalloc.start()
    kept = [make() for _ in range(copies)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(kept) * INSTRUMENTS / 1e6


def copied(block: PackedBars) -> PackedBars:
    """A block whose bytes are shared with nobody."""
    again = [
        None if one is None else packed.Columns(*(bytes(bytearray(part)) for part in one))
        for one in (block.bars, block.total)
    ]
    names = ("start_ms", "end_ms", "tick_size", "lot_size", "row_size", "names", "volume_lots")
    fixed = [getattr(block, name) for name in names]
    return PackedBars(*fixed, block.total_count, bytes(bytearray(block.counts)), *again)  # type: ignore[arg-type]


def shared_day() -> Path | None:
    """The shared day's tape, where it is."""
    tape = Path(os.environ.get("WADM_SHARED", "../shared")) / SHARED_DAY
    return tape if tape.exists() else None


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Measure and print; goals, and all figures."""
    tape = shared_day()
    bars = minutes_of(tape)
    console.print(f"{len(bars)} minutes from {'a made-up walk' if tape is None else tape.name}")
    repeats = 15 if quick else 60
    blocks = [packed.pack(bars[at : at + HOUR]) for at in range(0, len(bars), HOUR)]
    direct = footprint.then(bars).coarsened(SERVED_ROW).rows
    assert packed.merged_rows(blocks, SERVED_ROW) == direct
    columns = [(row, *cell) for bar in bars for row, cell in bar.rows.items()]
    frame = pd.DataFrame(columns, columns=["row", "buy", "sell", "trades"])
    speed = {
        "pandas groupby, histogram alone": median_ms(lambda: histogram(frame), repeats),
        "rows of bar objects added, histogram alone": median_ms(
            lambda: footprint.sum_rows((bar.rows for bar in bars), 5), repeats // 5
        ),
        "day from 24 packed hours: value area, nodes, shape": median_ms(
            lambda: read(blocks, by_bar=False), repeats
        ),
        "day from 1,440 single minutes of them: the same": median_ms(
            lambda: read(blocks, by_bar=True), repeats
        ),
        "pack an hour of minutes": median_ms(lambda: packed.pack(bars[:HOUR]), repeats // 5),
        "unpack an hour of minutes": median_ms(lambda: packed.unpack(blocks[0]), repeats // 5),
    }
    old = [packed.totals_only(block) for block in blocks[:-SINGLE_HOURS]]
    newest = blocks[-SINGLE_HOURS:]
    memory = {
        "bar objects with dicts": megabytes(lambda: [packed.unpack(b) for b in blocks], 1),
        "packed, all minutes": megabytes(lambda: [copied(b) for b in blocks], 10),
        f"packed, minutes of {SINGLE_HOURS} h, totals of the hours before": megabytes(
            lambda: [copied(b) for b in (*old, *newest)], 10
        ),
    }
    shown(speed, memory)
    goals = [
        Goal("1d profile, value area, nodes, shape", "ms", list(speed.values())[2], GOAL_MS),
        Goal("the same from 1,440 single minutes", "ms", list(speed.values())[3], GOAL_MS),
        Goal("24 h of footprints, 1,000 instruments", "MB", list(memory.values())[-1], GOAL_MB),
    ]
    return goals, {"speed_ms": speed, "memory_mb": memory}


def shown(speed: dict[str, float], memory: dict[str, float]) -> None:
    """Two tables."""
    base, *_ = speed.values()
    table = Table("1 day, 1 instrument", "ms", "x pandas")
    for name, figure in speed.items():
        table.add_row(name, f"{figure:.2f}", f"{figure / base:.2f}")
    console.print(table)
    base_mb, *_ = memory.values()
    table = Table("24 h of footprints, 1,000 instruments", "MB", "x objects")
    for name, figure in memory.items():
        table.add_row(name, f"{figure:,.0f}", f"{figure / base_mb:.3f}")
    console.print(table)
