"""A simulated day without faults but those of age: roll-overs, cuts, a store that fills a disk.

The house keeps 26 hours of minutes in memory, so a day that begins with nothing grows by design.
It therefore lives 26 hours before the day that is measured; every minute of both is compared.

Everything is the real thing but time and network: SQLite on a disk, both venues, collectors that
replace their connections at 23 hours and venues that cut what is 24 hours old.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import resource
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import structlog

from backbone.settings import read_settings
from backbone.store.base import FOOTPRINTS, Query, Store
from backbone.store.sqlite import SqliteStore
from collectors.session import Timers
from orderflow.completeness import State
from orderflow.encoding import bar_from_body
from orderflow.timeframe import HOUR_MS, MINUTE_MS
from processor.history import KEPT_MS
from simulator.columns import EVENT
from simulator.decimals import TextOf
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.chaos.house import ROWS, START_MS
from wadm.chaos.life import Fence, Life, Pace
from wadm.chaos.oracle import as_stored, minutes_of
from wadm.chaos.verdict import ROW_SIZE
from wadm.chaos.virtual import VirtualLoop, run_virtual

MARKETS = (
    Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 0.4, 0.05),
    Market("binance:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 0.4, 0.05),
    Market("bybit:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 0.4, 0.05),
)
WARM_TICK_S, TICK_S = 10.0, 2.0
"""How often the parts look around while memory fills with what is always kept, and then."""
PAGES_BYTES = resource.getpagesize()
BEST = frozenset({State.VERIFIED, State.VERIFIED_VOLUME})
TAIL_S = 150.0
SETTLED_MS = 10 * MINUTE_MS
TEXTS_KEPT = 1_000


class Length(NamedTuple):
    """How long a soak is, and how old its connections get; in seconds."""

    run_s: float = 24.5 * 3_600
    warm_s: float = KEPT_MS / 1_000
    lifetime_s: float = 82_800.0
    spread_s: float = 1_800.0
    cut_s: float = 86_400.0
    sample_s: float = 3_600.0


SHORT = Length(2_400.0, 600.0, 600.0, 60.0, 720.0, 300.0)
"""The same in fifty minutes, with connections that live for ten."""


class Soaked(msgspec.Struct):
    """What a soak showed. `memory_slope` is the growth after warming up, as a part of the mean;
    `hours` are those after `warm_hours`, everything else counts both."""

    hours: float
    warm_hours: float
    minutes: int = 0
    trades: int = 0
    wrong: int = 0
    absent: int = 0
    unproven: int = 0
    roll_overs: int = 0
    cuts: int = 0
    reconnects: dict[str, int] = {}
    warm_memory_mib: list[float] = []
    memory_mib: list[float] = []
    memory_slope: float = 0.0

    @property
    def gapless(self) -> bool:
        """Every minute is there, right, and proven as well as its venue allows."""
        return not (self.wrong or self.absent or self.unproven)


def soak_alone(seed: int) -> Soaked:
    """The whole of it, quietly; for a process that has done nothing else, whose freed memory would
    hide growth."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found: Soaked = run_virtual(lambda loop: run_soak(loop, seed))
    return found


async def run_soak(loop: VirtualLoop, seed: int, length: Length = Length()) -> Soaked:  # noqa: B008
    """Play, measure memory now and then, compare every minute at the end."""
    whole_s = length.warm_s + length.run_s
    end_ms = START_MS + int(whole_s * 1_000) // MINUTE_MS * MINUTE_MS
    tape = synthetic_tape(START_MS, seed=seed, markets=MARKETS, end_ms=end_ms - 1)
    found = Soaked(round(length.run_s / 3_600, 2), round(length.warm_s / 3_600, 2))
    # The exchanges are in the same process: what they remember is not the house's memory.
    TextOf.most = TEXTS_KEPT
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "soak.db")
        await store.open("simulated")
        limits = Limits(life_s=length.cut_s)
        async with Simulator([tape], speed=1.0, limits=limits, start_after=len(MARKETS)) as sim:
            life = _house(loop, store, sim, length, seed)
            # Minutes are kept for two days: those of the warm hours are compared before they go.
            compared_ms = START_MS
            for lives_s, tick_s, samples in (
                (length.warm_s, WARM_TICK_S, found.warm_memory_mib),
                (length.run_s + TAIL_S, TICK_S, found.memory_mib),
            ):
                sim.player.tick_s = tick_s
                life.processor.tick_ms = int(tick_s * 1_000)
                ended_s = loop.time() + lives_s
                while loop.time() < ended_s:
                    await asyncio.sleep(min(length.sample_s, ended_s - loop.time()))
                    samples.append(_memory_mib())
                over_ms = min(end_ms, sim.clock_ms() - SETTLED_MS) // HOUR_MS * HOUR_MS
                await _compare(store, tape, (compared_ms, over_ms), found)
                compared_ms = max(compared_ms, over_ms)
            causes = Counter[str]()
            for feed in (feed for c in life.collectors for feed in c.feeds):
                causes.update(feed.causes)
            cuts = sim.stats.kicks["End of life"]
            await life.kill()
        found.reconnects = dict(causes)
        found.roll_overs, found.cuts = causes["rolled_over"], cuts
        found.memory_slope = slope_of(found.memory_mib)
        await _compare(store, tape, (compared_ms, end_ms), found)
        await store.close()
    return found


def _house(loop: VirtualLoop, store: Store, sim: Simulator, length: Length, seed: int) -> Life:
    settings = read_settings(
        {}, symbols="BTCUSDT", ws="websockets", row_sizes=ROWS, backfill="0",
        data_dir="var/chaos-nowhere", **sim.urls,
    )  # fmt: skip
    timers = Timers(tick_s=2.0, lifetime_s=length.lifetime_s, lifetime_spread_s=length.spread_s)
    fence = Fence(store, random.Random(seed), Counter(), sweeps=True)
    pace = Pace(checkpoint_ms=30_000)
    return Life(settings, fence, loop, seed, pace, timers)


def slope_of(memory_mib: list[float]) -> float:
    """Growth along the straight line through the samples, over their mean."""
    if len(memory_mib) < 2:
        return 0.0
    per_sample = float(np.polyfit(np.arange(len(memory_mib)), memory_mib, 1)[0])
    return round(per_sample * (len(memory_mib) - 1) / float(np.mean(memory_mib)), 5)


def _memory_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * PAGES_BYTES / 2**20, 2)


async def _compare(store: Store, tape: Tape, span_ms: tuple[int, int], found: Soaked) -> None:
    """Every minute of a part of the tape against what is stored; its first may be incomplete.

    Hour by hour: what is taken for it and given back would hide growth that is measured later.
    """
    for track in tape.tracks:
        name = track.instrument.name
        first_ms = int(track.counted.column(EVENT)[0]) // MINUTE_MS * MINUTE_MS + MINUTE_MS
        for begin in range(*span_ms, HOUR_MS):
            end = min(begin + HOUR_MS, span_ms[1])
            expected = minutes_of(track, ROW_SIZE, (begin, end))
            found.trades += sum(minute.trades for minute in expected.values())
            query = Query(FOOTPRINTS, name, "1m", begin, end, 0, 60)
            bars = {r.start_ms: bar_from_body(r.body) for r in await store.query(query)}
            for start in range(max(begin, first_ms), end, MINUTE_MS):
                found.minutes += 1
                bar = bars.get(start)
                found.absent += bar is None
                if bar is not None:
                    found.wrong += start in expected and as_stored(track, bar[0]) != expected[start]
                    found.unproven += bar[1].state not in BEST
