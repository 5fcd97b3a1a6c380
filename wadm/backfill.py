"""History: what is not stored, or stored without proof, is fetched a day at a time.

Candles first, as approximate minutes, then the trades in their place. The same road fills an
empty store in the background, any range on demand, and repairs yesterday from the venue's archive.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import httpx2
import structlog

from backbone.clock import VenueClock, monotonic_s, wall_ms
from backbone.settings import Settings
from backbone.store.base import Store
from collectors import past as fetching
from collectors.backfill import Source
from collectors.budget import Budget
from collectors.listing import Listing
from collectors.pacing import Backoff
from collectors.rest import RestClient
from collectors.selection import Selection
from orderflow.completeness import State
from orderflow.errors import ExchangeError, NotFoundError
from orderflow.timeframe import DAY_MS, MINUTE_MS, TIMEFRAMES, floor_ms
from orderflow.trade import KlineClosed
from processor.engine import Engine, WindowResult
from processor.past import (
    BEST,
    PastBuilder,
    PastMinute,
    Piece,
    approximate,
    past_windows,
    proven,
    quiet,
)
from processor.records import minute_records, window_records
from processor.stream import MinuteResult, Stream
from wadm.audit import REST_TIMEOUT_S, market_of, stored

log = structlog.get_logger()
Sink = Callable[[Sequence[MinuteResult], Sequence[WindowResult]], Awaitable[None]]
"""Takes minutes and windows to be stored."""
Progress = Callable[[int, int], None]
"""Minutes done, of how many."""
AT_ONCE = 60


class Filled(NamedTuple):
    """What a backfill achieved: minutes looked at, changed, by trades, and still without proof."""

    minutes: int
    changed: int
    from_trades: int
    unproven: int
    error: str = ""


class Job(NamedTuple):
    """Where the past of one instrument comes from and goes to."""

    source: Source
    symbol: str
    archive_url: str
    stream: Stream
    store: Store
    sink: Sink


class DayFill:
    """One UTC day, or a part of it, of one instrument."""

    def __init__(self, job: Job, start_ms: int, end_ms: int) -> None:
        self.job = job
        self.start_ms, self.end_ms = start_ms, end_ms
        self.name = job.stream.instrument.name
        self.pieces: dict[int, Piece] = {}
        self.changed: set[int] = set()
        self.from_trades = 0

    async def run(self) -> Filled:
        """Fill what lacks proof; an unreachable venue leaves what there is."""
        self.pieces = dict(await stored(self.job.store, self.name, "1m", *self._span))
        wanted = [
            at
            for at in range(self.start_ms, self.end_ms, MINUTE_MS)
            if at not in self.pieces or self.pieces[at][1].state not in BEST
        ]
        error = ""
        if wanted:
            try:
                instrument = self.job.stream.instrument
                klines = await fetching.candles(self.job.source, instrument, *self._span)
                await self._approximate(wanted, klines)
                await self._trades(set(wanted), klines)
            except ExchangeError as problem:
                error = str(problem)
                log.info("backfill.unavailable", instrument=self.name, error=error)
            await self._windows()
        unproven = sum(
            at not in self.pieces or self.pieces[at][1].state not in BEST
            for at in range(self.start_ms, self.end_ms, MINUTE_MS)
        )
        count = (self.end_ms - self.start_ms) // MINUTE_MS
        return Filled(count, len(self.changed), self.from_trades, unproven, error)

    @property
    def _span(self) -> tuple[int, int]:
        return self.start_ms, self.end_ms

    async def _approximate(self, wanted: Sequence[int], klines: dict[int, KlineClosed]) -> None:
        """Candles where there is nothing at all; a candle without volume is the whole truth."""
        found = []
        for at in wanted:
            kline, before = klines.get(at), self.pieces.get(at)
            if kline is None:
                continue
            instrument, row = self.job.stream.instrument, self.job.stream.row_ticks(at)
            if kline.volume_lots == 0:
                found.append(proven(instrument, quiet(instrument, at, row), kline, before))
            elif before is None:
                found.append(approximate(instrument, kline, row, None))
        await self._put([result for result in found if result is not None])

    async def _trades(self, wanted: set[int], klines: dict[int, KlineClosed]) -> None:
        """The trades themselves, minute by minute as they come."""
        stream, job = self.job.stream, self.job
        builder = PastBuilder(stream.instrument, stream.row_ticks(self.start_ms))
        fetched = fetching.trades(job.source, job.symbol, job.archive_url, *self._span)
        async for batch in fetched:
            await self._minutes(builder.add(batch), wanted, klines)
        await self._minutes(builder.close(), wanted, klines)

    async def _minutes(
        self, found: object, wanted: set[int], klines: dict[int, KlineClosed]
    ) -> None:
        results = []
        for past in found:  # type: ignore[attr-defined]
            result = self._better(past, wanted, klines.get(past.start_ms))
            if result is not None:
                results.append(result)
        self.from_trades += len(results)
        await self._put(results)

    def _better(
        self, past: PastMinute, wanted: set[int], kline: KlineClosed | None
    ) -> MinuteResult | None:
        """The minute, unless it proves less than what is there."""
        if past.start_ms not in wanted:
            return None
        before = self.pieces.get(past.start_ms)
        result = proven(self.job.stream.instrument, past, kline, before)
        worth = before is None or before[1].state is State.APPROXIMATE
        if result is None or not (worth or result.quality.state in BEST):
            return None
        return result

    async def _put(self, results: list[MinuteResult]) -> None:
        for result in results:
            start = result.bar.flow.start_ms
            self.pieces[start] = (result.bar, result.quality)
            self.changed.add(start)
        for place in range(0, len(results), AT_ONCE):
            await self.job.sink(results[place : place + AT_ONCE], [])
            await asyncio.sleep(0)

    async def _windows(self) -> None:
        """Longer windows that are now whole, revised where they were said before."""
        before = {
            timeframe: await stored(self.job.store, self.name, timeframe, *self._span)
            for timeframe in TIMEFRAMES
            if timeframe != "1m"
        }
        for window in past_windows(self.name, self.pieces, self.changed, before):
            await self.job.sink([], [window])
            await asyncio.sleep(0)


async def fill(job: Job, start_ms: int, end_ms: int, progress: Progress | None = None) -> Filled:
    """Fill [start, end), newest day first."""
    total = Filled(0, 0, 0, 0)
    whole = (end_ms - start_ms) // MINUTE_MS
    day_ms = floor_ms(end_ms - 1, DAY_MS)
    while day_ms + DAY_MS > start_ms:
        found = await DayFill(job, max(day_ms, start_ms), min(day_ms + DAY_MS, end_ms)).run()
        total = Filled(
            total.minutes + found.minutes,
            total.changed + found.changed,
            total.from_trades + found.from_trades,
            total.unproven + found.unproven,
            found.error or total.error,
        )
        if progress is not None:
            progress(total.minutes, whole)
        day_ms -= DAY_MS
    return total


def archive_url(settings: Settings, instrument: str) -> str:
    """The archive of an instrument's venue."""
    url: str = getattr(settings, f"{instrument.partition(':')[0]}_archive_url")
    return url


