"""The whole market on one machine: 1,500 instruments, and ten times their rate for five seconds."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from typing import Any

from bench import market_split
from bench.goals import Goal, console
from bench.market_child import Child, Found
from bench.market_tape import BURST_S

COUNT, QUICK_COUNT = 1_500, 200
START_S, QUICK_START_S = 150, 30
"""Announcing 1,500 instruments takes two minutes of the venues' REST budgets."""
STEADY_S, QUICK_STEADY_S = 60, 6
AFTER_S, QUICK_AFTER_S = 65, 8
FAST = "BENCH_FAST_START" in os.environ
"""Venues without REST budgets, for those who look for costs and not for figures."""
GOAL_CORES, GOAL_MB = 1.5, 1_000.0


class Times:
    """When what happens, in seconds of the tape."""

    def __init__(self, *, quick: bool) -> None:
        self.steady_from = QUICK_START_S if quick or FAST else START_S
        self.burst_at = self.steady_from + (QUICK_STEADY_S if quick else STEADY_S)
        self.end = self.burst_at + BURST_S + (QUICK_AFTER_S if quick else AFTER_S)

    def phases(self) -> list[tuple[str, float]]:
        """Names of what is measured, and when each ends."""
        burst_ends = self.burst_at + BURST_S + 0.5
        return [
            ("start", self.steady_from),
            ("steady", self.burst_at),
            ("burst", burst_ends),
            ("after 5 s", burst_ends + 5),
            ("after", self.end),
        ]


def environ_of(market: Found, folder: str) -> dict[str, str]:
    """Settings that lead to the simulated venues."""
    found = {f"WADM_{name.upper()}": url for name, url in market["urls"].items()}
    return found | {
        "WADM_SYMBOLS": "all",
        "WADM_BACKFILL": "0",
        "WADM_DERIVATIVES": "off",
        "WADM_DATA_DIR": folder,
        "WADM_PORT": "0",
        "WADM_LOG_LEVEL": "error",
    }


def measured_parts(count: int, times: Times, start: Any) -> dict[str, Any]:
    """The phases of one run: figures by phase and process, and the market's own."""
    words = ["bench.market_tape", str(count), str(int(times.end) + 30), str(times.burst_at)]
    market = Child(words)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.callback(market.stop)
        opened = market.read()
        offset_ms = opened["tape_ms"] - opened["monotonic_ms"]
        began_s = opened["monotonic_ms"] / 1e3
        parts: dict[str, Child] = start(stack, environ_of(opened, folder), offset_ms, folder)
        phases: dict[str, dict[str, Found]] = {}
        for name, until_s in times.phases():
            time.sleep(max(0.0, began_s + until_s - time.monotonic()))
            phases[name] = {part: child.ask() for part, child in parts.items()}
            _tell(name, phases[name])
        return {"phases": phases, "market": market.ask(), "load": os.getloadavg()}


def _tell(phase: str, found: dict[str, Found]) -> None:
    for part, figures in found.items():
        if "stall_ms" not in figures:
            cores = figures["cpu_s"] / max(figures["wall_s"], 0.001)
            console.print(f"{phase:10} {part:18} {cores:5.2f} cores {figures['rss_mb']:7.0f} MB")
            continue
        cores = figures["cpu_s"] / max(figures["wall_s"], 0.001)
        lag = figures.get("lag", {})
        console.print(
            f"{phase:10} {part:14} {cores:5.2f} cores {figures['rss_mb']:7.0f} MB  "
            f"{lag.get('trades', 0):8,} trades  lag p50 {lag.get('p50_ms', '-')} p99 "
            f"{lag.get('p99_ms', '-')} max {lag.get('max_ms', '-')} ms  longest turn "
            f"{figures['stall_ms']:.0f}/{figures['stall_work_ms']:.0f} ms"
        )


def in_one(stack: Any, environ: dict[str, str], offset_ms: float, folder: str) -> dict[str, Child]:
    """Everything in one process."""
    child = Child(["bench.market_house", "all", str(offset_ms)], **environ)
    stack.callback(child.stop)
    return {"all": child}


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """One process, then several."""
    count, times = (QUICK_COUNT if quick else COUNT), Times(quick=quick)
    goals: list[Goal] = []
    runs: dict[str, Any] = {}
    for how, start in (("one process", in_one), ("split over NATS", market_split.start)):
        console.print(f"market: {count:,} instruments, {how}, {times.end:.0f} s")
        runs[how] = measured_parts(count, times, start)
        goals += judged(how, runs[how])
    return goals, runs


def judged(how: str, run: dict[str, Any]) -> list[Goal]:
    """The goals of one way to run it; all its processes count, the venues do not."""
    phases = run["phases"]
    spans = [phases[name] for name in ("steady", "burst", "after 5 s", "after")]
    cpu = sum(part["cpu_s"] for span in spans for part in span.values())
    wall = sum(max(part["wall_s"] for part in span.values()) for span in spans)
    memory = max(sum(part["rss_mb"] for part in span.values()) for span in spans)
    name = f"market, {how}"
    goals = [
        Goal(f"{name}: cores, burst included", "", cpu / wall, GOAL_CORES),
        Goal(f"{name}: memory", "MB", memory, GOAL_MB),
    ]
    last = next((part for part in spans[-1].values() if "streams" in part), None)
    if last is not None:
        end = last["streams"]
        begun = [part["streams"] for part in phases["start"].values() if "streams" in part]
        before = sum(one["lost_holes"] for one in begun)
        lost = last["dropped"] + end["lost_holes"] - before + end["unverified"]
        goals.append(Goal(f"{name}: trades dropped, holes and minutes that differ", "", lost, 0))
    return goals
