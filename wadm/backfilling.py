"""The background backfill of a running system, and the next-day repair from the archive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from backbone.clock import wall_ms
from collectors.backfill import Source
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, floor_ms
from processor.engine import WindowResult
from processor.records import minute_records, window_records
from processor.stream import MinuteResult
from wadm.backfill import Job, archive_url, fill

if TYPE_CHECKING:
    from wadm.compose import System

log = structlog.get_logger()
LOOK_S = 2.0
AGAIN_S = 1_800.0
"""A past day that could not be proven is tried again: archives appear some hours after midnight."""
TRIES = 48


class Backfiller:
    """Fills the past of every stream, one after the other, while live trades flow."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._span_ms = system.settings.backfill_ms
        self.done: dict[str, int] = {}
        self.unproven: dict[str, int] = {}

    def _sources(self) -> Mapping[str, tuple[Source, str]]:
        found: dict[str, tuple[Source, str]] = {}
        for collector in self._system.collectors:
            found |= collector.sources
        return found

    async def run(self) -> None:
        """For ever: new streams at once, unproven days again after a while."""
        if not self._span_ms:
            return
        tries = 0
        while tries < TRIES:
            busy = True
            while busy:
                busy = await self._one()
            waiting = AGAIN_S if self.done and not self._untouched() else LOOK_S
            await asyncio.sleep(waiting)
            if waiting == AGAIN_S:
                tries += 1
                for name, count in self.unproven.items():
                    if count:
                        self.done.pop(name, None)

    def _untouched(self) -> list[str]:
        streams = self._system.processor.engine.streams
        return [name for name in streams if name not in self.done]

    async def _one(self) -> bool:
        """The next stream whose live trades have begun; False when there is none."""
        streams = self._system.processor.engine.streams
        for name, (source, symbol) in self._sources().items():
            stream = streams.get(name)
            if stream is None or name in self.done or stream.coverage.observed_from_ms is None:
                continue
            end_ms = floor_ms(stream.coverage.observed_from_ms, MINUTE_MS)
            now_ms = self._system.processor.now_ms(name)
            end_ms = max(end_ms, min(stream.evicted_before_ms, floor_ms(now_ms, DAY_MS)))
            start_ms = floor_ms(now_ms - self._span_ms, HOUR_MS)
            job = Job(
                source,
                symbol,
                archive_url(self._system.settings, name),
                stream,
                self._system.store,
                self._take,
            )
            self.done[name] = end_ms
            if start_ms < end_ms:
                filled = await fill(job, start_ms, end_ms)
                self.unproven[name] = filled.unproven
                log.info("backfill.done", instrument=name, **filled._asdict())
            return True
        return False

    async def _take(self, minutes: Sequence[MinuteResult], windows: Sequence[WindowResult]) -> None:
        """To the store by the processor's own road, and to its memory where it reaches back."""
        wall = wall_ms()
        records = [record for minute in minutes for record in minute_records(minute, wall)]
        records += [record for window in windows for record in window_records(window, wall)]
        await self._system.processor.adopt_past(minutes, records)
