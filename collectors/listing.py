"""What a market lists: instruments, their newest hourly ranges, and how both change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import structlog

from backbone.clock import VenueClock
from collectors.pacing import Backoff
from collectors.rest import RestClient
from collectors.selection import Selection
from collectors.venue import Candle, VenueMarket
from orderflow.errors import ExchangeError
from orderflow.instrument import Instrument, Status
from orderflow.timeframe import HOUR_MS
from orderflow.trade import InstrumentChanged

log = structlog.get_logger()
MOST_PAGES = 20
RANGE_HOURS = 168
RANGES_LAST_MS = 24 * HOUR_MS
"""Ranges of a week, told again within a day, are not asked for again."""
AT_A_TIME = 20
"""Instruments that are described, announced and collected together: a whole market costs minutes
of a venue's budget, and the first of it must not wait for the last."""


class Listed(NamedTuple):
    """An instrument and the number of its tick and lot definition."""

    instrument: Instrument
    scale: int


class Look(NamedTuple):
    """What is new, changed or gone, in the order of the selection; and what it left."""

    news: list[Listed]
    left: list[Listed]

    def batches(self) -> Iterator[list[Listed]]:
        """The news, some at a time."""
        for start in range(0, len(self.news), AT_A_TIME):
            yield self.news[start : start + AT_A_TIME]


class Ranges(NamedTuple):
    """Closed hourly ranges of an instrument and its last price, and when they were asked for."""

    asked_ms: int
    hours: list[Decimal]
    last_price: Decimal | None


