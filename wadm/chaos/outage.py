"""Five minutes without a network at a thousand aggregates a second: how soon all is exact again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from backbone.settings import read_settings
from backbone.store.memory import MemoryStore
from orderflow.timeframe import MINUTE_MS
from simulator.faults import FaultPlan
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.chaos.house import ROWS, START_MS
from wadm.chaos.life import Fence, Life
from wadm.chaos.virtual import VirtualLoop

SYMBOLS = (("BTCUSDT", 64_000.0), ("ETHUSDT", 3_100.0), ("SOLUSDT", 150.0), ("BNBUSDT", 590.0),
           ("LTCUSDT", 82.0))  # fmt: skip
BEFORE_S, OUTAGE_S, LONGEST_S = 60.0, 300.0, 600.0
ORDERS_PER_S = 560.0
"""A little more than 200 aggregates a second and symbol come of it."""


async def run_outage(loop: VirtualLoop, seed: int) -> dict[str, float]:
    """Virtual seconds from the return of the network until no hole is open, and what was lost.

    USD-M, whose pages weigh most: the slowest of the markets that can be made exact.
    """
    minutes = int((BEFORE_S + OUTAGE_S + LONGEST_S) // 60)
    markets = [
        Market(f"binance:perp:{symbol}", "0.01", "0.001", price, ORDERS_PER_S, 0.5)
        for symbol, price in SYMBOLS
    ]
    end_ms = START_MS + minutes * MINUTE_MS
    tape = synthetic_tape(START_MS, seed=seed, markets=markets, end_ms=end_ms - 1)
    faults = FaultPlan()
    store = MemoryStore()
    await store.open("simulated")
    async with Simulator([tape], speed=1.0, faults=faults, start_after=5) as sim:
        sim.player.tick_s = 0.4
        symbols = ",".join(symbol for symbol, _ in SYMBOLS)
        settings = read_settings(
            {}, symbols=symbols, ws="websockets", row_sizes=ROWS, backfill="0", venues="binance",
            markets="perp", data_dir="var/chaos-nowhere", **sim.urls,
        )  # fmt: skip
        life = Life(settings, Fence(store, random.Random(seed), Counter()), loop, seed)
        await asyncio.sleep(BEFORE_S)
        faults.refuse_connects = 10**6
        faults.refuse_rest(0, 10**6)
        await sim.close_all_connections(abort=True)
        await asyncio.sleep(OUTAGE_S)
        faults.calm()
        began_s = loop.time()
        while loop.time() - began_s < LONGEST_S:
            await asyncio.sleep(1.0)
            streams = life.processor.engine.streams.values()
            if all(s.coverage.connected and not s.evidence.open_holes() for s in streams):
                break
        took_s = loop.time() - began_s
        lost = sum(s.lost_gaps for s in life.processor.engine.streams.values())
        await life.kill()
    return {
        "exact_after_s": round(took_s, 1),
        "aggregates_per_s": round(sum(len(t.counted) for t in tape.tracks) / (minutes * 60), 1),
        "lost_gaps": float(lost),
    }
