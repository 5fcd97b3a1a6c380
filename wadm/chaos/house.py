"""A whole house in virtual time: exchanges, collectors, processor and store from one seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from backbone.settings import Settings, read_settings
from backbone.store.memory import MemoryStore
from orderflow.timeframe import MINUTE_MS
from simulator.columns import KEY
from simulator.faults import CONNECTION_ACTIONS, ROW_ACTIONS, VENUE_ACTIONS, FaultPlan, Share
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.convert import numbered_anew
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.chaos.life import Fence, Life, Pace
from wadm.chaos.verdict import Outcome, compare, content_of
from wadm.chaos.virtual import VirtualLoop

START_MS = 1_735_689_600_000
MARKETS = (
    Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 3.3, 0.05),
    Market("binance:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 3.3, 0.05),
    Market("bybit:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 3.3, 0.05),
    Market("bybit:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 3.3, 0.05),
)
"""About five trades a second each."""
INSTRUMENTS = 3
ROWS = "BTCUSDT=10"
ROW_SHARE = 0.002
HUGE_SHARE = 0.00005
RESET_SHARE = 0.25
"""Seeds in which one venue begins to number its trades anew."""
CALM_PART = 0.8
"""The last fifth of the tape is without new faults: progress must resume."""
DENSITY = 6.0
"""A short run has so many more big faults and cut connections in a minute, to see every kind."""
SETTLE_S = 1_800.0
STEP_S = 5.0
SETTLING_MS = 5_000
BIG = (
    "kill", "kill", "outage", "half_open_all", "abort_all", "store", "clock", "stall", "route",
    "subscription",
)  # fmt: skip


class Plan(NamedTuple):
    """What is to be run."""

    seed: int
    minutes: int = 60
    faults: bool = True
    dense: bool = False


@dataclass(slots=True)
class Town:
    """What one run is made of: the venues, the house in its present life, and what was seen."""

    plan: Plan
    loop: VirtualLoop
    simulator: Simulator
    settings: Settings
    store: MemoryStore
    draw: random.Random
    pace: Pace
    outcome: Outcome
    seen: Counter[str] = field(default_factory=Counter)
    lives: list[Life] = field(default_factory=list)

    @property
    def life(self) -> Life:
        """The one that is alive."""
        return self.lives[-1]

    def begin_life(self) -> None:
        """Start a process over what the last one left in the store."""
        fence = Fence(self.store, self.draw, self.seen)
        seed = self.plan.seed + len(self.lives)
        self.lives.append(Life(self.settings, fence, self.loop, seed, self.pace))


def fault_plan(plan: Plan) -> FaultPlan:
    """Every kind of the catalogue, by seed."""
    if not plan.faults:
        return FaultPlan()
    kinds = {*ROW_ACTIONS, *CONNECTION_ACTIONS, *VENUE_ACTIONS} - {"huge", "stall"}
    density = DENSITY if plan.dense else 1.0
    faults = FaultPlan.seeded(plan.seed, ROW_SHARE, kinds, density)
    faults.huge_bytes = 5 << 20
    faults.on_trades(None, "huge", Share(plan.seed + 77, HUGE_SHARE * density))
    return faults


def tape_of(plan: Plan) -> tuple[Tape, str | None]:
    """Three of the four markets, and which of them begins to number anew, if one does."""
    draw = random.Random(f"tape {plan.seed}")
    end_ms = START_MS + plan.minutes * MINUTE_MS
    markets = sorted(draw.sample(MARKETS, INSTRUMENTS), key=MARKETS.index)
    tape = synthetic_tape(START_MS, seed=plan.seed, markets=markets, end_ms=end_ms - 1)
    tracks = list(tape.tracks)
    numbered = [place for place, m in enumerate(markets) if m.name != "bybit:perp:BTCUSDT"]
    among = plan.seed % round(1 / RESET_SHARE) if plan.dense else draw.random() // RESET_SHARE
    if not plan.faults or among:
        return tape, None
    place = draw.choice(numbered)
    keys = tracks[place].given.column(KEY)
    at_id = int(keys[int(len(keys) * draw.uniform(0.2, 0.7))])
    tracks[place] = numbered_anew(Tape((tracks[place],)), at_id).tracks[0]
    return Tape(tuple(tracks), tape.label), tracks[place].instrument.name


async def run_seed(loop: VirtualLoop, plan: Plan) -> Outcome:
    """Play, hurt, kill, calm down, settle, compare."""
    outcome = Outcome(plan.seed)
    end_ms = START_MS + plan.minutes * MINUTE_MS
    tape, renumbered = tape_of(plan)
    faults = fault_plan(plan)
    limits = Limits(life_s=plan.minutes * 20.0, shutdown_notice_s=5.0)
    store = MemoryStore()
    await store.open("simulated")
    pace = Pace.drawn(plan.seed)
    async with Simulator(
        [tape], speed=1.0, faults=faults, limits=limits, start_after=INSTRUMENTS
    ) as sim:
        sim.player.tick_s = pace.play_s
        settings = read_settings(
            {},
            symbols="BTCUSDT",
            ws="websockets",
            row_sizes=ROWS,
            data_dir="var/chaos-nowhere",
            backfill="0",
            derivatives=pace.derivatives,
            **sim.urls,
        )
        draw = random.Random(plan.seed)
        town = Town(plan, loop, sim, settings, store, draw, pace, outcome)
        town.begin_life()
        ended_s = loop.time() + plan.minutes * 60
        if plan.faults:
            await _hurt_all(town, loop.time() + plan.minutes * 60 * CALM_PART)
        await asyncio.sleep(max(0.0, ended_s - loop.time()) + 30)
        outcome.unsettled = not await _settled(town, end_ms)
        await town.life.kill()
    if renumbered is not None:
        town.seen["id_reset"] += 1
    outcome.seen = dict(town.seen + faults.fired)
    outcome.events, outcome.event_log = loop.log.events, loop.log.digest
    outcome.digest = content_of(store)
    await compare(store, tape, outcome, renumbered)
    return outcome


async def _hurt_all(town: Town, calm_s: float) -> None:
    """Big faults at random moments until the calm begins."""
    dense = town.plan.dense
    kinds: list[str] = []
    while town.loop.time() < calm_s:
        await asyncio.sleep(town.draw.uniform(20, 240) / (DENSITY if dense else 1))
        kinds = kinds or town.draw.sample(BIG, len(BIG)) if dense else [town.draw.choice(BIG)]
        await _hurt(town, kinds.pop())
    town.simulator.faults.calm()
    town.life.store.failing = False


async def _hurt(town: Town, kind: str) -> None:
    """One big fault: a kill, silence, an outage, a store that refuses, a wrong clock."""
    sim, draw, life = town.simulator, town.draw, town.life
    town.seen[f"big_{kind}"] += 1
    if kind == "kill":
        await life.kill()
        town.outcome.kills += 1
        town.begin_life()
    elif kind == "outage":
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
    else:
        await _mislead(sim, draw, kind)


async def _mislead(sim: Simulator, draw: random.Random, kind: str) -> None:
    """Connections that are there and don't deliver: a wrong route, a refused topic, a stall."""
    if kind == "route":
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


async def _settled(town: Town, end_ms: int) -> bool:
    """Wait until every minute of the tape is final and written, but not for ever."""
    until_s = town.loop.time() + SETTLE_S
    processor = town.life.processor
    # Nothing is played or hurt any more: a quarter of an hour until a hole is given up is long.
    processor.tick_ms, town.simulator.player.tick_s = SETTLING_MS, SETTLING_MS / 1_000
    while town.loop.time() < until_s:
        await asyncio.sleep(STEP_S)
        streams = processor.engine.streams.values()
        final = len(streams) >= INSTRUMENTS and all(s.evicted_before_ms >= end_ms for s in streams)
        if final and processor.written:
            return True
    return False
