"""Repairs: what the processor misses is fetched over REST and published like live trades.

Per request: the trades of the hole, oldest first, then the venue's closed minutes over it, then
RepairDone. `complete` means that the venue gave everything it has of the hole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from backbone.bus.base import REPAIRS, TRADES, Bus
from backbone.clock import Monotonic, VenueClock, monotonic_s
from collectors.leading import Leading
from collectors.listing import Listed
from collectors.rest import RestClient
from collectors.venue import VenueMarket
from orderflow.errors import ExchangeError, OffGridError
from orderflow.instrument import Instrument
from orderflow.timeframe import HOUR_MS, MINUTE_MS, floor_ms
from orderflow.trade import (
    CANDLE_MISSING,
    IDS_SKIP,
    OUT_OF_REACH,
    AnnounceRequest,
    KlineClosed,
    RepairDone,
    RepairRequest,
    StreamEvent,
    TradeBatch,
)

log = structlog.get_logger()
REMEMBERED_S = 120.0
"""A processor asks again after so long by itself."""
IDS_MISSING = "ids_missing"
UNAVAILABLE = "unavailable"
SETTLE_MS = 1_000
"""REST reads a database that is a little behind the sockets."""
CANDLE_SETTLE_MS = 2_000
LONGEST_SETTLE_S = 3.0
MOST_AT_ONCE = 16
"""Repairs side by side: page by page they share the budget, so none waits for a longer one."""
CANDLE_ROWS = 1_000
PAGES_KEPT = 4
"""Newest pages of an instrument: small holes beside the one that was asked for are in them."""


class Source(NamedTuple):
    """Where the trades of one instrument are fetched."""

    market: VenueMarket
    rest: RestClient
    clock: VenueClock
    listed: Mapping[str, Listed]


class Outcome(NamedTuple):
    """Whether a hole was filled, and if not, why."""

    complete: bool
    reason: str = ""


Hole = tuple[str, int | None, int | None, int]
"""Instrument and last id, or first id and begin: a hole keeps it while its older end is filled."""


class Progress:
    """What one repair by ids has published: everything from `first` up to before `next`."""

    __slots__ = ("first", "next")

    def __init__(self, first: int) -> None:
        self.first = self.next = first

    def past(self, key: int) -> int:
        """The first id to ask for, of a hole that begins at `key`."""
        return self.next if self.first <= key < self.next else key


class RepairWorker:
    """Answers repair requests for the instruments of its sources, by canonical name, while it
    leads; what was asked while another collector led is asked again if that one is gone."""

    def __init__(
        self, bus: Bus, name: str, leading: Leading, monotonic: Monotonic = monotonic_s
    ) -> None:
        self._bus = bus
        self._name = name
        self._leading = leading
        self._monotonic = monotonic
        self._unanswered: deque[tuple[float, RepairRequest]] = deque()
        self.sources: dict[str, tuple[Source, str]] = {}
        self._newest: dict[Hole, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._progress: dict[str, Progress] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._pages: dict[str, deque[TradeBatch]] = {}
        self.announce = asyncio.Event()
        self.repaired = 0
        self.failed = 0

    def serve(self, source: Source) -> None:
        """Answer for everything this source lists."""
        for symbol, listed in source.listed.items():
            self.sources[listed.instrument.name] = (source, symbol)

    async def run(self) -> None:
        """Take requests from the bus until it closes."""
        subscription = await self._bus.subscribe(REPAIRS, self._name)
        following = asyncio.create_task(self._take_over())
        try:
            while True:
                for delivery in await subscription.next():
                    for message in delivery.messages:
                        if isinstance(message, RepairRequest):
                            self._hear(message)
                        elif isinstance(message, AnnounceRequest):
                            self.announce.set()
                    await subscription.ack(delivery.position)
        finally:
            for task in (following, *self._tasks):
                task.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await asyncio.gather(*list(self._tasks), return_exceptions=True)
            await subscription.close()

    def _hear(self, request: RepairRequest) -> None:
        """A request for the one who leads; the others remember it for a while."""
        if self._leading:
            self._accept(request)
            return
        now_s = self._monotonic()
        self._unanswered.append((now_s, request))
        while now_s - self._unanswered[0][0] > REMEMBERED_S:
            self._unanswered.popleft()

    async def _take_over(self) -> None:
        """What the one who led before may not have answered; an answer too many is harmless."""
        while True:
            await self._leading.until()
            since_s = self._monotonic() - REMEMBERED_S
            for asked_s, request in self._unanswered:
                if asked_s >= since_s:
                    self._accept(request)
            self._unanswered.clear()
            await self._leading.until_not()

    def _accept(self, request: RepairRequest) -> None:
        """Start a repair; a hole that is being repaired answers to the newest question."""
        if request.instrument not in self.sources:
            return
        last = request.last_key
        hole = (
            (request.instrument, None, last, 0)
            if last is not None
            else (request.instrument, request.first_key, None, request.start_ms)
        )
        under_way = hole in self._newest
        self._newest[hole] = request.repair_id
        if not under_way:
            task = asyncio.create_task(self._repair(request, hole))
            self._tasks[task] = None
            task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _repair(self, request: RepairRequest, hole: Hole) -> None:
        try:
            ahead = self._progress.get(request.instrument)
            async with self._turns.setdefault(request.instrument, asyncio.Lock()), self._places:
                outcome = await self._fill(request, ahead)
        finally:
            repair_id = self._newest.pop(hole)
        self.repaired += outcome.complete
        self.failed += not outcome.complete
        log.info(
            "repair.done",
            instrument=request.instrument,
            complete=outcome.complete,
            reason=outcome.reason,
        )
        done = RepairDone(request.instrument, repair_id, outcome.complete, outcome.reason)
        await self._bus.publish(TRADES, [done])

    async def _fill(self, request: RepairRequest, ahead: Progress | None) -> Outcome:
        """Trades, then candles; `ahead`: the repair that was under way when this was asked for."""
        source, symbol = self.sources[request.instrument]
        await self._settle(source.clock, request.end_ms)
        try:
            if request.reason == CANDLE_MISSING:
                outcome = Outcome(complete=True)
            elif source.market.history == "by_id":
                outcome = await self._by_id(request, source, symbol, ahead)
            else:
                outcome = await self._newest_page(request, source, symbol)
            if not _short(request):
                await self._candles(request, source, source.listed[symbol].instrument)
        except ExchangeError as error:
            log.warning(
                "repair.unavailable", instrument=request.instrument, error=type(error).__name__
            )
            return Outcome(complete=False, reason=UNAVAILABLE)
        return outcome

    async def _settle(self, clock: VenueClock, end_ms: int) -> None:
        """Wait until REST can know the whole hole."""
        behind_s = (end_ms + SETTLE_MS - clock.now_ms()) / 1_000
        if behind_s > 0:
            await asyncio.sleep(min(behind_s, LONGEST_SETTLE_S))

    async def _page(
        self, source: Source, symbol: str, key: int | None, start_ms: int, end_ms: int
    ) -> TradeBatch:
        instrument, scale = source.listed[symbol]
        page = await source.rest.ask(
            source.market.trades_call(instrument, key, start_ms, end_ms),
            lambda body: source.market.parse_trades(body, instrument, scale),
            repairing=True,
        )
        if source.market.history == "by_id":
            self._pages.setdefault(instrument.name, deque(maxlen=PAGES_KEPT)).append(page)
        return page

    def _kept(self, request: RepairRequest) -> TradeBatch | None:
        """A page fetched lately that has every id of a small hole."""
        if not _short(request):
            return None
        scale = self._scale(request.instrument)
        for page in self._pages.get(request.instrument, ()):
            whole = bool(page.key) and page.key[-1] - page.key[0] + 1 == len(page.key)
            inside = whole and page.key[0] <= (request.first_key or 0)
            if inside and page.key[-1] >= (request.last_key or 0) and page.scale == scale:
                return page
        return None

    def _scale(self, name: str) -> int:
        source, symbol = self.sources[name]
        return source.listed[symbol].scale

    async def _by_id(
        self, request: RepairRequest, source: Source, symbol: str, ahead: Progress | None
    ) -> Outcome:
        """Page by page from the first missing id, or from the first trade of the time range."""
        key, last = request.first_key, request.last_key
        start_ms, found, gone = request.start_ms, 0, False
        progress = None
        if key is not None:
            key = key if ahead is None else ahead.past(key)
            found = (key if last is None else min(key, last + 1)) - (request.first_key or 0)
            progress = self._progress[request.instrument] = Progress(key)
        while key is None or last is None or key <= last:
            page = self._kept(request) if key == request.first_key else None
            if page is None:
                page = await self._page(source, symbol, key, start_ms, request.end_ms)
            keys = page.key + [rejected for rejected, _ in page.rejected]
            if not keys and key is None and start_ms + HOUR_MS <= request.end_ms:
                start_ms += HOUR_MS
                continue
            gone |= key is not None and key == request.first_key and min(keys, default=key) > key
            part = _part(page, request)
            found += len(part.key) + len(part.rejected)
            await self._publish([part] if part.key or part.rejected else [])
            if progress is not None and part.key:
                progress.next = part.key[-1] + 1
            over = bool(page.event_ms) and page.event_ms[-1] > request.end_ms
            reached = bool(keys) and (max(keys) >= last if last is not None else over)
            if reached or len(keys) < source.market.page_rows:
                break
            key = max(keys) + 1
        if gone:
            return Outcome(complete=False, reason=OUT_OF_REACH)
        if last is None or request.first_key is None:
            return Outcome(complete=True)
        complete = found == last - request.first_key + 1
        return Outcome(complete, "" if complete else IDS_MISSING)

    async def _newest_page(self, request: RepairRequest, source: Source, symbol: str) -> Outcome:
        """The one page there is; it reaches back far enough or the hole is lost."""
        page = await self._page(source, symbol, None, request.start_ms, request.end_ms)
        keys = page.key + [rejected for rejected, _ in page.rejected]
        part = _part(page, request)
        await self._publish([part] if part.key or part.rejected else [])
        if request.first_key is not None and max(keys, default=0) - min(keys, default=1) >= len(
            keys
        ):
            return Outcome(complete=False, reason=IDS_SKIP)
        if not keys or len(keys) < source.market.page_rows:
            return Outcome(complete=True)
        if request.first_key is not None:
            complete = min(keys) <= request.first_key
        else:
            complete = bool(page.event_ms) and page.event_ms[0] <= request.start_ms
        return Outcome(complete, "" if complete else OUT_OF_REACH)

    async def _candles(
        self, request: RepairRequest, source: Source, instrument: Instrument
    ) -> None:
        """The venue's own closed minutes over the hole."""
        market = source.market
        start_ms = floor_ms(request.start_ms, MINUTE_MS)
        while start_ms <= request.end_ms:
            end_ms = min(request.end_ms, start_ms + (CANDLE_ROWS - 1) * MINUTE_MS)
            call = market.candles_call(instrument, "1m", start_ms, end_ms)
            candles = await source.rest.ask(call, market.parse_candles, repairing=True)
            closed: list[KlineClosed] = []
            for candle in candles:
                if candle.start_ms + MINUTE_MS + CANDLE_SETTLE_MS <= source.clock.now_ms():
                    try:
                        closed.append(candle.counted(instrument))
                    except OffGridError:
                        log.warning("repair.candle_off_grid", instrument=instrument.name)
            await self._publish(closed)
            start_ms += CANDLE_ROWS * MINUTE_MS

    async def _publish(self, events: list[TradeBatch] | list[KlineClosed]) -> None:
        messages: list[StreamEvent] = list(events)
        if messages:
            await self._bus.publish(TRADES, messages)


def _short(request: RepairRequest) -> bool:
    """A hole between two known ids within a minute: its candles come by themselves, or are asked
    for apart."""
    span_ms = request.end_ms - request.start_ms
    return None not in (request.first_key, request.last_key) and span_ms < MINUTE_MS


def _part(page: TradeBatch, request: RepairRequest) -> TradeBatch:
    """The trades of the hole: by id where it has ids, else by time."""
    first, last = request.first_key, request.last_key
    if first is None:
        inside = [request.start_ms <= ms <= request.end_ms for ms in page.event_ms]
    else:
        inside = [
            key >= first and (key <= last if last is not None else ms <= request.end_ms)
            for key, ms in zip(page.key, page.event_ms, strict=True)
        ]
    part = page if all(inside) else page.picked([i for i, here in enumerate(inside) if here])
    if first is not None:
        until = last if last is not None else max(part.key, default=first)
        part.rejected = [(key, why) for key, why in page.rejected if first <= key <= until]
    return part
