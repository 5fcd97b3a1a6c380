"""CollectorService: one venue's instruments, feeds and REST work, on the bus."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx2
import structlog

from backbone.bus.base import REPAIRS, TRADES, Bus
from backbone.clock import VenueClock
from backbone.live import FeedStatus
from backbone.settings import Settings
from collectors.backfill import Backfill
from collectors.backoff import Backoff, Bucket
from collectors.feed import Feed
from collectors.rest import RestHost
from collectors.venue import Venue
from orderflow.errors import ExchangeError
from orderflow.instrument import Instrument, Market
from orderflow.trade import RepairRequest

log = structlog.get_logger()

CONNECTS_PER_S = 1.0
CONNECT_BURST = 10.0
REFRESH_S = 3_600.0
PLAIN = re.compile(r"[A-Z0-9]{2,30}")
"""Symbols with anything else in their name are not collected."""


class CollectorService:
    """Everything of one venue. `reached` is set when the venue first answered anything."""

    def __init__(
        self, settings: Settings, bus: Bus, venue: Venue, draw: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.bus = bus
        self.venue = venue
        self.draw = draw
        self.markets = [Market(m) for m in settings.market_list if Market(m) in venue.hosts]
        self.clocks = {market: VenueClock() for market in self.markets}
        self.hosts = {
            market: RestHost(
                getattr(settings, venue.hosts[market].rest_setting),
                venue.hosts[market].weight_per_minute,
            )
            for market in self.markets
        }
        self.backfill = Backfill(venue, self.hosts, bus, lambda m: self.clocks[m].now_ms())
        self.reached = asyncio.Event()
        self.instruments: dict[str, Instrument] = {}
        self.scales: dict[str, int] = {}
        self.feeds: list[Feed] = []
        self._repairs: set[asyncio.Task[None]] = set()

    def statuses(self) -> list[FeedStatus]:
        """State of every connection."""
        return [feed.status() for feed in self.feeds]

    async def run(self) -> None:
        """Collect until cancelled."""
        limiter = Bucket(CONNECTS_PER_S, CONNECT_BURST, time.monotonic())
        repairs = await self.bus.subscribe(REPAIRS, f"collector-{self.venue.name}")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repair(repairs))
                for market in self.markets:
                    tasks.create_task(self._market(market, limiter, tasks))
        finally:
            for host in self.hosts.values():
                await host.close()

    async def _market(self, market: Market, limiter: Bucket, tasks: asyncio.TaskGroup) -> None:
        """Learn the instruments, announce them, connect, and keep them fresh."""
        await self._patiently("time", lambda: self._poll_time(market))
        self.reached.set()
        chosen = await self._patiently("instruments", lambda: self._choose(market))
        for instrument in chosen:
            await self._patiently("announce", functools.partial(self._announce, instrument))
        size = self.venue.instruments_per_connection
        for place in range(0, len(chosen), size):
            feed = Feed(
                self.venue,
                market,
                chosen[place : place + size],
                settings=self.settings,
                bus=self.bus,
                number=place // size,
                limiter=limiter,
                clock=self.clocks[market],
            )
            self.feeds.append(feed)
            tasks.create_task(feed.run())
        tasks.create_task(self._keep_time(market))
        tasks.create_task(self._keep_fresh(market))

    async def _patiently(self, what: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Try until it works."""
        backoff = Backoff(self.draw)
        while True:
            try:
                return await work()
            except (httpx2.HTTPError, ExchangeError) as error:
                pause_s = backoff.next_s()
                asked_s = getattr(error, "retry_after_s", None)
                log.warning(
                    "collector.retry",
                    venue=self.venue.name,
                    what=what,
                    error=type(error).__name__,
                    pause_s=round(max(pause_s, asked_s or 0.0), 2),
                )
                await asyncio.sleep(max(pause_s, asked_s or 0.0))

    async def _choose(self, market: Market) -> list[Instrument]:
        """The configured symbols that this market lists, in the order of the setting."""
        listed = {i.symbol: i for i in await self.backfill.instruments(market)}
        symbols = [s for s in self.settings.symbol_list if PLAIN.fullmatch(s) and s in listed]
        log.info("collector.instruments", venue=self.venue.name, market=market, count=len(symbols))
        return [listed[symbol] for symbol in symbols]

    async def _announce(self, instrument: Instrument) -> None:
        scale = self.scales.setdefault(instrument.name, 0)
        event = await self.backfill.announcement(instrument, scale)
        self.instruments[instrument.name] = instrument
        await self.bus.publish(TRADES, [event])

    async def _poll_time(self, market: Market) -> None:
        self.clocks[market].observe(await self.backfill.time_ms(market))

    async def _keep_time(self, market: Market) -> None:
        """A quiet market still has a clock."""
        while True:
            await asyncio.sleep(self.settings.clock_poll_s)
            await self._patiently("time", lambda: self._poll_time(market))

    async def _keep_fresh(self, market: Market) -> None:
        """Once an hour: new ticks and lots, halts, delistings."""
        while True:
            await asyncio.sleep(REFRESH_S)
            chosen = await self._patiently("instruments", lambda: self._choose(market))
            await self.refresh(chosen)

    async def refresh(self, listed: Sequence[Instrument]) -> None:
        """Announce what changed; feeds read with the new definition from then on."""
        for instrument in listed:
            known = self.instruments.get(instrument.name)
            if known is None or known == instrument:
                continue
            self.scales[instrument.name] = self.scales.get(instrument.name, 0) + 1
            await self._announce(instrument)
            for feed in self.feeds:
                if instrument.name in feed.names:
                    feed.redefine(instrument, self.scales[instrument.name])

    async def _repair(self, repairs: Any) -> None:
        """Answer the processor's questions, several at a time."""
        while True:
            for delivery in await repairs.next():
                for request in delivery.messages:
                    if isinstance(request, RepairRequest) and (
                        instrument := self.instruments.get(request.instrument)
                    ):
                        task = asyncio.create_task(self.backfill.repair(instrument, request))
                        self._repairs.add(task)
                        task.add_done_callback(self._repairs.discard)