async def backfill_range(
    settings: Settings,
    store: Store,
    name: str,
    span: tuple[int, int],
    progress: Progress | None = None,
) -> Filled:
    """Fill a range of one instrument from outside a running system.

    ExchangeError when the venue does not answer, NotFoundError when it lists no such symbol.
    """
    market, symbol = market_of(name)
    async with httpx2.AsyncClient(timeout=REST_TIMEOUT_S) as http:
        rest = RestClient(
            getattr(settings, market.rest_setting),
            http,
            Budget(market.weight_per_minute),
            monotonic_s,
        )
        clock = VenueClock()
        listing = Listing(
            market, rest, clock, Selection(frozenset({symbol})), Backoff(random.random)
        )
        await listing.ask_time()
        news = await listing.load()
        if symbol not in listing.listed:
            raise NotFoundError(f"{market.venue} {market.market} lists no {symbol}")
        stream = Engine(settings.fixed_row_sizes).announce(news[0])
        stream.grids.decide(
            news[0].last_price or stream.instrument.tick_size, stream.instrument.tick_size
        )

        async def sink(minutes: Sequence[MinuteResult], windows: Sequence[WindowResult]) -> None:
            wall = wall_ms()
            records = [record for minute in minutes for record in minute_records(minute, wall)]
            records += [record for window in windows for record in window_records(window, wall)]
            await store.put(records)

        source = Source(market, rest, clock, listing.listed)
        job = Job(source, symbol, archive_url(settings, name), stream, store, sink)
        return await fill(job, *span, progress)
