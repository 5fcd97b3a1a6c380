"""REST in place of sockets that are down: the same trades, later, at the pace of the budget.

After half a minute without a delivering socket an instrument is asked for over REST, from the last
id seen on. What is polled is proven like anything else: by ids where the venue counts, else by
pages that overlap. When a socket delivers again the poller withdraws its claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from backbone.bus.base import TRADES, Bus
from backbone.clock import VenueClock
from backbone.live import FeedStatus
from collectors.feed import Feed
from collectors.listing import Listed
from collectors.rest import RestClient
from collectors.venue import VenueMarket
from orderflow.errors import ExchangeError
from orderflow.instrument import Instrument
from orderflow.trade import Connected, Disconnect, StreamEvent, TradeBatch, Watermark

log = structlog.get_logger()
AFTER_S = 30.0
LOOK_S = 1.0
SHARE = 0.8
SETTLE_MS = 1_000
"""REST reads a database that is a little behind: up to here a page is whole."""
MOST_PAGES = 60
FIRST_LOOK_MS = 60_000
"""Without any id to go on from, the first page begins this long ago."""


def interval_s(symbols: int, weight: int, weight_per_minute: int) -> float:
    """Seconds between two questions for one symbol that use four fifths of the budget at most."""
    return max(LOOK_S, symbols * weight * 60 / (SHARE * weight_per_minute))


class Polled:
    """One instrument that is polled: the next id, or the ids of the newest page."""

    __slots__ = ("claimed", "key", "page", "seen_ms")

    def __init__(self, key: int | None) -> None:
        self.key = key
        self.page: frozenset[int] = frozenset()
        self.claimed = False
        self.seen_ms = 0


class Poller:
    """Watches the feeds of one market and polls what none of them delivers."""

    def __init__(
        self,
        market: VenueMarket,
        rest: RestClient,
        clock: VenueClock,
        bus: Bus,
        monotonic: Callable[[], float],
        after_s: float = AFTER_S,
    ) -> None:
        self._market = market
        self._rest = rest
        self._clock = clock
        self._bus = bus
        self._monotonic = monotonic
        self._after_s = after_s
        self.connection = f"{market.venue}-{market.market}-poll"
        self.polled: dict[str, Polled] = {}
        self._down_since: dict[str, float] = {}
        self._next_s = 0.0
        self.switches = self.pages = self.trades = 0

    async def run(
        self, listed: Callable[[], Mapping[str, Listed]], feeds: Callable[[], Sequence[Feed]]
    ) -> None:
        """Look every second, poll when it is time, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            known = {entry.instrument.name: entry for entry in listed().values()}
            wanted = {
                name: entry for name, entry in known.items() if entry.instrument.status == "trading"
            }
            await self.look(wanted, feeds())
            if self.polled and self._monotonic() >= self._next_s:
                weight = self._market.trades_call(next(iter(wanted.values()))[0], 0, 0, 0).weight
                every_s = interval_s(len(self.polled), weight, self._market.weight_per_minute)
                self._next_s = self._monotonic() + every_s
                await self._round(wanted, feeds)

    async def _round(
        self, wanted: Mapping[str, Listed], feeds: Callable[[], Sequence[Feed]]
    ) -> None:
        """Everything new of every polled instrument, a page of each in turn; what a socket delivers
        again in the meantime is left to the repairs."""
        behind = list(self.polled)
        for _ in range(MOST_PAGES):
            more = []
            for name in behind:
                if name in self.polled and await self._poll(wanted[name]):
                    more.append(name)
                await self.look(wanted, feeds())
            behind = more
            if not behind:
                return

    async def look(self, wanted: Mapping[str, Listed], feeds: Sequence[Feed]) -> None:
        """Start polling what was down for too long, stop what is delivered again."""
        now_s = self._monotonic()
        delivered = {name for feed in feeds for name in feed.delivered()}
        for name in wanted:
            if name in delivered:
                self._down_since.pop(name, None)
                continue
            down_s = now_s - self._down_since.setdefault(name, now_s)
            if down_s >= self._after_s and name not in self.polled:
                self._begin(name, feeds)
        for name in [n for n in self.polled if n in delivered or n not in wanted]:
            await self._end(name, "sockets are back" if name in delivered else "not traded")

    def _begin(self, name: str, feeds: Sequence[Feed]) -> None:
        keys = [feed.newest[name] for feed in feeds if name in feed.newest]
        counted = self._market.history == "by_id"
        self.polled[name] = Polled(max(keys) + 1 if keys and counted else None)
        self.switches += 1
        log.error("polling.started", instrument=name, market=self.connection)

    async def _end(self, name: str, reason: str) -> None:
        state = self.polled.pop(name)
        log.info("polling.stopped", instrument=name, reason=reason)
        if state.claimed:
            event = Disconnect([name], self.connection, state.seen_ms, reason)
            await self._bus.publish(TRADES, [event])

    async def _poll(self, entry: Listed) -> bool:
        """One page; True when there is more."""
        name = entry.instrument.name
        state = self.polled[name]
        try:
            if self._market.history == "by_id":
                return await self._by_id(entry, state)
            await self._newest(entry, state)
        except ExchangeError as error:
            log.warning("polling.failed", instrument=name, error=type(error).__name__)
        return False

    async def _by_id(self, entry: Listed, state: Polled) -> bool:
        """A page from the next id on; True when there is more."""
        asked_ms = self._clock.now_ms()
        page = await self._page(entry, state.key, asked_ms - FIRST_LOOK_MS, asked_ms)
        keys = page.key + [key for key, _ in page.rejected]
        if keys:
            state.key = max(keys) + 1
        whole = len(keys) < self._market.page_rows
        await self._publish(entry.instrument, state, page, asked_ms if whole else None)
        return not whole

    async def _newest(self, entry: Listed, state: Polled) -> None:
        """The newest page; one that does not reach back to the last leaves a hole."""
        asked_ms = self._clock.now_ms()
        page = await self._page(entry, None, 0, asked_ms)
        keys = frozenset(page.key) | {key for key, _ in page.rejected}
        full = len(keys) >= self._market.page_rows
        if state.claimed and full and not keys & state.page:
            gone = Disconnect([entry.instrument.name], self.connection, state.seen_ms, "page_short")
            await self._bus.publish(TRADES, [gone])
            state.claimed = False
        fresh = page.picked([i for i, key in enumerate(page.key) if key not in state.page])
        fresh.rejected = [row for row in page.rejected if row[0] not in state.page]
        state.page = keys or state.page
        await self._publish(entry.instrument, state, fresh, asked_ms)

    async def _page(self, entry: Listed, key: int | None, start_ms: int, end_ms: int) -> TradeBatch:
        call = self._market.trades_call(entry.instrument, key, start_ms, end_ms)
        page = await self._rest.ask(
            call,
            lambda body: self._market.parse_trades(body, *entry),
            repairing=True,
        )
        page.source = "polling"
        self.pages += 1
        self.trades += len(page.key)
        return page

    async def _publish(
        self, instrument: Instrument, state: Polled, page: TradeBatch, through_ms: int | None
    ) -> None:
        """The claim first, then the trades, then how far they reach."""
        events: list[StreamEvent] = []
        if not state.claimed:
            state.claimed = True
            start_ms = page.event_ms[0] if page.event_ms else self._clock.now_ms() - SETTLE_MS
            events.append(Connected([instrument.name], self.connection, start_ms))
        if page.key or page.rejected:
            events.append(page)
        if through_ms is not None:
            newest = page.event_ms[-1] if page.event_ms else 0
            state.seen_ms = max(state.seen_ms, newest, through_ms - SETTLE_MS)
            events.append(Watermark([instrument.name], state.seen_ms, self.connection))
        if events:
            await self._bus.publish(TRADES, events)

    def status(self) -> FeedStatus:
        """As one more connection."""
        return FeedStatus(
            connection=self.connection,
            venue=self._market.venue,
            market=self._market.market,
            state="polling" if self.polled else "waiting",
            instruments=sorted(self.polled),
            connects=self.switches,
            frames=self.pages,
            trades=self.trades,
            dropped=0,
            malformed=0,
            rejected={},
            last_frame_age_ms=None,
        )
