"""Killed at thousands of trades a second, in virtual time: what the road back costs by itself.

Processor time does not pass here, so this is what connecting, listing, noticing holes and the
venues' documented weights take; the kill loop measures the same with everything else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from backbone.settings import read_settings
from backbone.store.memory import MemoryStore
from simulator.service import Simulator
from simulator.tapes.synthetic import Market
from wadm.chaos.dense import dense_tape, whole_minutes_ms
from wadm.chaos.house import ROWS, START_MS
from wadm.chaos.life import Fence, Life
from wadm.chaos.virtual import VirtualLoop
from wadm.chaos.watching import COUNTED

DOWN_S = (1.0, 3.0, 6.0, 10.0)
"""How long nothing runs between a death and the next start."""
LIFE_S, LONGEST_S = 6.0, 60.0
LOOK_S = 0.05


async def run_restart(loop: VirtualLoop, seed: int, markets: list[Market]) -> list[float]:
    """Virtual seconds from each start of the process until no counted stream has a hole.

    Between death and start nothing runs for a while: what a start takes on a machine.
    """
    length_ms = whole_minutes_ms(len(DOWN_S) * (LIFE_S + LONGEST_S) + sum(DOWN_S))
    tape = dense_tape(markets, START_MS, length_ms, seed)
    store = MemoryStore()
    await store.open("simulated")
    took_s = []
    async with Simulator([tape], speed=1.0, start_after=len(markets)) as sim:
        settings = read_settings(
            {}, symbols="BTCUSDT", ws="websockets", row_sizes=ROWS, backfill="0",
            data_dir="var/chaos-nowhere", **sim.urls,
        )  # fmt: skip
        draw = random.Random(seed)
        life = Life(settings, Fence(store, draw, Counter()), loop, seed)
        await _exact(loop, life)
        for number, down_s in enumerate(DOWN_S, 1):
            await asyncio.sleep(LIFE_S)
            await life.kill()
            await asyncio.sleep(down_s)
            life = Life(settings, Fence(store, draw, Counter()), loop, seed + number)
            took_s.append(round(await _exact(loop, life), 2))
        await life.kill()
    return took_s


async def _exact(loop: VirtualLoop, life: Life) -> float:
    """Seconds until every counted stream is connected, has a live trade, and has no hole."""
    began_s = loop.time()
    while loop.time() - began_s < LONGEST_S:
        await asyncio.sleep(LOOK_S)
        streams = life.processor.engine.streams
        counted = [streams[name] for name in COUNTED if name in streams]
        if len(counted) == len(COUNTED) and all(
            stream.coverage.connected
            and stream.trade_since_connect
            and not stream.evidence.open_holes()
            for stream in counted
        ):
            break
    return loop.time() - began_s
