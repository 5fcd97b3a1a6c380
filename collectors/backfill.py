"""What is asked over REST: instruments, time, candles, and the trades of a hole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

import httpx2
import structlog

from backbone.bus.base import TRADES, Bus
from collectors.rest import RestHost
from collectors.venue import Request, Venue
from orderflow.errors import ExchangeError, VenueRefusedError
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import HOUR_MS, MINUTE_MS, floor_ms
from orderflow.trade import (
    OUT_OF_REACH,
    InstrumentChanged,
    KlineClosed,
    RepairDone,
    RepairRequest,
    TradeBatch,
)

log = structlog.get_logger()

FAILED = "venue_unavailable"
RANGE_HOURS = 168
PAGE_ROWS = 1_000
PAGES = 2_000
"""A single repair reads at most this many pages; the rest is asked for again."""


class Backfill:
    """REST of one venue."""

    def __init__(
        self,
        venue: Venue,
        hosts: Mapping[Market, RestHost],
        bus: Bus,
        venue_ms: Callable[[Market], int],
    ) -> None:
        self.venue = venue
        self.hosts = hosts
        self.bus = bus
        self.venue_ms = venue_ms

    async def time_ms(self, market: Market) -> int:
        """What time it is at the venue."""
        body = await self.hosts[market].get(self.venue.time_request(market))
        return self.venue.parse_time(body)

    async def instruments(self, market: Market) -> list[Instrument]:
        """Everything the venue lists in a market."""
        found: list[Instrument] = []
        cursor = ""
        while True:
            request = self.venue.instruments_request(market, cursor)
            page = self.venue.parse_instruments(market, await self.hosts[market].get(request))
            found += page.instruments
            if not page.cursor:
                return found
            cursor = page.cursor

    async def announcement(self, instrument: Instrument, scale: int) -> InstrumentChanged:
        """The instrument with its hourly ranges of the last week and its last price."""
        ranges, price = await self._ranges(instrument)
        return InstrumentChanged(
            venue=instrument.venue,
            market=str(instrument.market),
            symbol=instrument.symbol,
            base=instrument.base,
            quote=instrument.quote,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            sequence=instrument.sequence,
            status=instrument.status,
            scale=scale,
            hour_ranges=ranges,
            last_price=price,
        )

    async def _ranges(self, instrument: Instrument) -> tuple[list[Decimal], Decimal | None]:
        now = self.venue_ms(instrument.market)
        end = floor_ms(now, HOUR_MS) - 1
        start = end + 1 - RANGE_HOURS * HOUR_MS
        klines = await self._klines(instrument, HOUR_MS, start, end)
        ranges = [instrument.price(k.high_ticks - k.low_ticks) for k in klines]
        if klines:
            return ranges, instrument.price(klines[-1].close_ticks)
        newest = await self._klines(instrument, MINUTE_MS, now - HOUR_MS, now)
        return [], instrument.price(newest[-1].close_ticks) if newest else None

    async def _klines(
        self, instrument: Instrument, interval_ms: int, start_ms: int, end_ms: int
    ) -> list[KlineClosed]:
        request = self.venue.klines_request(instrument, interval_ms, start_ms, end_ms)
        body = await self.hosts[instrument.market].get_patiently(request)
        return self.venue.parse_klines(instrument, body)

    # Repairs

    async def repair(self, instrument: Instrument, request: RepairRequest) -> None:
        """Publish what the venue still has of a hole, its candles, then the verdict."""
        try:
            complete, reason = await self._trades(instrument, request)
            await self._minutes(instrument, request)
        except (httpx2.HTTPError, ExchangeError) as error:
            log.warning("repair.failed", instrument=instrument.name, error=type(error).__name__)
            if isinstance(error, VenueRefusedError) and error.retry_after_s:
                await asyncio.sleep(min(error.retry_after_s, 60.0))
            complete, reason = False, FAILED
        done = RepairDone(instrument.name, request.repair_id, complete, reason)
        await self.bus.publish(TRADES, [done])
        log.info("repair.done", instrument=instrument.name, complete=complete, reason=reason)

    async def _trades(self, instrument: Instrument, hole: RepairRequest) -> tuple[bool, str]:
        if hole.first_key is not None:
            if self.venue.trades_by_key_request(instrument, hole.first_key) is not None:
                return await self._by_key(instrument, hole)
        elif self.venue.trades_by_time_request(instrument, hole.start_ms, hole.end_ms) is not None:
            return await self._by_time(instrument, hole)
        return await self._recent(instrument, hole)

    async def _by_key(self, instrument: Instrument, hole: RepairRequest) -> tuple[bool, str]:
        """Pages by id up to the last one missing, or up to the newest."""
        key, last = hole.first_key or 0, hole.last_key
        complete = True
        for _ in range(PAGES):
            batch = await self._page(instrument, self.venue.trades_by_key_request(instrument, key))
            ids = sorted([*batch.key, *(seen for seen, _ in batch.rejected)])
            if not ids:
                return (complete, "") if last is None else (False, FAILED)
            complete = complete and ids[0] == key
            keep = [k for k, seen in enumerate(batch.key) if last is None or seen <= last]
            await self.bus.publish(TRADES, [batch.picked(keep)])
            key = ids[-1] + 1
            if (last is None and len(ids) < PAGE_ROWS) or (last is not None and key > last):
                return complete, "" if complete else OUT_OF_REACH
        return False, FAILED

    async def _by_time(self, instrument: Instrument, hole: RepairRequest) -> tuple[bool, str]:
        """Pages by time, each from the last id of the one before."""
        request = self.venue.trades_by_time_request(instrument, hole.start_ms, hole.end_ms)
        batch = await self._page(instrument, request)
        for _ in range(PAGES):
            keep = [k for k, at in enumerate(batch.event_ms) if at <= hole.end_ms]
            await self.bus.publish(TRADES, [batch.picked(keep)])
            if len(keep) < PAGE_ROWS:
                return True, ""
            batch = await self._page(
                instrument, self.venue.trades_by_key_request(instrument, batch.key[-1] + 1)
            )
        return False, FAILED

    async def _recent(self, instrument: Instrument, hole: RepairRequest) -> tuple[bool, str]:
        """The newest trades; whether they reach back to where the hole begins."""
        batch = await self._page(instrument, self.venue.recent_trades_request(instrument))
        await self.bus.publish(TRADES, [batch])
        if not batch.key:
            return False, OUT_OF_REACH
        if hole.first_key is not None:
            reaches = batch.key[0] <= hole.first_key
        else:
            reaches = batch.event_ms[0] <= hole.start_ms
        return reaches, "" if reaches else OUT_OF_REACH

    async def _page(self, instrument: Instrument, request: Request | None) -> TradeBatch:
        if request is None:
            raise VenueRefusedError("the venue can't answer that")
        body = await self.hosts[instrument.market].get_patiently(request)
        return self.venue.parse_trades(instrument, body)

    async def _minutes(self, instrument: Instrument, hole: RepairRequest) -> None:
        """The venue's candles of every minute the hole touches, closed ones only."""
        start = floor_ms(hole.start_ms, MINUTE_MS)
        now = self.venue_ms(instrument.market)
        end = min(hole.end_ms, floor_ms(now, MINUTE_MS) - 1)
        while start <= end:
            klines = await self._klines(instrument, MINUTE_MS, start, end)
            closed = [k for k in klines if k.start_ms + MINUTE_MS <= now]
            await self.bus.publish(TRADES, closed)
            if not closed or len(klines) < PAGE_ROWS:
                return
            start = closed[-1].start_ms + MINUTE_MS
