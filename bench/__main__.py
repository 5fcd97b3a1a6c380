"""`python -m bench [--quick] [--report] [PART …]`: every part, every figure, then the verdict.

Writes build/bench.json (per goal: name, unit, figure, baseline, ratio, goal, met) and a file per
part, and docs/benchmarks.md with its picture when all parts ran or with --report; exits 1 when a
goal was missed or a part broke.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from bench import (
    busy,
    decode,
    drain,
    edge,
    engine,
    growth,
    indicators,
    latency,
    market,
    mcp,
    memory,
    profiles,
    report,
    rest,
    road,
    start,
    stream,
)
from bench.goals import Goal, console, show, write

Part = Callable[..., tuple[list[Goal], dict[str, Any]]]
PARTS: dict[str, Part] = {
    "road": road.measured,
    "decode": decode.measured,
    "engine": engine.measured,
    "growth": growth.measured,
    "indicators": indicators.measured,
    "profiles": profiles.measured,
    "mcp": mcp.measured,
    "stream": stream.measured,
    "rest": rest.measured,
    "edge": edge.measured,
    "drain": drain.measured,
    "market": market.measured,
    "start": start.measured,
    "memory": memory.measured,
    "latency": latency.measured,
    "busy": busy.measured,
}


def main() -> int:
    """Run the parts named, or all of them."""
    quick = "--quick" in sys.argv
    chosen = [word for word in sys.argv[1:] if not word.startswith("-")] or list(PARTS)
    goals: list[Goal] = []
    parts: dict[str, list[Goal]] = {}
    for place, name in enumerate(chosen):
        console.rule(f"{name} ({place + 1} of {len(chosen)})")
        began = time.monotonic()
        try:
            found, more = PARTS[name](quick=quick)
        except Exception:  # noqa: BLE001 (a part that breaks is a missed goal; the others go on)
            console.print(traceback.format_exc())
            found, more = [Goal(f"{name} runs", "", None, 1, "least")], {}
        show(found)
        console.print(f"{name} took {time.monotonic() - began:.0f} s")
        write(f"bench_{name}", found, took_s=time.monotonic() - began, **more)
        goals += found
        parts[name] = found
    console.rule("all goals")
    show(goals)
    write("bench", goals)
    missing = [name for name in PARTS if name not in parts]
    if not missing or "--report" in sys.argv:
        report.written(parts, missing, quick=quick)
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
