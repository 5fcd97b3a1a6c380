"""A whole house that starts from what it left behind, and says when it is where.

`python -m bench.house_run BEGAN_S` starts `wadm.compose.System` with the settings of its
environment. It prints a line when it is ready and one when every instrument has its day; lines read
from stdin are answered with figures since the last one. `BEGAN_S` is the monotonic clock when the
process was asked for, so Python's own start is counted; nothing is imported that a house is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backbone.settings import read_settings
from backbone.store.base import Fence, Store
from backbone.telemetry import configure_logs
from orderflow.timeframe import DAY_MS, MINUTE_MS, Window, floor_ms
from processor import windows
from processor.stream import Stream
from wadm import loops
from wadm.compose import SIMULATED, System, opened_store, spare_the_collector

LOOK_S = 0.25
PAGE = resource.getpagesize()
FULL_MS = DAY_MS - 10 * MINUTE_MS
"""A day that ends now misses what the stop took, and the minute that is not over."""


class Saved:
    """Bytes of checkpoints handed to the store."""

    def __init__(self, store: Store) -> None:
        self._save = store.save_checkpoints
        self.size = self.count = 0
        store.save_checkpoints = self.save  # type: ignore[method-assign]

    async def save(self, checkpoints: Mapping[str, bytes], fence: Fence | None = None) -> None:
        """Count, then as before."""
        self.size += sum(len(blob) for blob in checkpoints.values())
        self.count += len(checkpoints)
        await self._save(checkpoints, fence)


def resident_mb() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def has_day(stream: Stream) -> bool:
    """Whether the day before the stop can be answered: its hours are there."""
    end = floor_ms(stream.evicted_before_ms, MINUTE_MS)
    span = Window(end - DAY_MS, end)
    covered = sum(
        min(block.bars.end_ms, span.end_ms) - max(block.bars.start_ms, span.start_ms)
        for block in stream.history.blocks.values()
        if block.bars.end_ms > span.start_ms and block.bars.start_ms < span.end_ms
    )
    recent = sum(span.start_ms <= at < span.end_ms for at in stream.history.recent)
    return covered + recent * MINUTE_MS >= FULL_MS


def answered(stream: Stream, now_ms: int) -> int:
    """Milliseconds that the answer to a question for the day before the stop covers."""
    end = floor_ms(stream.evicted_before_ms, MINUTE_MS)
    piece = windows.footprint_of(stream, Window(end - DAY_MS, end), now_ms)
    return 0 if piece is None else piece[1].covered_ms


class House:
    """The process, its marks and its figures."""

    def __init__(self, system: System, saved: Saved, began_s: float) -> None:
        self.system, self.saved, self.began_s = system, saved, began_s
        self.streams = system.processor.engine.streams
        self._days: set[str] = set()
        self._last = (time.monotonic(), time.process_time(), 0, 0)

    def mark(self, name: str) -> None:
        """Tell how long it took to get here."""
        found = {"mark": name, "wall_s": time.monotonic() - self.began_s}
        found |= {"cpu_s": time.process_time(), "rss_mb": resident_mb()}
        print(json.dumps(found), flush=True)

    async def watch(self) -> None:
        """Ready, then every day there."""
        while not self.system.processor.ready:  # noqa: ASYNC110 (a flag of several parts)
            await asyncio.sleep(0.005)
        self.mark("ready")
        while len(self._days) < len(self.streams):
            await asyncio.sleep(LOOK_S)
            rest = [name for name in self.streams if name not in self._days]
            self._days.update(name for name in rest if has_day(self.streams[name]))
        self.mark("filled")

    def figures(self) -> dict[str, Any]:
        """Since the last question."""
        now = (time.monotonic(), time.process_time(), self.saved.size, self.saved.count)
        wall_s, cpu_s, size, count = (a - b for a, b in zip(now, self._last, strict=True))
        self._last = now
        streams = list(self.streams.values())
        found = {"wall_s": wall_s, "cpu_s": cpu_s, "rss_mb": resident_mb()}
        found |= {"checkpoint_bytes": size, "checkpoints": count}
        found |= {"live": sum(s.trade_since_connect for s in streams), "streams": len(streams)}
        found |= {"days": len(self._days), "unwritten": self.system.processor.unwritten}
        found |= {"closed": sum(s.closed_minutes for s in streams)}
        return found

    def asked(self) -> dict[str, Any]:
        """Of some instruments, whether the day is really answered."""
        names = sorted(self.streams)[:: max(1, len(self.streams) // 20)]
        of = {
            name: answered(self.streams[name], self.system.processor.now_ms(name)) for name in names
        }
        return {"asked": len(of), "least_covered_h": min(of.values()) / 3_600_000}


async def run(began_s: float) -> None:
    """Until stdin ends."""
    settings = read_settings(os.environ)
    async with opened_store(settings, SIMULATED) as store:
        system = System(settings, store, SIMULATED)
        house = House(system, Saved(store), began_s)
        watching = asyncio.create_task(house.watch())
        async with system.running():
            spare_the_collector()
            loop = asyncio.get_running_loop()
            while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
                print(json.dumps(house.asked() if line == "day" else house.figures()), flush=True)
            watching.cancel()


if __name__ == "__main__":
    configure_logs("error")
    loops.run(run(float(sys.argv[1])))
