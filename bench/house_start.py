"""A house prepared, started and watched: what both `start` and `memory` measure.

One run for each number of instruments and process of the benchmark: the second part that asks gets
what the first measured.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bench.goals import console
from bench.house_past import FILE, HOURS
from bench.market import environ_of
from bench.market_child import Child, Found
from orderflow.timeframe import MINUTE_MS

PAST_S = 400
FILL_S, LIVE_S, STEADY_S = 150, 60, 30
QUICK_FILL_S, QUICK_LIVE_S, QUICK_STEADY_S = 15, 10, 10


class Run(msgspec.Struct):
    """What one start showed; a mark that was not reached is missing."""

    past: Found
    marks: dict[str, Found]
    live: Found
    steady: Found
    day: Found
    load: tuple[float, float, float]


def lived(folder: str, count: int, hours: int, *, plain: bool) -> Found:
    """A store that a house left behind, ended now; what it cost."""
    end_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
    words = [folder, str(count), str(end_ms), str(hours), *(["plain"] if plain else [])]
    out = subprocess.run(
        [sys.executable, "-m", "bench.house_past", *words],
        capture_output=True,
        text=True,
        timeout=PAST_S,
        check=True,
    )
    found: Found = json.loads(out.stdout.splitlines()[-1])
    return found


class Watched:
    """A house that also speaks of itself: marks in between answers are kept."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.marks: dict[str, Found] = {}
        self.child = Child(["bench.house_run", str(time.monotonic())], **environ)

    def ask(self, line: str = "figures") -> Found:
        """The answer."""
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(line + "\n")
        self.child.process.stdin.flush()
        while "mark" in (found := self.child.read()):
            console.print(
                f"{found['mark']:10} {found['wall_s']:6.1f} s, {found['cpu_s']:6.1f} s of processor"
                f" time, {found['rss_mb']:.0f} MB"
            )
            self.marks[found["mark"]] = found
        return found

    def until(self, name: str, seconds: float) -> Found:
        """The last figures before this is reached, or before the time is over."""
        end = time.monotonic() + seconds
        while True:
            found = self.ask()
            live = found["live"] == found["streams"] > 0
            if (live if name == "live" else name in self.marks) or time.monotonic() > end:
                return found
            time.sleep(0.5)


@functools.cache
def started(count: int, *, quick: bool) -> Run:
    """Prepare, start, wait for what is asked of it, and let it live on for a while."""
    fill_s, live_s = (QUICK_FILL_S, QUICK_LIVE_S) if quick else (FILL_S, LIVE_S)
    steady_s = QUICK_STEADY_S if quick else STEADY_S
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        console.print(f"{count:,} instruments live {HOURS} hours")
        past = lived(folder, count, HOURS, plain=quick)
        size = (Path(folder) / FILE).stat().st_size / 1e6
        console.print(
            f"in {past['lived_s'] + past['doubled_s']:.0f} s; the store has {size:.0f} MB"
        )
        length = str(fill_s + live_s + steady_s + 60)
        market = Child(["bench.house_market", str(count), length, json.dumps(past["last"])])
        stack.callback(market.stop)
        house = Watched(environ_of(market.read(), folder))
        stack.callback(house.child.stop)
        house.until("filled", fill_s)
        live = house.until("live", live_s)
        console.print(f"live: {live['live']} of {live['streams']}, days: {live['days']}")
        house.ask()
        time.sleep(steady_s)
        steady = house.ask()
        return Run(past, house.marks, live, steady, house.ask("day"), os.getloadavg())
