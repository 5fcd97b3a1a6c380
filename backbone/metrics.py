"""`system_metrics`: once a minute what each service used and what waits in it, kept 30 days."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import structlog

from backbone.breaker import BreakerStatus
from backbone.clock import wall_ms
from backbone.live import FeedStatus, LiveView
from backbone.parts import PartMinute
from backbone.process import memory_bytes, open_files
from backbone.store.base import SYSTEM_METRICS, Record
from backbone.telemetry import LoopStall
from orderflow.errors import BusError, StoreError

log = structlog.get_logger()
EVERY_MS = 60_000
LEAST_MS = 1_000
"""A period shorter than this is no period: the next one takes it in."""
KEPT_MS = 30 * 86_400_000
SERIES = "1m"
MOST_WAITING = 240
LAST_S = 5.0
READER = "minutes"

Figures: TypeAlias = Callable[[], Mapping[str, Any]]
Sink: TypeAlias = Callable[[Sequence[PartMinute]], Awaitable[None]]


class ProcessMeter:
    """What this process uses; processor time and pauses are those since the last reading."""

    def __init__(self, stall: LoopStall) -> None:
        self._stall = stall
        self._cpu_s = time.process_time()
        stall.worst_ms(READER)

    def read(self) -> dict[str, Any]:
        """memory_bytes and open_files are None where the system does not tell them."""
        cpu_s = time.process_time()
        used_ms, self._cpu_s = round((cpu_s - self._cpu_s) * 1_000), cpu_s
        return {
            "memory_bytes": memory_bytes(),
            "cpu_ms": used_ms,
            "loop_stall_ms": self._stall.worst_ms(READER),
            "tasks": len(asyncio.all_tasks()),
            "open_files": open_files(),
        }


class Minutes:
    """Gives the sink the figures of every part of this process once a minute, and at the end."""

    def __init__(
        self,
        stall: LoopStall,
        parts: Mapping[str, Figures],
        sink: Sink,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self._meter = ProcessMeter(stall)
        self._parts = parts
        self._sink = sink
        self._wall = wall
        self._since_ms = wall()
        self._waiting: deque[PartMinute] = deque(maxlen=MOST_WAITING)

    async def run(self) -> None:
        """Until cancelled; the last, shorter period is told on the way out."""
        try:
            while True:
                left_ms = EVERY_MS - self._wall() % EVERY_MS
                await asyncio.sleep((left_ms + (EVERY_MS if left_ms < LEAST_MS else 0)) / 1_000)
                await self.write()
        finally:
            try:
                async with asyncio.timeout(LAST_S):
                    await self.write()
            except TimeoutError:
                log.warning("metrics.last_unwritten")

    async def write(self) -> None:
        """Everything since the last time; what the sink can't take now is tried again later."""
        now = max(self._wall(), self._since_ms)
        process = self._meter.read() | {"period_ms": now - self._since_ms}
        for part, figures in self._parts.items():
            self._waiting.append(PartMinute(part, self._since_ms, now, process | dict(figures())))
        self._since_ms = now
        sending = list(self._waiting)
        try:
            await self._sink(sending)
        except (StoreError, BusError) as error:
            log.warning("metrics.unwritten", reason=str(error), waiting=len(sending))
            return
        self._waiting.clear()


def metrics_record(minute: PartMinute) -> Record:
    """A record of collection `system_metrics`; its instrument is the part."""
    return Record(
        collection=SYSTEM_METRICS,
        instrument=minute.part,
        timeframe=SERIES,
        start_ms=minute.start_ms,
        revision=0,
        applied_through_ms=minute.end_ms,
        published_at_ms=minute.end_ms,
        expires_at_ms=minute.end_ms + KEPT_MS,
        body=minute.body,
    )


# What a part says about itself


def collector_figures(
    feeds: Sequence[FeedStatus],
    breakers: Iterable[BreakerStatus],
    rest: Mapping[str, int],
    queued: int,
) -> dict[str, Any]:
    """Connections by state, counts since the start, and trades that wait for the bus."""
    names = ("connects", "frames", "trades", "dropped", "malformed")
    counts = {name: sum(getattr(feed, name) for feed in feeds) for name in names}
    states = dict(Counter(feed.state for feed in feeds))
    return counts | {
        "queues": {"buffer": queued},
        "breakers": breaker_states(breakers),
        "feeds": states,
        "rest": dict(rest),
    }


def stream_states(view: LiveView) -> dict[str, Any]:
    """Streams by state, and whether this part is ready."""
    states = Counter(view.stream(i.name).state for i in view.instruments())
    return {"streams": dict(states), "ready": view.ready}


def breaker_states(breakers: Iterable[BreakerStatus]) -> dict[str, str]:
    """closed, half_open or open, by name."""
    return {breaker.name: breaker.state for breaker in breakers}
