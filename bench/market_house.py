"""What carries the market, as processes that say what they cost.

`python -m bench.market_house all|collect VENUE|process|serve OFFSET_MS` runs a part with its own
code, reads lines from stdin and answers each with its figures since the last one. `OFFSET_MS` leads
from the machine's monotonic clock to the tape's.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from backbone.settings import Settings, read_settings
from backbone.telemetry import configure_logs
from bench.ours import Probe
from orderflow.mixed import MixedTrades
from processor.engine import Engine
from processor.settling import Settling
from wadm import apart, loops
from wadm.compose import SIMULATED, System, opened_store, spare_the_collector

MOST_LAG_MS = 60_000
FEW = 200
PAGE = resource.getpagesize()


class Lags:
    """How late trades are when an answer would contain them: a count per millisecond."""

    def __init__(self, offset_ms: float) -> None:
        self._offset_ms = offset_ms
        self._counts = np.zeros(MOST_LAG_MS + 1, dtype=np.int64)
        self.first_ms: dict[str, float] = {}
        self.engine: Engine | None = None
        self._began_ms = time.monotonic_ns() / 1e6

    def watch(self) -> None:
        """See every trade that reaches a processor in this process."""
        add, lags = Settling.add, self

        def watched(settling: Settling, trades: Any) -> None:
            lags.engine = settling._engine
            lags.take(trades)
            add(settling, trades)

        Settling.add = watched  # type: ignore[method-assign]

    def take(self, trades: Any) -> None:
        """Note a batch or burst that was just delivered; what was asked for again came late."""
        if trades.source != "live":
            return
        now_ms = time.monotonic_ns() / 1e6
        names = trades.instruments if isinstance(trades, MixedTrades) else (trades.instrument,)
        for name in names:
            if name not in self.first_ms:
                self.first_ms[name] = now_ms - self._began_ms
        now_tape_ms = now_ms + self._offset_ms
        if len(trades) < FEW:
            for event_ms in trades.event_ms:
                self._counts[min(max(int(now_tape_ms - event_ms), 0), MOST_LAG_MS)] += 1
            return
        late = now_tape_ms - np.asarray(trades.event_ms, dtype=np.int64)
        late = np.clip(late, 0, MOST_LAG_MS).astype(np.int64)
        self._counts += np.bincount(late, minlength=MOST_LAG_MS + 1)

    def first_trades(self) -> dict[str, float]:
        """Seconds from the start of this process to the first trade of an instrument."""
        found = sorted(self.first_ms.values())
        if not found:
            return {}
        at = {"first_s": found[0], "median_s": found[len(found) // 2], "last_s": found[-1]}
        return {"instruments": len(found)} | {k: round(v / 1e3, 2) for k, v in at.items()}

    def figures(self) -> dict[str, Any]:
        """Since the last time: trades, and lags in milliseconds."""
        counts, self._counts = self._counts, np.zeros(MOST_LAG_MS + 1, dtype=np.int64)
        total = int(counts.sum())
        if not total:
            return {"trades": 0}
        sums = counts.cumsum()
        at = {f"p{p}_ms": int(np.searchsorted(sums, total * p / 100)) for p in (50, 99)}
        return {"trades": total, "max_ms": int(np.flatnonzero(counts)[-1]), **at}


def resident_mb() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


async def answer(said: Callable[[], dict[str, Any]], probe: Probe) -> None:
    """A line of figures for every line read, until there are no more."""
    loop = asyncio.get_running_loop()
    cpu_s, wall_s = time.process_time(), time.monotonic()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        now_cpu_s, now_s = time.process_time(), time.monotonic()
        found = {"cpu_s": now_cpu_s - cpu_s, "wall_s": now_s - wall_s, "rss_mb": resident_mb()}
        cpu_s, wall_s = now_cpu_s, now_s
        print(json.dumps(found | probe.worst() | said()), flush=True)


def streams_of(system_streams: Any) -> dict[str, Any]:
    """What is known of all streams: collected, proven, and what is missing."""
    streams = list(system_streams.values())
    return {
        "instruments": len(streams),
        "live": sum(s.coverage.connected and s.trade_since_connect for s in streams),
        "applied": sum(s.ledger.counts.applied for s in streams),
        "closed": sum(s.closed_minutes for s in streams),
        "verified": sum(s.verified_minutes for s in streams),
        "unverified": sum(s.unverified_minutes for s in streams),
        "open_holes": sum(len(s.evidence.open_holes()) for s in streams),
        "lost_holes": sum(s.lost_gaps for s in streams),
    }


async def whole(settings: Settings, lags: Lags, probe: Probe) -> None:
    """Collectors, processor, store and server in this process."""
    async with opened_store(settings, SIMULATED) as store:
        system = System(settings, store, SIMULATED)
        async with system.running():
            spare_the_collector()

            def said() -> dict[str, Any]:
                feeds = system.feeds()
                return {
                    "lag": lags.figures(),
                    "streams": streams_of(system.processor.engine.streams),
                    "dropped": sum(feed.dropped for feed in feeds),
                    "connects": sum(feed.connects for feed in feeds),
                    "feeds": len(feeds),
                    "rest": system.rest(),
                    "first_trades": lags.first_trades(),
                    "port": system.port,
                    "unwritten": (
                        system.processor.writer.size,
                        system.processor.chronicler.backlog,
                    ),
                }

            await answer(said, probe)


async def part(work: Awaitable[None], lags: Lags, probe: Probe) -> None:
    """One of the processes of a house of several."""

    def said() -> dict[str, Any]:
        found = {"lag": lags.figures(), "first_trades": lags.first_trades()}
        if lags.engine is None:
            return found
        return found | {"streams": streams_of(lags.engine.streams), "dropped": 0}

    running = asyncio.ensure_future(work)
    answering = asyncio.create_task(answer(said, probe))
    await asyncio.wait([running, answering], return_when=asyncio.FIRST_COMPLETED)
    for task in (running, answering):
        task.cancel()
    await asyncio.gather(running, answering, return_exceptions=True)


async def run(words: list[str], offset_ms: float) -> None:
    """Begin probing, then the part."""
    lags, probe = Lags(offset_ms), Probe()
    lags.watch()
    settings = read_settings(os.environ)
    probing = asyncio.create_task(probe.run())
    try:
        if words[0] == "all":
            await whole(settings, lags, probe)
        elif words[0] == "collect":
            await part(apart.collect(settings, words[1]), lags, probe)
        elif words[0] == "process":
            await part(apart.process(settings, SIMULATED), lags, probe)
        else:
            await part(apart.serve(settings, SIMULATED), lags, probe)
    finally:
        probing.cancel()


if __name__ == "__main__":
    configure_logs("error")
    if os.environ.pop("BENCH_FAST_START", ""):
        from collectors import budget

        budget.EVERYDAY_SHARE = budget.REPAIR_SHARE = 100.0
    loops.run(run(sys.argv[1:-1], float(sys.argv[-1])))
