"""The background backfill of a running system, and the next-day repair from the archive.

It runs where the processor runs: in one process with the collectors it asks over their REST; a
processor that runs apart (`wadm process`) asks the venues itself, with a tenth of their weight.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

import httpx2
import structlog

from backbone.clock import VenueClock, monotonic_s, wall_ms
from backbone.settings import Settings
from backbone.store.base import Store
from collectors.backfill import Source
from collectors.budget import Budget
from collectors.listing import Listing
from collectors.pacing import Backoff
from collectors.rest import RestClient
from collectors.selection import Selection
from collectors.venue import VenueMarket
from collectors.venues import VENUES
from orderflow.errors import WadmError
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, floor_ms
from processor.engine import WindowResult
from processor.records import minute_records, window_records
from processor.service import ProcessorService
from processor.stream import MinuteResult
from wadm.audit import REST_TIMEOUT_S
from wadm.backfill import Job, archive_url, fill

log = structlog.get_logger()
LOOK_S = 2.0
AGAIN_S = 1_800.0
"""A past day that could not be proven is tried again: archives appear some hours after midnight."""
TRIES = 48
APART_PART = 2
"""A processor apart has this part of the everyday fifth: collectors know nothing of its use."""
LISTED_AGAIN_S = 3_600.0
Sources = Mapping[str, tuple[Source, str]]
"""Where the past of each instrument is fetched, by canonical name, and its symbol."""


class Backfiller:
    """Fills the past of every stream, one after the other, while live trades flow."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        processor: ProcessorService,
        sources: Callable[[], Sources],
    ) -> None:
        self._settings, self._store, self._processor = settings, store, processor
        self._sources = sources
        self._span_ms = settings.backfill_ms
        self.done: dict[str, int] = {}
        self.unproven: dict[str, int] = {}

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
        streams = self._processor.engine.streams
        return [name for name in streams if name not in self.done]

    async def _one(self) -> bool:
        """The next stream whose live trades have begun; False when there is none."""
        streams = self._processor.engine.streams
        for name, (source, symbol) in self._sources().items():
            stream = streams.get(name)
            if stream is None or name in self.done or stream.coverage.observed_from_ms is None:
                continue
            end_ms = floor_ms(stream.coverage.observed_from_ms, MINUTE_MS)
            now_ms = self._processor.now_ms(name)
            end_ms = max(end_ms, min(stream.evicted_before_ms, floor_ms(now_ms, DAY_MS)))
            start_ms = floor_ms(now_ms - self._span_ms, HOUR_MS)
            job = Job(
                source,
                symbol,
                archive_url(self._settings, name),
                stream,
                self._store,
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
        await self._processor.adopt_past(minutes, records)


class ListedApart:
    """What the venues list, and their REST, for a processor without collectors beside it: all of
    it, since only collectors know what is chosen."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sources: dict[str, tuple[Source, str]] = {}

    async def follow(self) -> None:
        """Ask every market now and once an hour, until cancelled; what breaks is begun anew."""
        while self._settings.backfill_ms:
            try:
                await self._ask()
            except* WadmError as errors:
                log.warning("backfill.listing_failed", error=repr(errors.exceptions[0]))
                await asyncio.sleep(AGAIN_S)
        await asyncio.Event().wait()

    async def _ask(self) -> None:
        async with (
            httpx2.AsyncClient(timeout=REST_TIMEOUT_S) as http,
            asyncio.TaskGroup() as group,
        ):
            rests: dict[str, RestClient] = {}
            for venue in self._settings.venue_list:
                clock = VenueClock()
                for kind, market in VENUES[venue].items():
                    if kind not in self._settings.market_list:
                        continue
                    url: str = getattr(self._settings, market.rest_setting)
                    if url not in rests:
                        budget = Budget(market.weight_per_minute // APART_PART)
                        rests[url] = RestClient(url, http, budget, monotonic_s)
                    group.create_task(self._follow(market, rests[url], clock))

    async def _follow(self, market: VenueMarket, rest: RestClient, clock: VenueClock) -> None:
        backoff = Backoff(random.random, 1.0, 60.0)
        listing = Listing(market, rest, clock, Selection(everything=True), backoff)
        source = Source(market, rest, clock, listing.listed)
        while True:
            listing.enter((await listing.look()).news)
            for symbol, entry in listing.listed.items():
                self.sources[entry.instrument.name] = (source, symbol)
            await asyncio.sleep(LISTED_AGAIN_S)


async def backfill_apart(
    settings: Settings, store: Store, processor: ProcessorService, listed: ListedApart
) -> None:
    """The background backfill of a processor that runs apart, until cancelled; one that breaks is
    logged and begun anew later, and live trades go on."""
    while settings.backfill_ms:
        try:
            await Backfiller(settings, store, processor, lambda: listed.sources).run()
        except WadmError as error:
            log.warning("backfill.failed", error=repr(error))
        await asyncio.sleep(AGAIN_S)
    await asyncio.Event().wait()
