"""`python -m bench [--quick] [PART …]`: every part, every figure, then the verdict.

Writes build/bench.json (per goal: name, unit, figure, baseline, ratio, goal, met) and a file per
part; exits 1 when a goal was missed or a part broke.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

from bench import drain, edge, engine, indicators, market, mcp, profiles, road, stream
from bench.goals import Goal, console, show, write

Part = Callable[..., tuple[list[Goal], dict[str, Any]]]
PARTS: dict[str, Part] = {
    "road": road.measured,
    "engine": engine.measured,
    "indicators": indicators.measured,
    "profiles": profiles.measured,
    "mcp": mcp.measured,
    "stream": stream.measured,
    "edge": edge.measured,
    "drain": drain.measured,
    "market": market.measured,
}


def main() -> int:
    """Run the parts named, or all of them."""
    quick = "--quick" in sys.argv
    chosen = [word for word in sys.argv[1:] if not word.startswith("-")] or list(PARTS)
    goals: list[Goal] = []
    for name in chosen:
        console.rule(name)
        try:
            found, more = PARTS[name](quick=quick)
        except Exception:  # noqa: BLE001 (a part that breaks is a missed goal; the others go on)
            console.print(traceback.format_exc())
            found, more = [Goal(f"{name} runs", "", None, 1, "least")], {}
        show(found)
        write(f"bench_{name}", found, **more)
        goals += found
    console.rule("all goals")
    show(goals)
    write("bench", goals)
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