class Listing:
    """The collected instruments of one market, by symbol: those that were announced.

    `ever` has those as well that were collected once, for what is still asked about their past.
    """

    def __init__(
        self,
        market: VenueMarket,
        rest: RestClient,
        clock: VenueClock,
        selection: Selection,
        backoff: Backoff,
    ) -> None:
        self._market = market
        self._rest = rest
        self._clock = clock
        self._selection = selection
        self._backoff = backoff
        self.listed: dict[str, Listed] = {}
        self.ever: dict[str, Listed] = {}
        self._ranges: dict[str, Ranges] = {}
        self._traded: dict[tuple[str, str], str] = {}

    async def look(self) -> Look:
        """What became different since the last time; tries until the venue answers."""
        while True:
            try:
                found = await self._fetch()
                turnovers = await self._turnovers()
                await self.ask_time()
                break
            except ExchangeError as error:
                log.warning(
                    "listing.unavailable",
                    venue=self._market.venue,
                    market=self._market.market,
                    error=type(error).__name__,
                )
                await asyncio.sleep(self._backoff.next_s())
        self._backoff.reset()
        chosen = self._selection.choose(found, turnovers, self.listed.keys())
        return Look(self._news(found, chosen), self._leaving(found, chosen))

    async def load(self) -> list[InstrumentChanged]:
        """A look, of which everything is described and announced at once."""
        return await self.announce((await self.look()).news)

    async def announce(self, news: Sequence[Listed]) -> list[InstrumentChanged]:
        """Describe these; from now on they are listed."""
        changed = list(await asyncio.gather(*(self._describe(item) for item in news)))
        self.enter(news)
        return changed

    def enter(self, news: Sequence[Listed]) -> None:
        """From now on these are listed."""
        fresh = {listed.instrument.symbol: listed for listed in news}
        self.listed |= fresh
        self.ever |= fresh

    def leave(self, left: Sequence[Listed]) -> None:
        """From now on these are not."""
        for listed in left:
            self.listed.pop(listed.instrument.symbol, None)

    async def _fetch(self) -> list[Instrument]:
        """Everything listed, over all pages."""
        market, cursor = self._market, ""
        found: list[Instrument] = []
        for _ in range(MOST_PAGES):
            page = await self._rest.ask(market.instruments_call(cursor), market.parse_instruments)
            found += page.instruments
            if not page.cursor or page.cursor == cursor:
                break
            cursor = page.cursor
        trading = [item for item in found if item.status == "trading"]
        self._traded = {(item.base, item.quote): item.symbol for item in trading}
        return found

    async def _turnovers(self) -> dict[str, Decimal]:
        """Turnovers of 24 h, asked for only where somebody must be chosen or ranked by them."""
        market, selection = self._market, self._selection
        if not selection.narrows:
            return {}
        try:
            return await self._rest.ask(market.tickers_call(), market.parse_tickers)
        except ExchangeError:
            if selection.by_turnover:
                raise
            return {}

    async def ask_time(self) -> None:
        """Set the venue clock by the venue's own time."""
        market = self._market
        self._clock.observe(await self._rest.ask(market.time_call(), market.parse_time))

    def _news(self, found: Sequence[Instrument], chosen: Sequence[Instrument]) -> list[Listed]:
        """Those that are new, changed or gone."""
        news = []
        for item in chosen:
            known, before = self.listed.get(item.symbol), self.ever.get(item.symbol)
            if known is None and item.status != "trading":
                continue
            if known is not None and known.instrument == item:
                continue
            scale = 0 if before is None else before.scale + _rescaled(before.instrument, item)
            news.append(Listed(item, scale))
        there = {item.symbol for item in found}
        for symbol, (item, scale) in self.listed.items():
            gone = self._gone(item)
            if symbol not in there and item.status != gone:
                news.append(Listed(replace(item, status=gone), scale))
        return news

    def _leaving(self, found: Sequence[Instrument], chosen: Sequence[Instrument]) -> list[Listed]:
        """What is still listed and no longer chosen."""
        kept = {item.symbol for item in chosen}
        there = {item.symbol for item in found}
        return [
            listed
            for symbol, listed in self.listed.items()
            if symbol in there and symbol not in kept
        ]

    def _gone(self, item: Instrument) -> Status:
        """What became of a symbol that is no longer listed: the same coins may trade by another."""
        successor = self._traded.get((item.base, item.quote))
        if successor is None or successor == item.symbol:
            return "delisted"
        log.warning("listing.renamed", old=item.name, new=successor)
        return "renamed"

    async def announcements(self) -> list[InstrumentChanged]:
        """Everything listed, as it is now."""
        return list(await asyncio.gather(*(self._describe(item) for item in self.listed.values())))

    async def _describe(self, listed: Listed) -> InstrumentChanged:
        instrument = listed.instrument
        ranges = await self._ranged(instrument)
        return InstrumentChanged(
            venue=instrument.venue,
            market=instrument.market,
            symbol=instrument.symbol,
            base=instrument.base,
            quote=instrument.quote,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            sequence=instrument.sequence,
            status=instrument.status,
            scale=listed.scale,
            hour_ranges=ranges.hours,
            last_price=ranges.last_price,
        )

    async def _ranged(self, instrument: Instrument) -> Ranges:
        """Ranges of the last week, as they were told within a day."""
        now_ms, known = self._clock.now_ms(), self._ranges.get(instrument.symbol)
        gone = instrument.status in ("delisted", "renamed")
        if known is not None and (gone or now_ms - known.asked_ms < RANGES_LAST_MS):
            return known
        candles = await self._hours(instrument, now_ms)
        hours = [candle.high - candle.low for candle in candles]
        found = Ranges(now_ms, hours, candles[-1].close if candles else None)
        if candles:
            self._ranges[instrument.symbol] = found
        return found

    async def _hours(self, instrument: Instrument, now_ms: int) -> list[Candle]:
        """Newest closed hourly candles; none when the venue does not answer."""
        market = self._market
        start_ms = now_ms - now_ms % HOUR_MS - RANGE_HOURS * HOUR_MS
        call = market.candles_call(instrument, "1h", max(0, start_ms), now_ms)
        try:
            candles = await self._rest.ask(call, market.parse_candles)
        except ExchangeError as error:
            log.warning("listing.no_ranges", instrument=instrument.name, error=type(error).__name__)
            return []
        return [candle for candle in candles if candle.start_ms + HOUR_MS <= now_ms]


def _rescaled(old: Instrument, new: Instrument) -> int:
    """1 when ticks or lots are counted differently from now on."""
    return int((old.tick_size, old.lot_size) != (new.tick_size, new.lot_size))
