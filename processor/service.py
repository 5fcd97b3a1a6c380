"""ProcessorService: events from the bus into the engine, and what time makes due.

Results go to the store through the `Writer`. Start-up and recovery are one path: load checkpoints,
go on from there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

import structlog

from backbone.breaker import BreakerStatus
from backbone.bus.base import REPAIRS, UPDATES, Bus, Subscription
from backbone.clock import ForwardClock, VenueClock, monotonic_ms, wall_ms
from backbone.ending import ended
from backbone.settings import Settings
from backbone.store.base import Record, Store
from orderflow.errors import BusError, FencedError
from orderflow.mixed import MixedTrades
from orderflow.timeframe import MINUTE_MS, floor_ms
from orderflow.trade import KlineClosed, TradeBatch, Watermark
from processor import windows
from processor.chronicler import Chronicler
from processor.derivative_keeper import DerivativeKeeper
from processor.engine import Engine, Results
from processor.filling import fill_wanted, load_day, load_hours
from processor.history import KEPT_MS
from processor.ingestion import ingestion_record
from processor.live import ProcessorView
from processor.publishing import Publisher
from processor.records import minute_records, refresh_record, window_records
from processor.resuming import Resuming
from processor.settling import TURN_S, Settling
from processor.share import Share
from processor.stream import MinuteResult
from processor.told import Told
from processor.writer import Writer

log = structlog.get_logger()

TICK_MS = 100
ROUND_MS_PER_STREAM = 0.5
"""So seldom time is told to every stream: a thousand of them hear it every half second. Trades wait
as long, unless somebody asks for their instrument, because a few of each cost by the instrument."""
TICK_S = 0.015
"""Longer than this nothing new is taken in: the next tick goes on where this one stopped."""
PENDING_RECORDS = 20_000
"""More results than this waiting for the store, and the processor takes nothing more until some
are written: what comes meanwhile waits in the bus, and what the bus can't hold is repaired."""
PENDING_PER_STREAM = 20
"""When an hour is over every stream has about ten at once."""
PAST_RECORDS = 500
"""So many records of before the observation wait at once: what is live waits behind few of them."""
TRADES_PER_TURN = 500
FILL_EVERY_S = 1.0


