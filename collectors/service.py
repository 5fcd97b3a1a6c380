"""The collector of one venue: instruments first, then feeds in shards, repairs and time beside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import count
from pathlib import Path

import httpx2
import structlog

from backbone.breaker import BreakerStatus
from backbone.bus.base import TRADES, Bus
from backbone.clock import Monotonic, VenueClock, monotonic_s
from backbone.ending import ended
from backbone.live import FeedStatus
from backbone.settings import Settings
from collectors.backfill import RepairWorker, Source
from collectors.budget import Budget
from collectors.buffer import Buffer
from collectors.derivative_feed import DerivativeFeed
from collectors.derivative_feeds import DerivativeFeeds
from collectors.feed import Feed
from collectors.leading import Leading
from collectors.listing import Listed, Listing
from collectors.pacing import Backoff, Chance, ConnectLimiter
from collectors.pausing import PauseList, Pauses
from collectors.polling import Poller
from collectors.rest import RestClient
from collectors.selection import parse_selection
from collectors.session import Link, Timers
from collectors.shards import GONE, Shards
from collectors.sockets import library
from collectors.venue import VenueMarket
from collectors.venues import DERIVATIVES, VENUES
from collectors.watchdog import Watchdog
from orderflow.errors import BusError, ConfigError, ExchangeError
from orderflow.instrument import Instrument, Market
from orderflow.trade import EVERY_CONNECTION, Disconnect, InstrumentChanged, instrument_of

log = structlog.get_logger()
REFRESH_S = 3_600.0
REST_TIMEOUT_S = 10.0
RESTART_S = 5.0
STOP_S = 5.0
LETTERS = "abcdefgh"
NOT_COLLECTED = "not collected"


class CollectorService:
    """Collects one venue onto the bus. `reachable` is set when it first answered; `leading` says
    whether this is the one of several that repairs."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        venue: str,
        *,
        clock: VenueClock | None = None,
        timers: Timers | None = None,
        monotonic: Monotonic = monotonic_s,
        chance: Chance = random.random,
    ) -> None:
        if venue not in VENUES:
            raise ConfigError(f"WADM_VENUES: unknown venue {venue}; allowed: {', '.join(VENUES)}")
        self.venue = venue
        self.clock = clock or VenueClock(monotonic)
        self.reachable = asyncio.Event()
        self._shards = Shards(self._open_feeds, self._close_feed)
        self._numbers = count(1)
        self._derivatives: DerivativeFeeds | None = None
        self.pollers: list[Poller] = []
        self.watchdogs: list[Watchdog] = []
        self._settings = settings
        self._selection = parse_selection(settings.symbols)
        self._bus = bus
        self._monotonic = monotonic
        self._chance = chance
        self._timers = replace(
            timers or Timers(),
            first_data_s=settings.first_data_s,
            stale_after_s=settings.stale_after_s,
        )
        self._library = library(settings.ws)
        self._limiter = ConnectLimiter()
        self._pauses = Pauses(PauseList(Path(settings.data_dir)), self._pause)
        instance = settings.instance_name
        self._instance = instance and f"{instance}."
        self.leading = Leading()
        cursor = "-".join(filter(None, ("collector", venue, instance)))
        self._repairs = RepairWorker(bus, cursor, self.leading, monotonic)
        self._rest: dict[str, RestClient] = {}
        self._listings: list[Listing] = []
        self._works: dict[asyncio.Task[None], None] = {}
        self._feed_tasks: dict[Feed, list[asyncio.Task[None]]] = {}
        self._running: asyncio.Task[None] | None = None

    @property
    def feeds(self) -> list[Feed]:
        """What keeps a connection each."""
        return self._shards.feeds

    @property
    def markets(self) -> list[VenueMarket]:
        """The markets of this venue that the settings ask for."""
        return [
            market
            for kind, market in VENUES[self.venue].items()
            if kind in self._settings.market_list
        ]

    async def start(self) -> None:
        """Run in the background until `close`."""
        if self._running is None:
            self._running = asyncio.create_task(self.run(), name=f"collector-{self.venue}")

    async def close(self) -> None:
        """Withdraw every claim and stop."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None

    async def run(self) -> None:
        """Collect until cancelled."""
        limits = httpx2.Limits(max_connections=16)
        verify = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        async with httpx2.AsyncClient(timeout=REST_TIMEOUT_S, limits=limits, verify=verify) as http:
            try:
                self._spawn("repairs", self._repairs.run)
                self._spawn("pauses", self._pauses.run)
                self._spawn("announcements", self._announce_again)
                for market in self.markets:
                    rest = self._client(market, http)
                    self._spawn(f"market {market.market}", partial(self._collect, market, rest))
                await asyncio.Event().wait()
            finally:
                await self._stop_works()

    def statuses(self) -> list[FeedStatus]:
        """State of every socket."""
        return [feed.status() for feed in self.feeds] + [
            p.status() for p in self.pollers if p.switches
        ]

    @property
    def held(self) -> int:
        """Trades of every connection that wait for the bus."""
        return sum(feed.held for feed in self.feeds)

    @property
    def sources(self) -> Mapping[str, tuple[Source, str]]:
        """Where the past of each instrument is fetched, by canonical name, and its symbol."""
        return self._repairs.sources

    def breakers(self) -> list[BreakerStatus]:
        """What guards every REST address."""
        now_s = self._monotonic()
        return [rest.breaker.status(now_s) for rest in self._rest.values()]

    def rest_counts(self) -> dict[str, int]:
        """REST requests, their failures, and repairs done and not done."""
        return {
            "requests": sum(rest.requests for rest in self._rest.values()),
            "failures": sum(rest.failures for rest in self._rest.values()),
            "used_weight": sum(rest.used_weight for rest in self._rest.values()),
            "repaired": self._repairs.repaired,
            "not_repaired": self._repairs.failed,
        }

    def _client(self, market: VenueMarket, http: httpx2.AsyncClient) -> RestClient:
        """The REST client of a market's address; markets of one address share its budget."""
        base_url: str = getattr(self._settings, market.rest_setting)
        if base_url not in self._rest:
            budget = Budget(market.weight_per_minute)
            self._rest[base_url] = RestClient(base_url, http, budget, self._monotonic)
            self._spawn("reach", partial(self._note_reached, self._rest[base_url].answered))
        return self._rest[base_url]

    async def _note_reached(self, event: asyncio.Event) -> None:
        await event.wait()
        self.reachable.set()

    async def _collect(self, market: VenueMarket, rest: RestClient) -> None:
        """Instruments, their feeds, and then look for changes for ever."""
        backoff = Backoff(self._chance, 1.0, 60.0)
        listing = Listing(market, rest, self.clock, self._selection, backoff)
        self._spawn("clock", partial(self._keep_time, listing))
        watchdog = self._watch(market, rest, listing)
        self._listings.append(listing)
        fresh = True
        while True:
            look = await listing.look()
            listing.leave(look.left)
            self._shards.leave({item.instrument.name for item in look.left}, NOT_COLLECTED)
            for batch in look.batches():
                news: list[InstrumentChanged] = await listing.announce(batch)
                before = [self._earlier_life(news)] if fresh else []
                await self._bus.publish(TRADES, [*news, *before])
                self._repairs.serve(Source(market, rest, self.clock, listing.ever))
                self._shards.apply(market, batch)
            fresh = False
            if market.market is Market.PERP and self._settings.derivatives == "on":
                self._follow_derivatives(listing)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await watchdog.listing_wanted.wait()
            watchdog.listing_wanted.clear()

    def _watch(self, market: VenueMarket, rest: RestClient, listing: Listing) -> Watchdog:
        """Poller and watchdog of a market."""

        def feeds() -> list[Feed]:
            return [feed for feed in self.feeds if feed.link.market is market]

        after_s = self._timers.poll_after_s

        def hurry() -> None:
            for feed in feeds():
                feed.hurry()

        rest.on_return.append(hurry)
        poller = Poller(market, rest, self.clock, self._bus, self._monotonic, after_s)
        watchdog = Watchdog(market, rest, self.clock, self._monotonic)
        self.pollers.append(poller)
        self.watchdogs.append(watchdog)

        def known() -> dict[str, Listed]:
            paused = self._pauses.names
            listed = listing.listed.items()
            return {s: entry for s, entry in listed if entry.instrument.name not in paused}

        for name, work in ((f"poll {market.market}", poller), (f"watch {market.market}", watchdog)):
            self._spawn(name, partial(work.run, known, feeds))
        return watchdog

    async def _announce_again(self) -> None:
        """Say what there is and what delivers it, whenever a processor asks."""
        while True:
            await self._repairs.announce.wait()
            self._repairs.announce.clear()
            for listing in self._listings:
                await self._bus.publish(TRADES, await listing.announcements())
            for feed in self.feeds:
                feed.say_again()

    def _open_feeds(
        self, market: VenueMarket, part: tuple[Instrument, ...], scales: dict[str, int]
    ) -> list[Feed]:
        base_url: str = getattr(self._settings, market.ws_setting)
        base_url = base_url.rstrip("/")
        link = Link(
            *(market, base_url, self._library, self._timers, self._monotonic, self.clock),
            base_url=base_url,
        )
        group: list[Feed] = []
        number = next(self._numbers)
        # Several collectors are each other's second connection.
        for letter in LETTERS[: 1 if self._instance else market.connections]:
            name = f"{self._instance}{self.venue}-{market.market}-{number}{letter}"
            feed = Feed(link, name, part, dict(scales), self._buffer, self._limiter, self._chance)
            group.append(feed)
            self._feed_tasks[feed] = [
                self._begin(name, feed.run),
                self._begin(f"{name} reach", partial(self._note_reached, feed.reached)),
            ]
        return group

    def _close_feed(self, feed: Feed) -> None:
        for task in self._feed_tasks.pop(feed):
            task.cancel()

    def _follow_derivatives(self, listing: Listing) -> None:
        """Funding, open interest and liquidations of perpetuals, apart from their trades."""
        market = DERIVATIVES.get(self.venue)
        if market is None:
            return
        if self._derivatives is None:
            ws_url: str = getattr(self._settings, market.ws_setting)
            rest = self._rest[getattr(self._settings, market.rest_setting)]

            def make(part: Sequence[Instrument]) -> DerivativeFeed:
                backoff = Backoff(self._chance)
                return DerivativeFeed(
                    market, ws_url, part, self._library, self._bus, backoff, self._admitted
                )

            weight = VENUES[self.venue][Market.PERP].weight_per_minute
            self._derivatives = DerivativeFeeds(make, rest, weight, self._while_leading)
        listed = [item.instrument for item in listing.listed.values()]
        self._derivatives.follow([item for item in listed if item.status not in GONE])

    async def _admitted(self) -> None:
        """Returns when another connection may be made."""
        wait_s = self._limiter.wait_s(self._monotonic())
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = self._limiter.wait_s(self._monotonic())

    def _earlier_life(self, news: list[InstrumentChanged]) -> Disconnect:
        """Whatever an earlier life of this collector claimed ended with it, said or unsaid."""
        names = [instrument_of(event).name for event in news]
        return Disconnect(names, self._instance + EVERY_CONNECTION, 0, "collector started")

    def _buffer(self, connection: str) -> Buffer:
        return Buffer(
            self._bus,
            connection,
            self._settings.collector_buffer,
            self._monotonic,
            self._pauses.names,
        )

    def _pause(self, name: str, paused: bool) -> None:
        """A person paused or resumed a stream; the hole is declared on both sides."""
        if paused:
            for feed in self.feeds:
                feed.pause(name)
            self._pauses.names.add(name)
        else:
            self._pauses.names.discard(name)
            for feed in self.feeds:
                feed.resume(name)

    async def _keep_time(self, listing: Listing) -> None:
        """Ask the venue for its time now and then; quiet markets say nothing themselves."""
        while True:
            await asyncio.sleep(self._settings.clock_poll_s)
            try:
                await listing.ask_time()
            except ExchangeError as error:
                log.info("clock.unavailable", venue=self.venue, error=type(error).__name__)

    # Supervision

    def _spawn(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        _ = self._begin(name, work)

    def _while_leading(
        self, name: str, work: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.Task[None]:
        """One part that only one of several collectors does."""
        return self._begin(name, partial(self.leading.during, work))

    def _begin(
        self, name: str, work: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.Task[None]:
        """One part, supervised until it is cancelled."""
        task = asyncio.create_task(self._supervise(name, work), name=f"{self.venue} {name}")
        self._works[task] = None
        task.add_done_callback(lambda done: self._works.pop(done, None))
        return task

    async def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run one part; a part that breaks is logged and started again."""
        while True:
            try:
                await work()
            except BusError:
                log.info("collector.bus_closed", part=name)
            except Exception:
                log.exception("collector.part_failed", venue=self.venue, part=name)
                await asyncio.sleep(RESTART_S)
                continue
            return

    async def _stop_works(self) -> None:
        """Cancelled until they end: a socket that has a frame already may swallow the first one."""
        # In one order always: a seed decides everything.
        await ended(*self._works, again_s=STOP_S)
        for rest in self._rest.values():
            await rest.close()


@cache
def _trusted(*_where: str | None) -> ssl.SSLContext:
    """Whom to trust; read once, since every client would read all authorities anew."""
    return httpx2.create_ssl_context()
