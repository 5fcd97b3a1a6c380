"""The venues of a house with a past: `python -m bench.house_market COUNT SECONDS LAST_JSON`.

Both venues play in real time from now on, each instrument where its past ended: nothing traded
while the house was stopped. Prints the settings that lead there; ends with stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bench.house_trades import tape
from bench.market_tape import TICK_S
from simulator.limits import Limits
from simulator.service import Simulator

LEAD_MS = 2_000


async def play(count: int, seconds: int, last: dict[str, int]) -> None:
    """As both venues; REST budgets are those of the venues."""
    start_ms = time.time_ns() // 1_000_000 + LEAD_MS + count
    made = tape(count, last, start_ms, seconds)
    simulator = Simulator([made], speed=1, start_after=0, limits=Limits())
    simulator.player.tick_s = TICK_S
    await asyncio.sleep(max(0, start_ms - time.time_ns() // 1_000_000) / 1_000)
    async with simulator:
        await simulator.started.wait()
        print(json.dumps({"urls": simulator.urls}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(play(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])))
