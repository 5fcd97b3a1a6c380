"""One life of a house: processor and collectors of one process, over a store that outlives them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backbone.bus.memory import MemoryBus
from backbone.clock import VenueClock
from backbone.settings import Settings
from backbone.store import base
from backbone.store.base import Query, Readable, Record, Store, Wanted, always
from backbone.store.memory import MemoryStore
from collectors.service import CollectorService
from collectors.session import Timers
from orderflow.errors import StoreError
from orderflow.timeframe import MINUTE_MS
from processor.service import ProcessorService
from wadm.chaos.eventlog import EventLog
from wadm.chaos.virtual import VirtualLoop

KILL_ROUNDS = 5
DERIVATIVES_SHARE = 0.1


class Pace(NamedTuple):
    """How often the parts of a house look around: coarser than in production, for an hour is long,
    and different in every seed, for what happens between two looks should differ."""

    play_s: float = 0.5
    process_ms: int = 500
    checkpoint_ms: int = 2_000
    collect_s: float = 1.0
    refresh_ms: int = MINUTE_MS
    derivatives: str = "off"

    @classmethod
    def drawn(cls, seed: int) -> Pace:
        """The pace of a seed."""
        draw = random.Random(f"pace {seed}")
        return cls(
            draw.choice((0.5, 1.0, 2.0, 2.0, 3.0)),
            draw.choice((500, 1_000, 2_000, 3_000)),
            draw.choice((2_000, 5_000, 10_000, 10_000)),
            draw.choice((1.0, 2.0, 2.0)),
            draw.choice((5, 15)) * MINUTE_MS,
            "on" if draw.random() < DERIVATIVES_SHARE else "off",
        )


class Fence(MemoryStore):
    """The store as one life of the process sees it: after its death nothing of it arrives."""

    def __init__(
        self, real: Store, draw: random.Random, seen: Counter[str], *, sweeps: bool = False
    ) -> None:
        super().__init__()
        self.real, self.dead, self.sweeps = real, False, sweeps
        self.failing = False
        self._draw, self._seen = draw, seen

    async def _reach(self) -> None:
        await asyncio.sleep(self._draw.random() * 0.02)
        if self.dead:
            await asyncio.Event().wait()
        if self.failing:
            self._seen["store_failed"] += 1
            raise StoreError("injected")

    async def take(self, scope: str) -> base.Fence:
        """As the real one."""
        return await self.real.take(scope)

    async def put(self, records: Sequence[Record], fence: base.Fence | None = None) -> None:
        """As the real one."""
        await self._reach()
        await self.real.put(records, fence)

    async def query(self, query: Query) -> list[Record]:
        """As the real one."""
        return await self.real.query(query)

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: base.Fence | None = None
    ) -> None:
        """As the real one."""
        await self._reach()
        await self.real.save_checkpoints(checkpoints, fence)

    async def load_checkpoints(
        self, readable: Readable = always, wanted: Wanted = always
    ) -> dict[str, bytes]:
        """As the real one."""
        return await self.real.load_checkpoints(readable, wanted)

    async def sweep(self, now_ms: int) -> int:
        """Nothing expires in an hour, so only long runs do it."""
        return await self.real.sweep(now_ms) if self.sweeps else 0


class StillProcessor(ProcessorService):
    """Yields never depend on how fast this machine is; rolling summaries are made less often."""

    perf_s = staticmethod(lambda: 0.0)
    refresh_ms = MINUTE_MS

    def _refresh(self, name: str, minute_ms: int, wall: int) -> None:
        if minute_ms % self.refresh_ms == 0:
            super()._refresh(name, minute_ms, wall)


class LoggedBus(MemoryBus):
    """A bus whose every message is in the event log."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Note, then publish."""
        self._log.note(topic, messages)
        await super().publish(topic, messages)


class Life:
    """One process: processor and collectors over a bus of their own."""

    def __init__(
        self,
        settings: Settings,
        store: Fence,
        loop: VirtualLoop,
        seed: int,
        pace: Pace = Pace(),  # noqa: B008 - immutable
        timers: Timers | None = None,
    ) -> None:
        self.store = store
        self.bus = LoggedBus(loop.log)
        processor = StillProcessor(
            settings, self.bus, store, "simulated", lambda: int(loop.time() * 1_000)
        )
        processor.tick_ms, processor.writer.checkpoint_ms = pace.process_ms, pace.checkpoint_ms
        processor.refresh_ms = pace.refresh_ms
        self.processor = processor
        chance = random.Random(seed).random
        self.collectors = [
            CollectorService(
                settings,
                self.bus,
                venue,
                clock=VenueClock(loop.time),
                timers=timers or Timers(tick_s=pace.collect_s),
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
        if self.processor.writer.writing is not None:
            self.tasks.append(self.processor.writer.writing)
        pending = self.tasks
        for _ in range(KILL_ROUNDS):
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1.0)
            pending = [task for task in pending if not task.done()]
            if not pending:
                break