class ProcessorService:
    """Owns the engine, its clocks and what writes their results."""

    perf_s: Callable[[], float] = staticmethod(perf_counter)
    tick_ms = TICK_MS

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        store: Store,
        source: str,
        mono_ms: Callable[[], int] = monotonic_ms,
        share: Share = Share(),  # noqa: B008 (immutable)
        *,
        apart: bool = False,
    ) -> None:
        self.share = share
        self.bus = bus
        self.store = store
        self.mono_ms = mono_ms
        self.engine = Engine(settings.fixed_row_sizes, first_repair_id=wall_ms())
        self.clocks: dict[str, VenueClock] = {}
        self._waiting = Settling(self.engine, self.perf_s)
        self.view = ProcessorView(self.engine, source, self.now_ms, self._waiting.settle)
        self.view.queued = self._waiting.queued
        self.writer = Writer(self.engine, store, self._waiting.settle, mono_ms, share, apart=apart)
        self.view.durable = self.writer.durable
        self.chronicler = Chronicler(
            store, lambda name: self.engine.streams[name].history.minutes, self.writer.later
        )
        self.derivatives = DerivativeKeeper(self.writer.later, share)
        self._history_loaded = asyncio.Event()
        self._broken: BaseException | None = None
        self._stopping = False
        self._refreshed: dict[str, int] = {}
        self._stamps = ForwardClock()
        self._ticked_ms = self._round_ms = 0
        self._round: deque[str] = deque()
        self.resuming = Resuming(self.engine, bus, store, share, apart=apart)
        self.told = Told(self.engine, store)
        self.publisher = Publisher(bus, self.view, share.fence) if apart else None

    def now_ms(self, instrument: str) -> int:
        """The venue clock of an instrument's market; 0 before anything was heard."""
        clock = self.clocks.get(instrument.rpartition(":")[0])
        return clock.now_ms() if clock is not None else 0

    @property
    def services(self) -> list[ProcessorService]:
        """This one alone."""
        return [self]

    @property
    def ready(self) -> bool:
        """As the view says."""
        return self.view.ready

    @property
    def written(self) -> bool:
        """Nothing computed waits to be stored."""
        return self.writer.idle and self.chronicler.settled

    @property
    def unwritten(self) -> int:
        """Records that are not in the store yet, those still to be made included."""
        return self.writer.size + self.chronicler.backlog

    def breakers(self) -> list[BreakerStatus]:
        """What guards the store."""
        return [self.writer.breaker()]

    # Start

    async def run(self) -> None:
        """Restore, then process until cancelled; a last checkpoint on the way out."""
        subscription, position = await self.resuming.start(self.mono_ms())
        self.writer.begin(subscription, position)
        self.view.restored = True
        chronicling = asyncio.create_task(self.chronicler.run(self._history_loaded))
        chronicling.add_done_callback(self._chronicle_ended)
        beside = [
            chronicling,
            asyncio.create_task(self._keep_history()),
            asyncio.create_task(self.derivatives.run(self.bus)),
        ]
        if self.publisher is not None:
            beside.append(asyncio.create_task(self.publisher.run()))
        try:
            await self._consume(subscription)
        except BusError:
            log.info("processor.bus_closed")
        finally:
            await ended(*beside)
            await self._finish()
            await subscription.close()

    def stop(self) -> None:
        """Come to an end by itself, should a cancellation be lost on its way."""
        self._stopping = True

    async def restore(self) -> None:
        """Streams as the last checkpoints left them, what came since being an outage."""
        self.resuming.restore(await self.resuming.checkpoints(), self.mono_ms())
        self.view.restored = True

    async def _keep_history(self) -> None:
        """The last day of every stream by its hours, then by its minutes, then those of hours that
        windows begin in."""
        for load in (load_hours, load_day):
            for stream in list(self.engine.streams.values()):
                end_ms = stream.evicted_before_ms or stream.next_close_ms or 0
                await load(self.store, stream, end_ms)
        self._history_loaded.set()
        log.info("processor.history_loaded")
        while True:
            await fill_wanted(self.store, self.engine.streams.values())
            await asyncio.sleep(FILL_EVERY_S)

    def _chronicle_ended(self, task: asyncio.Task[None]) -> None:
        """A chronicle that breaks stops the processor, instead of falling behind unseen."""
        if not task.cancelled():
            self._broken = task.exception()

    async def adopt_past(self, minutes: Sequence[MinuteResult], records: Sequence[Record]) -> None:
        """Minutes of before the observation: to the store, and to memory where it reaches back."""
        for minute in minutes:
            stream = self.engine.streams[minute.instrument]
            start = minute.bar.flow.start_ms
            if start not in stream.minutes and start > stream.last_event_ms - KEPT_MS:
                stream.history.put(minute.bar, minute.quality)
        self.engine.version += 1
        for begin in range(0, len(records), PAST_RECORDS):
            while len(self.writer.pending) > PAST_RECORDS and not self.writer.fenced:  # noqa: ASYNC110 (a write makes room)
                await asyncio.sleep(self.tick_ms / 1_000)
            self.writer.later(records[begin : begin + PAST_RECORDS])

    # Work

    async def _consume(self, subscription: Subscription) -> None:
        waiting = asyncio.ensure_future(subscription.next())
        try:
            while not self._stopping:
                busy = self._waiting.behind or self._round
                pause_s = 0 if busy else self.tick_ms / 1_000
                await asyncio.wait([waiting], timeout=pause_s)
                self._waiting.begin_turn()
                if waiting.done():
                    for delivery in waiting.result():
                        await self._apply(self.resuming.unseen(delivery))
                        self.writer.position = delivery.position
                    waiting = asyncio.ensure_future(subscription.next())
                await self.tick()
        finally:
            await ended(waiting)

    async def _apply(self, messages: Sequence[object]) -> None:
        """Apply messages; long deliveries let others run in between.

        Trades may wait for more of their instrument. Watermarks and candles do not depend on them;
        before anything else what waits of its instruments is applied.
        """
        count = 0
        for message in messages:
            if isinstance(message, TradeBatch | MixedTrades):
                count += len(message)
                self._waiting.add(message)
            else:
                if isinstance(message, Watermark) and message.instruments:
                    self._observe(message.instruments[0], message.event_ms)
                elif not isinstance(message, KlineClosed):
                    await self._waiting.settle_named(message)
                self.engine.handle(message)
            if count >= TRADES_PER_TURN:
                count = 0
                await asyncio.sleep(0)
                await self.tick()

    def _observe(self, instrument: str, event_ms: int) -> None:
        market = instrument.rpartition(":")[0]
        clock = self.clocks.get(market)
        if clock is None:
            clock = self.clocks[market] = VenueClock(lambda: self.mono_ms() / 1_000)
        clock.observe(event_ms)

    async def tick(self) -> None:
        """What time has made due, at most every TICK_MS but where the last tick had to stop."""
        mono = self.mono_ms()
        if not self._round and mono - self._ticked_ms < self.tick_ms:
            return
        self._ticked_ms = mono
        if self._broken is not None:
            raise self._broken
        if self.writer.fenced:
            raise FencedError(f"{self.share.cursor}: somebody else owns this partition now")
        known = await self.told.known(self.engine.streams, mono)
        if self._round or mono - self._round_ms >= ROUND_MS_PER_STREAM * len(known):
            await self._waiting.settle_slowly()
            await self._advance(known, mono)
            if not self._waiting.behind:
                self.writer.mark()
        await self.resuming.ask_who_is_there(mono)
        self.writer.persist(mono)
        most = max(PENDING_RECORDS, PENDING_PER_STREAM * len(known))
        while self.unwritten > most and not self.writer.fenced:
            await asyncio.sleep(self.tick_ms / 1_000)
            self.writer.persist(self.mono_ms())

    async def _advance(self, known: Sequence[str], mono: int) -> None:
        """Tell streams the time, until all were told or this has worked for long enough."""
        if not self._round:
            self._round_ms = mono
            self._round.extend(known)
        turn, worked_s = self.perf_s(), 0.0
        while self._round and worked_s < TICK_S:
            name = self._round.popleft()
            if name in self._waiting.behind or name not in self.engine.streams:
                continue
            now = self.now_ms(name)
            results = self.engine.advance_one(name, now, mono)
            self.derivatives.advance(name, now)
            self._note_ingestion(name, now, mono)
            if results.repairs:
                await self.bus.publish(REPAIRS, results.repairs)
            if results.minutes:
                self._collect(name, results)
                await self._publish(results)
            if (passed_s := self.perf_s() - turn) > TURN_S:
                worked_s += passed_s
                await asyncio.sleep(0)
                turn = self.perf_s()

    def _note_ingestion(self, name: str, now: int, mono: int) -> None:
        """Remember what came in; every ten seconds the state of the stream is stored."""
        book = self.view.ingestion
        book.note(self.engine.streams[name], now, wall_ms())
        if book.due(name, mono):
            self.writer.later([ingestion_record(self.view.stream(name), self._stamps.now_ms())])

    async def _publish(self, results: Results) -> None:
        if self.publisher is None:
            await self.bus.publish(UPDATES, [*results.minutes, *results.windows])
        else:
            self.publisher.say(results)

    def _collect(self, name: str, results: Results) -> None:
        wall = self._stamps.now_ms()
        for minute in results.minutes:
            self.writer.later(minute_records(minute, wall))
        for window in results.windows:
            self.writer.later(window_records(window, wall))
        for minute in results.minutes:
            self._refresh(minute.instrument, minute.bar.flow.end_ms, wall)
        self.chronicler.take(name, results)

    def _refresh(self, name: str, minute_ms: int, wall: int) -> None:
        """The rolling profile of every timeframe, once a minute and stream."""
        now = self.now_ms(name)
        if minute_ms <= self._refreshed.get(name, 0) or minute_ms < floor_ms(now, MINUTE_MS):
            return
        self._refreshed[name] = minute_ms
        bars = windows.profiles(self.engine.streams[name], minute_ms)
        self.writer.later([refresh_record(name, minute_ms, bars, wall)])

    async def _finish(self) -> None:
        """The last write: everything pending and every changed stream."""
        self._waiting.settle_all()
        checkpoints = await self.writer.finish(self.chronicler.drain)
        log.info("processor.stopped", checkpoints=checkpoints)
