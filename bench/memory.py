"""Resident memory of a whole house that has 24 hours behind it, and whether it grows with time.

Memory is taken at the end of the run that `start` measures: collectors, processor, store and server
in one process, every stream live, minutes closing. Whether it grows is asked of a processor that
lives on in virtual time after the 26 hours it keeps: the straight line through its memory at the
end of each hour, from the first to the last, beside the mean (`wadm chaos --soak` does the same).
"""

from __future__ import annotations

import tempfile
from typing import Any

import msgspec

from bench.goals import Goal, console
from bench.house_past import WARM_HOURS
from bench.house_start import Run, lived, started
from bench.start import COUNT
from wadm.chaos.soak import slope_of

FEW = 20
MOST_MB, FEW_MB = 400.0, 130.0
HOURS, QUICK_HOURS = 8, 4
MOST_SLOPE = 0.01


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Many, few, and the same for hours; a quick run is of the few."""
    most = {FEW: FEW_MB} if quick else {COUNT: MOST_MB, FEW: FEW_MB}
    runs = {number: started(number, quick=quick) for number in most}
    console.print(f"{WARM_HOURS} hours, then {QUICK_HOURS if quick else HOURS}, in virtual time")
    with tempfile.TemporaryDirectory() as folder:
        hours = WARM_HOURS + (QUICK_HOURS if quick else HOURS) + 1
        memory_mb = lived(folder, FEW, hours, plain=quick)["memory_mb"]
    after = memory_mb[WARM_HOURS:]
    console.print("MB: " + " ".join(f"{size:.1f}" for size in memory_mb))
    goals = [
        Goal(f"{number:,} instruments with a day: memory", "MB", _with_days(run), most[number])
        for number, run in runs.items()
    ]
    slope = Goal("memory after 26 hours: growth in hours", "of mean", slope_of(after), MOST_SLOPE)
    more = {str(number): msgspec.to_builtins(run) for number, run in runs.items()}
    return [*goals, slope], {"memory_mb": memory_mb, "runs": more}


def _with_days(run: Run) -> float | None:
    """Memory at the end; not measured where days are still missing."""
    return run.steady["rss_mb"] if "filled" in run.marks else None
