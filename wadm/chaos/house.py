"""A whole house in virtual time: exchanges, collectors, processor and store from one seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backbone.bus.memory import MemoryBus
from backbone.clock import VenueClock
from backbone.settings import Settings, read_settings
from backbone.store.base import Query, Record
from backbone.store.memory import MemoryStore
from collectors.service import CollectorService
from collectors.session import Timers
from orderflow.errors import StoreError
from orderflow.timeframe import MINUTE_MS
from processor.service import ProcessorService
from simulator.faults import CONNECTION_ACTIONS, ROW_ACTIONS, VENUE_ACTIONS, FaultPlan, Share
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.chaos.verdict import Outcome, compare
from wadm.chaos.virtual import VirtualLoop

START_MS = 1_735_689_600_000
MARKETS = (
    Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 3.0, 0.05),
    Market("binance:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 3.0, 0.05),
    Market("bybit:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 3.0, 0.05),
    Market("bybit:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 3.0, 0.05),
)
ROWS = "BTCUSDT=10"
ROW_SHARE = 0.002
HUGE_SHARE = 0.00005
CALM_PART = 0.8
"""The last fifth of the tape is without new faults: progress must resume."""
SETTLE_S = 1_800.0
STEP_S = 5.0
KILL_ROUNDS = 5


class Fence(MemoryStore):
    """The store as one life of the process sees it: after its death nothing of it arrives."""

    def __init__(self, real: MemoryStore, draw: random.Random, seen: Counter[str]) -> None:
        super().__init__()
        self.real, self.dead = real, False
        self.failing = False
        self._draw, self._seen = draw, seen

    async def _reach(self) -> None:
        await asyncio.sleep(self._draw.random() * 0.02)
        if self.dead:
            await asyncio.Event().wait()
        if self.failing:
            self._seen["store_failed"] += 1
            raise StoreError("injected")

    async def put(self, records: Sequence[Record]) -> None:
        """As the real one."""
        await self._reach()
        await self.real.put(records)

    async def query(self, query: Query) -> list[Record]:
        """As the real one."""
        return await self.real.query(query)

    async def save_checkpoints(self, checkpoints: Mapping[str, bytes]) -> None:
        """As the real one."""
        await self._reach()
        await self.real.save_checkpoints(checkpoints)

    async def load_checkpoints(self, readable: Any = lambda blob: True) -> dict[str, bytes]:
        """As the real one."""
        return await self.real.load_checkpoints(readable)

    async def sweep(self, now_ms: int) -> int:
        """Nothing expires in an hour."""
        return 0


class StillProcessor(ProcessorService):
    """Yields never depend on how fast this machine is; ticks are rarer, for an hour is long."""

    perf_s = staticmethod(lambda: 0.0)
    tick_ms = 500
    checkpoint_ms = 2_000


class Life:
    """One process: processor and collectors over a bus of their own."""

    def __init__(self, settings: Settings, store: Fence, loop: VirtualLoop, seed: int) -> None:
        self.store = store
        self.bus = MemoryBus()
        self.processor = StillProcessor(
            settings, self.bus, store, "simulated", lambda: int(loop.time() * 1_000)
        )
        chance = random.Random(seed).random
        self.collectors = [
            CollectorService(
                settings,
                self.bus,
                venue,
                clock=VenueClock(loop.time),
                timers=Timers(tick_s=1.0),
                monotonic=loop.time,
                chance=chance,
            )
            for venue in settings.venue_list
        ]
        self.tasks = [asyncio.create_task(self.processor.run(), name="processor")]
        self.tasks += [asyncio.create_task(c.run()) for c in self.collectors]

    async def kill(self) -> None:
        """Nothing it does from now on leaves it."""
        self.store.dead = True
        if self.processor._writing is not None:
            self.tasks.append(self.processor._writing)
        pending: set[asyncio.Task[None]] = set(self.tasks)
        for _ in range(KILL_ROUNDS):
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=1.0)
            if not pending:
                break


class Plan(NamedTuple):
    """What is to be run."""

    seed: int
    minutes: int = 60
    faults: bool = True


def fault_plan(seed: int) -> FaultPlan:
    """Every kind of the catalogue, by seed."""
    kinds = {*ROW_ACTIONS, *CONNECTION_ACTIONS, *VENUE_ACTIONS} - {"huge", "stall"}
    plan = FaultPlan.seeded(seed, ROW_SHARE, kinds)
    plan.huge_bytes = 5 << 20
    plan.on_trades(None, "huge", Share(seed + 77, HUGE_SHARE))
    return plan


async def run_seed(loop: VirtualLoop, plan: Plan) -> Outcome:
    """Play, hurt, kill, calm down, settle, compare."""
    draw = random.Random(plan.seed)
    outcome = Outcome(plan.seed)
    seen: Counter[str] = Counter()
    end_ms = START_MS + plan.minutes * MINUTE_MS
    tape = synthetic_tape(START_MS, seed=plan.seed, markets=MARKETS, end_ms=end_ms - 1)
    faults = fault_plan(plan.seed) if plan.faults else FaultPlan()
    limits = Limits(life_s=plan.minutes * 20.0, shutdown_notice_s=5.0)
    store = MemoryStore()
    await store.open("simulated")
    async with Simulator([tape], speed=1.0, faults=faults, limits=limits, start_after=4) as sim:
        sim.player.tick_s = 0.4
        settings = read_settings(
            {},
            symbols="BTCUSDT",
            ws="websockets",
            row_sizes=ROWS,
            data_dir="var/chaos-nowhere",
            backfill="0",
            **sim.urls,
        )
        life = Life(settings, Fence(store, draw, seen), loop, plan.seed)
        ended_s = loop.time() + plan.minutes * 60
        if plan.faults:
            calm_s = loop.time() + plan.minutes * 60 * CALM_PART
            while loop.time() < calm_s:
                await asyncio.sleep(draw.uniform(20, 240))
                life = await _hurt(draw, sim, life, seen, outcome, (settings, loop, plan))
            faults.calm()
            life.store.failing = False
        await asyncio.sleep(max(0.0, ended_s - loop.time()) + 30)
        outcome.unsettled = not await _settled(loop, life, end_ms)
        await life.kill()
    outcome.seen = dict(seen + faults.fired)
    await compare(store, tape, outcome)
    return outcome


async def _hurt(
    draw: random.Random,
    sim: Simulator,
    life: Life,
    seen: Counter[str],
    outcome: Outcome,
    surroundings: tuple[Settings, VirtualLoop, Plan],
) -> Life:
    """One big fault: a kill, silence, an outage, a store that refuses, a wrong clock."""
    settings, loop, plan = surroundings
    kind = draw.choice(
        ("kill", "kill", "outage", "half_open_all", "abort_all", "store", "clock", "stall", "route",
         "subscription")
    )  # fmt: skip
    seen[f"big_{kind}"] += 1
    if kind == "kill":
        await life.kill()
        outcome.kills += 1
        fence = Fence(life.store.real, draw, seen)
        return Life(settings, fence, loop, plan.seed + outcome.kills)
    if kind == "outage":
        sim.faults.refuse_connects = 1_000
        await sim.close_all_connections(abort=True)
        await asyncio.sleep(draw.uniform(10, 90))
        sim.faults.refuse_connects = 0
    elif kind == "half_open_all":
        sim.half_open_all()
    elif kind == "abort_all":
        await sim.close_all_connections(abort=True)
    elif kind == "store":
        life.store.failing = True
        await asyncio.sleep(draw.uniform(1, 60))
        life.store.failing = False
    elif kind == "clock":
        sim.faults.clock_offset_ms = draw.randrange(-4_000, 4_001)
    elif kind == "route":
        sim.faults.silent_routes.add("market")
        await sim.close_all_connections()
        await asyncio.sleep(draw.uniform(15, 45))
        sim.faults.silent_routes.clear()
        await sim.close_all_connections()
    elif kind == "subscription":
        sim.faults.refuse_subscription("publicTrade.BTCUSDT", 1)
        await sim.close_all_connections()
    else:
        stream = draw.choice(("btcusdt@aggTrade", "publicTrade.BTCUSDT"))
        connection = None if draw.random() < 0.3 else draw.randrange(1, 4)
        sim.faults.stall(stream, connection=connection)
        await asyncio.sleep(draw.uniform(5, 60))
        sim.faults.resume(stream, connection=connection)
    return life


async def _settled(loop: VirtualLoop, life: Life, end_ms: int) -> bool:
    """Wait until every minute of the tape is final and written, but not for ever."""
    until_s = loop.time() + SETTLE_S
    while loop.time() < until_s:
        await asyncio.sleep(STEP_S)
        processor = life.processor
        streams = processor.engine.streams.values()
        final = len(streams) == len(MARKETS) and all(s.evicted_before_ms >= end_ms for s in streams)
        if final and processor.written:
            return True
    return False
