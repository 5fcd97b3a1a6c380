"""A start from checkpoints: seconds until ready, until every day is there, bytes of checkpoints.

A thousand instruments have 24 hours in the store, as the processor left them; the whole house
starts in a process of its own against simulated venues with their REST budgets. Processor time of
the house is shown beside the wall clock, which is longer on a busy machine by what others took.
"""

from __future__ import annotations

from typing import Any

import msgspec
from rich.table import Table

from bench.goals import Goal, console
from bench.house_start import Run, started

COUNT, QUICK_COUNT = 1_000, 40
READY_S, FILLED_S, MB_PER_S = 3.0, 20.0, 5.0


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """One start; a quick one is of fewer instruments and has so much less time for their days."""
    count = QUICK_COUNT if quick else COUNT
    run = started(count, quick=quick)
    shown(run)
    return judged(run, count), msgspec.to_builtins(run)


def judged(run: Run, count: int) -> list[Goal]:
    """The three goals."""
    share = count / COUNT
    rate = run.steady["checkpoint_bytes"] / run.steady["wall_s"] / 1e6
    ready, filled = run.marks.get("ready", {}), run.marks.get("filled", {})
    named = f"start, {count:,} instruments"
    return [
        Goal(f"{named}: ready", "s", ready.get("wall_s"), READY_S),
        Goal(f"{named}: every day in memory", "s", filled.get("wall_s"), FILLED_S * share),
        Goal(f"{named}: checkpoints", "MB/s", rate, MB_PER_S),
    ]


def shown(run: Run) -> None:
    """Wall clock and processor time of each phase."""
    table = Table("phase", "wall s", "processor s", "MB resident")
    phases = {**run.marks, "steady": run.steady}
    for name, found in phases.items():
        numbers = (found["wall_s"], found["cpu_s"], found["rss_mb"])
        table.add_row(name, *(f"{number:,.1f}" for number in numbers))
    console.print(table)
    steady, count = run.steady, run.steady["checkpoints"]
    console.print(
        f"steady: {steady['live']} of {steady['streams']} live, {count / steady['wall_s']:.0f} "
        f"checkpoints a second of {steady['checkpoint_bytes'] / max(1, count) / 1e3:.1f} kB; days "
        f"in memory {steady['days']}; the day of {run.day['asked']} asked covers at least "
        f"{run.day['least_covered_h']:.2f} h; load {run.load[0]:.1f}"
    )
