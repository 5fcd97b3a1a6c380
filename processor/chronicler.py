"""The chronicler: runs the chronicle of every stream and brings it what the store knows already.

Closed bars wait in order and are taken one stream at a time with the event loop turning in between,
so that nothing here delays a bar; what a chapter must know from the store is loaded first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from backbone.clock import wall_ms
from backbone.store.base import DISTRIBUTIONS, EVENTS, FOOTPRINTS, Query, Record, Store
from orderflow.detectors import ACROSS_TIMEFRAMES
from orderflow.distribution import page_from_body, series_name
from orderflow.encoding import bar_from_body
from orderflow.errors import DomainError, StoreError
from orderflow.event import EVENT_SERIES, events_from_body
from processor.chronicle import Chapter, Closed, Need, closed_bars
from processor.engine import Results
from processor.eventmaker import Minutes
from processor.recent import perp_of
from processor.records import chronicle_records

log = structlog.get_logger()

MOST_PAGES = 2_000
RETRY_S = 5.0
PER_TURN = 50
"""Stored bars read before the event loop may turn."""


class Chronicler:
    """Chapters by instrument; `minutes_of` gives the closed minutes of a stream."""

    def __init__(
        self,
        store: Store,
        minutes_of: Callable[[str], Minutes],
        emit: Callable[[list[Record]], None],
    ) -> None:
        self.store = store
        self.minutes_of = minutes_of
        self.emit = emit
        self.chapters: dict[str, Chapter] = {}
        self.waiting: dict[str, deque[list[Closed]]] = {}
        self.failures = 0
        self._work = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Nothing waits for the store."""
        return not self.waiting

    @property
    def backlog(self) -> int:
        """Bars that wait."""
        return sum(len(closed) for queue in self.waiting.values() for closed in queue)

    def take(self, instrument: str, results: Results) -> None:
        """Queue what closed: bars go first, what follows from them comes in the next turns."""
        self.chapters.setdefault(instrument, Chapter(instrument, self._spot_minutes))
        self.waiting.setdefault(instrument, deque()).append(closed_bars(results))
        self._work.set()

    def drain(self) -> list[Record]:
        """At the end: what follows from the queue as far as nothing must be loaded for it.

        The rest is made up for after the next start.
        """
        records: list[Record] = []
        for instrument, queue in self.waiting.items():
            chapter = self.chapters[instrument]
            while queue and not chapter.missing(queue[0]):
                records += self._taken(chapter, queue.popleft())
        return records

    def _taken(self, chapter: Chapter, closed: list[Closed]) -> list[Record]:
        """Records of one step; bars no rule can read cost their events, never the bars."""
        wall = wall_ms()
        try:
            due = chapter.take(closed, self.minutes_of(chapter.instrument), wall)
        except DomainError as error:
            self.failures += 1
            log.warning(
                "processor.chronicle_failed", instrument=chapter.instrument, error=str(error)
            )
            due = chapter.due()
        return chronicle_records(due, wall) + self._across(chapter.instrument, closed, wall)

    def _spot_minutes(self, name: str) -> Minutes | None:
        """Closed minutes of another stream, where there is one."""
        return self.minutes_of(name) if name in self.chapters else None

    def _across(self, spot: str, closed: Sequence[Closed], wall: int) -> list[Record]:
        """What a spot market's windows decide about the perpetual beside it."""
        beside = self.chapters.get(perp_of(spot))
        if beside is None or beside.spot_name != spot:
            return []
        windows = [(bar.timeframe, bar.flow.start_ms) for bar in closed]
        asked = [window for window in windows if window[0] in ACROSS_TIMEFRAMES]
        if not asked:
            return []
        beside.look_across(asked, self.minutes_of(beside.instrument), wall)
        return chronicle_records(beside.due(), wall)

    async def run(self, ready: asyncio.Event) -> None:
        """Load what is missing and take what waited, until cancelled; begins when `ready`."""
        await ready.wait()
        while True:
            await self._work.wait()
            self._work.clear()
            for instrument in list(self.waiting):
                try:
                    await self._catch_up(instrument)
                except StoreError as error:
                    log.warning("processor.chronicle_waits", error=str(error))
                    await asyncio.sleep(RETRY_S)
                    self._work.set()

    async def _catch_up(self, instrument: str) -> None:
        """Everything one stream has waiting, oldest first."""
        chapter, queue = self.chapters[instrument], self.waiting[instrument]
        while queue:
            for need in chapter.missing(queue[0]):
                await self._load(chapter, need)
            self.emit(self._taken(chapter, queue.popleft()))
            await asyncio.sleep(0)
        del self.waiting[instrument]

    async def _load(self, chapter: Chapter, need: Need) -> None:
        if need.what == "events":
            await self._load_events(chapter, need)
        elif need.what == "recent":
            records = await self._query(chapter, FOOTPRINTS, need, need.timeframe)
            bars = [bar_from_body(record.body) for record in records]
            chapter.load_recent(need, bars, self.minutes_of(chapter.instrument), wall_ms())
        else:
            await self._load_page(chapter, need)

    async def _load_events(self, chapter: Chapter, need: Need) -> None:
        stored = [
            (record.start_ms, events_from_body(record.body), record.revision)
            for record in await self._query(chapter, EVENTS, need, EVENT_SERIES)
        ]
        chapter.load_events(need, stored)
        pages = [minute for minute, _, _ in stored]
        chapter.fill_overdue(pages, self.minutes_of(chapter.instrument), wall_ms())

    async def _load_page(self, chapter: Chapter, need: Need) -> None:
        name = series_name(need.timeframe, need.start_ms)
        said = None
        for record in await self._query(chapter, DISTRIBUTIONS, need, name):
            said = (page_from_body(record.start_ms, record.body), record.revision)
        records = await self._query(chapter, FOOTPRINTS, need, need.timeframe)
        bars = []
        for place, record in enumerate(records):
            bar, quality = bar_from_body(record.body)
            bars.append((bar.flow, quality))
            if place % PER_TURN == PER_TURN - 1:
                await asyncio.sleep(0)
        chapter.load_page(need, said, bars)

    async def _query(
        self, chapter: Chapter, collection: str, need: Need, timeframe: str
    ) -> list[Record]:
        return await self.store.query(
            Query(
                collection,
                chapter.instrument,
                timeframe,
                need.start_ms,
                need.end_ms,
                wall_ms(),
                MOST_PAGES,
            )
        )
