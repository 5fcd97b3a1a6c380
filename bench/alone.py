"""Histogram and flow alone, on batches of 1,000 trades of one instrument, beside pandas.

Every other streaming indicator is switched off. The engine still keeps its ledger, looks at every
batch before it believes it, and cuts it into cells. pandas gets the same batches as frames whose
price is the histogram's row already, and adds up rows and sides; both must find the same volume at
every price. Each batch is applied by itself; fed through `Waiting`, as the processor does, many are
applied together, which is shown and not judged.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import process_time
from typing import Any
from unittest.mock import patch

import pandas as pd
from rich.table import Table

from bench.bursts import BURST, engine, feed, made, settle
from bench.goals import Goal, console, times
from orderflow.mixed import MixedTrades
from processor import bulk
from processor.engine import Engine
from processor.ladder import Ladder
from processor.spans import Spans
from processor.toxicity import Toxicity
from processor.waiting import Waiting

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


HISTOGRAM = "volume at price (profile, footprint)"
BATCHES, FIRST = 256, 8
"""Batches, and how many of them go before the clock starts."""
GOAL_RATIO = 10.0
Histogram = dict[tuple[int, int], int]


def applied(bursts: list[MixedTrades], *, waiting: bool) -> tuple[float, Engine]:
    """Seconds of processor time, each batch by itself or as the processor feeds them."""
    found, pool = engine(1), Waiting()
    for burst in bursts[:FIRST]:
        found.handle(burst)
    gc.collect()
    gc.disable()
    began = process_time()
    if waiting:
        feed(found, pool, bursts[FIRST:])
        settle(found, pool)
    else:
        for burst in bursts[FIRST:]:
            found.handle(burst)
    taken = process_time() - began
    gc.enable()
    return taken, found


def histogram(frames: list[pd.DataFrame]) -> tuple[float, Histogram]:
    """Seconds of processor time of a groupby a batch, added up in a dict."""
    total: Histogram = {}
    gc.collect()
    gc.disable()
    began = process_time()
    for frame in frames:
        for cell, lots in frame.groupby(["row", "side"])["lots"].sum().items():
            total[cell] = total.get(cell, 0) + lots  # type: ignore[index, arg-type]
    taken = process_time() - began
    gc.enable()
    return taken, total


def frame_of(burst: MixedTrades, row_ticks: int) -> pd.DataFrame:
    """A batch as pandas would get it."""
    row = burst.price_ticks // row_ticks
    return pd.DataFrame({"row": row, "side": burst.side, "lots": burst.qty_lots})


def volume(found: Engine, since_ms: int) -> Histogram:
    """(row, side) to lots of all minutes from then on."""
    total: Histogram = {}
    (stream,) = found.streams.values()
    for start, minute in stream.minutes.items():
        for row, (buy, sell, _) in minute.ladder.rows.items() if start >= since_ms else ():
            for side, lots in ((1, buy), (0, sell)):
                if lots:
                    total[row, side] = total.get((row, side), 0) + lots
    return total


def measured(repeats: int) -> Goal:
    """Alternate, show, judge."""
    bursts = made(BATCHES * BURST, 1)
    since_ms = int(bursts[0].event_ms[0])
    (stream,) = applied(bursts[:FIRST], waiting=False)[1].streams.values()
    row_ticks = stream.minutes[since_ms].ladder.row_ticks
    frames = [frame_of(burst, row_ticks) for burst in bursts]
    theirs = histogram(frames)[1]
    runs: dict[str, list[float]] = {"pandas": [], "ours": [], "ours, through Waiting": []}
    with ExitStack() as stack:
        for name in OFF.keys() - {HISTOGRAM}:
            stack.enter_context(without(name))
        for _ in range(repeats):
            runs["pandas"].append(histogram(frames[FIRST:])[0])
            for name, waiting in (("ours", False), ("ours, through Waiting", True)):
                taken, found = applied(bursts, waiting=waiting)
                runs[name].append(taken)
                assert volume(found, since_ms) == theirs
    count = (BATCHES - FIRST) * BURST
    seconds = {name: statistics.median(taken) / count for name, taken in runs.items()}
    table = Table("histogram and flow alone, batches of 1,000", "ns/trade", "x pandas")
    for name, each in seconds.items():
        table.add_row(name, f"{each * 1e9:,.0f}", f"{seconds['pandas'] / each:.2f}")
    console.print(table)
    name = "engine, histogram and flow alone / pandas groupby, batches of 1,000"
    return times(name, "trades/s/core", 1 / seconds["ours"], 1 / seconds["pandas"], GOAL_RATIO)
