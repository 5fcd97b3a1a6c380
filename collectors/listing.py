"""What a market lists: instruments, their newest hourly ranges, and how both change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import structlog

from backbone.clock import VenueClock
from collectors.pacing import Backoff
from collectors.rest import RestClient
from collectors.venue import Candle, VenueMarket
from orderflow.errors import ExchangeError
from orderflow.instrument import Instrument, Status
from orderflow.timeframe import HOUR_MS
from orderflow.trade import InstrumentChanged

log = structlog.get_logger()
MOST_PAGES = 20
RANGE_HOURS = 168


class Listed(NamedTuple):
    """An instrument and the number of its tick and lot definition."""

    instrument: Instrument
    scale: int


class Listing:
    """The collected instruments of one market, by symbol."""

    def __init__(
        self,
        market: VenueMarket,
        rest: RestClient,
        clock: VenueClock,
        symbols: Sequence[str],
        backoff: Backoff,
    ) -> None:
        self._market = market
        self._rest = rest
        self._clock = clock
        self._symbols = frozenset(symbols)
        self._backoff = backoff
        self.listed: dict[str, Listed] = {}
        self._traded: dict[tuple[str, str], str] = {}

    async def load(self) -> list[InstrumentChanged]:
        """What is new or changed since the last time; tries until the venue answers."""
        while True:
            try:
                found = await self._fetch()
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
        return list(await asyncio.gather(*(self._describe(item) for item in self._news(found))))

    async def _fetch(self) -> list[Instrument]:
        """Wanted instruments, over all pages."""
        market, cursor = self._market, ""
        found: list[Instrument] = []
        self._traded.clear()
        for _ in range(MOST_PAGES):
            page = await self._rest.ask(market.instruments_call(cursor), market.parse_instruments)
            for item in page.instruments:
                if item.status == "trading":
                    self._traded[item.base, item.quote] = item.symbol
            found += [item for item in page.instruments if item.symbol in self._symbols]
            if not page.cursor or page.cursor == cursor:
                break
            cursor = page.cursor
        return found

    async def ask_time(self) -> None:
        """Set the venue clock by the venue's own time."""
        market = self._market
        self._clock.observe(await self._rest.ask(market.time_call(), market.parse_time))

    def _news(self, found: Sequence[Instrument]) -> list[Listed]:
        """Remember what was found; the ones that are new, changed or gone."""
        news = []
        for item in found:
            known = self.listed.get(item.symbol)
            if known is None and item.status != "trading":
                continue
            if known is not None and known.instrument == item:
                continue
            scale = 0 if known is None else known.scale + _rescaled(known.instrument, item)
            news.append(Listed(item, scale))
        there = {item.symbol for item in found}
        for symbol, (item, scale) in self.listed.items():
            gone = self._gone(item)
            if symbol not in there and item.status != gone:
                news.append(Listed(replace(item, status=gone), scale))
        self.listed |= {listed.instrument.symbol: listed for listed in news}
        return news

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
        candles = await self._hours(instrument)
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
            hour_ranges=[candle.high - candle.low for candle in candles],
            last_price=candles[-1].close if candles else None,
        )

    async def _hours(self, instrument: Instrument) -> list[Candle]:
        """Newest closed hourly candles; none when the venue does not answer."""
        market, now_ms = self._market, self._clock.now_ms()
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
