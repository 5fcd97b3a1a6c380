"""From the socket to an answer, while 500 symbols trade 20,000 times a second: part `latency`.

Two processes on two cores: `bench/blast.py` sends, and asks for what it just sent
(`bench/asking.py`); `bench/steady.py` is the whole house, with the store and a key, every timeframe
computed. The first goals are of a client that asks right after a trade was sent and goes on asking
until the answer contains it; the time runs from the write of the frame. Beside them stands what the
same questions take while nothing is sent. A second run at a tenth of the questions is printed and
not judged: it tells what a trade's way takes from what a full core takes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.blast import WARM, certificate
from bench.goals import Goal, console
from bench.road import Run, sent
from bench.stamps import Stamps

RATE, SYMBOLS, ASKS = 20_000, 500, 1_000
FEW_ASKS, FEW_ASKS_S, QUICK_FEW_S = 100, 15, 5
SOAK_S, QUICK_S = 600, 10
GOAL_P99_MS, GOAL_MAX_MS, GOAL_STATE_MS, GOAL_TURN_MS = 5.0, 25.0, 1.0, 10.0
GOAL_ASKED = 0.99
"""Of the questions that were due."""
START_S = 120.0


def steady(seconds: float, rate: int, symbols: int, asks: int) -> Run | None:
    """One run of the house under paced trades."""
    certificate()
    count = WARM + int(rate * seconds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stamps"
        Stamps(path, fresh=True)
        house = [sys.executable, "-m", "bench.steady", "{ws}", "{rest}"]
        return sent(
            count,
            rate,
            [*house, str(symbols), str(path), str(asks)],
            more=(str(symbols), str(path)),
            timeout_s=START_S + 3 * seconds,
        )


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """A soak with all the questions, and a short run with few."""
    seconds, few_s = (QUICK_S, QUICK_FEW_S) if quick else (SOAK_S, FEW_ASKS_S)
    runs: dict[str, Run | None] = {}
    for asks, length_s in ((ASKS, seconds), (FEW_ASKS, few_s)):
        console.print(f"latency: {length_s} s, {RATE:,} trades/s, {SYMBOLS} symbols, {asks} req/s")
        runs[f"{asks:,} req/s"] = steady(length_s, RATE, SYMBOLS, asks)
    shown(runs)
    return judged(runs[f"{ASKS:,} req/s"], seconds), {"runs": runs, "load": os.getloadavg()}


def shown(runs: dict[str, Run | None]) -> None:
    """Every latency of every run: median, p99 and longest, in milliseconds."""
    table = Table("run", "what", "count", "p50 ms", "p99 ms", "max ms")
    for name, run in runs.items():
        if run is None:
            continue
        rows = {
            "idle loop wakes": run["idle_wakes"],
            "idle, to answer": run["asked"]["idle"],
            "trade to answer": run["asked"]["busy"],
            "trade to processor": run["delivered"],
            "trade to state": run["applied"],
        }
        for what, late in rows.items():
            figures = ("-" if late[k] is None else f"{late[k]:,.2f}" for k in LATE)
            table.add_row(name, what, f"{late['count']:,}", *figures)
        console.print(
            f"{name}: {run['cpu_s'] / run['wall_s']:.2f} core, {run['asked']['counts']}, "
            f"{run['asked']['open']:,} unanswered, lost {run['lost']}, "
            f"turn wall / own {run['stall_ms']:.1f} / {run['stall_work_ms']:.1f} ms, "
            f"idle {run['idle_stall_ms']:.1f} / {run['idle_stall_work_ms']:.1f}"
        )
    console.print(table)


LATE = ("p50_ms", "p99_ms", "max_ms")


def judged(run: Run | None, seconds: float) -> list[Goal]:
    """The goals; beside each what an idle loop has."""
    found = run or {}
    asked = found.get("asked", {})
    busy, idle = asked.get("busy", {}), asked.get("idle", {})
    state, wakes = found.get("applied", {}), found.get("idle_wakes", {})
    at = f"{RATE:,} trades/s, {ASKS:,} req/s"
    counts = asked.get("counts", {})
    answered = counts.get("answers while busy", 0) / found["sent_s"] if found else None
    return [
        _beside(f"trade to answer, p99, {at}", busy, idle, "p99_ms", GOAL_P99_MS),
        _beside(f"trade to answer, longest, {at}", busy, idle, "max_ms", GOAL_MAX_MS),
        Goal(f"answers while {ASKS:,} req/s are due", "/s", answered, ASKS * GOAL_ASKED, "least"),
        _beside(f"trade to state, p99, {at}", state, wakes, "p99_ms", GOAL_STATE_MS),
        Goal(
            f"longest loop turn, own work, soak of {seconds:g} s",
            "ms",
            found.get("stall_work_ms"),
            GOAL_TURN_MS,
            baseline=found.get("idle_stall_work_ms"),
        ),
    ]


def _beside(name: str, busy: Run, idle: Run, key: str, goal: float) -> Goal:
    return Goal(name, "ms", busy.get(key), goal, baseline=idle.get(key))
