"""The third layer of the watch: a stream that is silent while its socket lives.

REST decides: a newer trade there means that the stream is dead and its socket is replaced (the
hole is repaired by ids or by the second connection); no newer one means a quiet market.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from backbone.clock import VenueClock
from collectors.feed import Feed
from collectors.listing import Listed
from collectors.rest import RestClient
from collectors.venue import VenueMarket
from orderflow.errors import ExchangeError

log = structlog.get_logger()
LOOK_S = 1.0
ARRIVES_MS = 3_000
"""A trade that REST knows for longer than this should have come over the socket."""
REFRESH_EVERY_S = 60.0


class Watchdog:
    """Watches every stream of one market."""

    def __init__(
        self,
        market: VenueMarket,
        rest: RestClient,
        clock: VenueClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._market = market
        self._rest = rest
        self._clock = clock
        self._monotonic = monotonic
        self._refreshed_s: float | None = None
        self.listing_wanted = asyncio.Event()
        self.probes = self.dead = 0

    async def run(
        self, listed: Callable[[], Mapping[str, Listed]], feeds: Callable[[], Sequence[Feed]]
    ) -> None:
        """Look every second, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            known = {entry.instrument.name: entry for entry in listed().values()}
            for feed in feeds():
                for name in feed.delivered():
                    entry = known.get(name)
                    if entry is not None and entry.instrument.status == "trading":
                        await self.look(feed, entry, feeds())

    async def look(self, feed: Feed, entry: Listed, feeds: Sequence[Feed]) -> None:
        """Ask about one stream of one feed, when it has been silent for too long."""
        name, now_s = entry.instrument.name, self._monotonic()
        pulse = feed.pulses.get(name)
        if pulse is None or not pulse.overdue(now_s):
            return
        heard = max((f.pulses[name].newest_ms for f in feeds if name in f.pulses), default=0)
        if heard - ARRIVES_MS > pulse.reached_ms:
            self._replace(feed, name, "another connection has newer trades")
            return
        self.probes += 1
        try:
            newest_ms = await self._newest_ms(entry)
        except ExchangeError as error:
            log.info("watchdog.no_answer", instrument=name, error=type(error).__name__)
            pulse.rest(now_s)
            return
        if newest_ms > pulse.reached_ms:
            if newest_ms <= self._clock.now_ms() - ARRIVES_MS:
                self._replace(feed, name, "the venue has newer trades")
            return
        busy = pulse.busy
        pulse.found_quiet(self._monotonic())
        feed.note_quiet()
        if busy:
            self._ask_for_listing(now_s)

    async def _newest_ms(self, entry: Listed) -> int:
        """Exchange time of the newest trade the venue has; 0 when it has none."""
        page = await self._rest.ask(
            self._market.newest_call(entry.instrument),
            lambda body: self._market.parse_trades(body, *entry),
        )
        return max(page.event_ms, default=0)

    def _replace(self, feed: Feed, name: str, why: str) -> None:
        self.dead += 1
        log.warning("watchdog.stream_dead", instrument=name, connection=feed.name, why=why)
        feed.replace("stream_silent")

    def _ask_for_listing(self, now_s: float) -> None:
        """A busy market that fell quiet may have been halted: look at the listing, now and then."""
        if self._refreshed_s is None or now_s - self._refreshed_s >= REFRESH_EVERY_S:
            self._refreshed_s = now_s
            self.listing_wanted.set()
