"""A server's copy of the processor's streams, fed by `updates` and filled from the store.

Windows are merged by the same code from the same minutes, so a server apart answers what the
processor would have answered when the newest update was sent. Its clock goes on from there: the
lag of the replica is part of every age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from backbone.bus.base import OLDEST, UPDATES, Bus, Delivery, Subscription
from backbone.clock import VenueClock, monotonic_s
from backbone.closings import Closing
from backbone.live import StreamStatus
from backbone.store.base import Store
from backbone.updates import Update
from orderflow.completeness import Gap
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators.vpin import Reading
from orderflow.instrument import Instrument
from orderflow.timeframe import HOUR_MS, MINUTE_MS, floor_ms
from orderflow.trade import InstrumentChanged, instrument_of
from processor.engine import Engine
from processor.evidence import Evidence
from processor.filling import AGAIN_S, fill_wanted, load_day, load_span
from processor.grids import Grids
from processor.history import MinuteHistory
from processor.image import StreamImage, decode_minute, decode_minutes, decode_stream
from processor.live import ProcessorView
from processor.minute import Minute, fresh_minute
from processor.stream import Stream
from processor.toxicity import Toxicity

log = structlog.get_logger()
LATE_S = 120.0
"""A closed minute that the store has not got by then will not come."""
MOST_EARLY = 500
"""Minutes of a stream that are told before the stream itself, at most."""


class CopiedEvidence(Evidence):
    """Evidence whose open holes were told."""

    holes: list[Gap]

    def open_holes(self) -> list[Gap]:
        """What the processor knows to be missing."""
        return list(self.holes)


class CopiedMinute(Minute, kw_only=True):
    """An open minute whose bars were told."""

    told: FootprintBar
    told_cells: list[FlowBar]

    def bar(self, instrument: Instrument) -> FootprintBar:
        """As it was told."""
        return self.told

    def cell_bars(self, instrument: Instrument) -> list[FlowBar]:
        """As they were told."""
        return self.told_cells


class CopiedToxicity(Toxicity, kw_only=True):
    """VPIN that was told."""

    told: Reading | None

    def reading(self) -> Reading:
        """As it was told."""
        return self.told or super().reading()


class CopiedStream(Stream):
    """A stream that is told instead of fed."""

    status: StreamStatus
    _announced: InstrumentChanged | None = None
    _folded: StreamImage | None = None

    def show(self, image: StreamImage) -> None:
        """Take over everything but closed minutes; open ones are unfolded when they are asked for:
        most images are replaced before anybody looks."""
        if image.instrument != self._announced:
            self._announced = image.instrument
            self.instrument = instrument_of(image.instrument)
        self.status = image.status
        self.toxicity = CopiedToxicity(told=image.vpin)
        self.grids = Grids(image.first_grid, fixed=image.grid_fixed)
        self.grids.days = image.grids
        coverage = self.coverage
        coverage.observed_from_ms = image.observed_from_ms
        coverage.watermark_ms = image.watermark_ms
        coverage.connections = {"processor": 0} if image.connected else {}
        coverage.outage, coverage.lost = image.outage, image.lost
        evidence = CopiedEvidence(self.instrument, self.ledger, coverage)
        evidence.holes = image.holes
        self.evidence = evidence
        self.last_event_ms = image.last_event_ms
        self.next_close_ms = image.next_close_ms
        self.trade_since_connect = image.flowing
        self.open_bars.clear()
        self.minutes = {}
        self._folded = image

    def unfold(self) -> None:
        """Open minutes as they were told last."""
        image, self._folded = self._folded, None
        for told in () if image is None else decode_minutes(image):
            start = told.bar.flow.start_ms
            fresh = fresh_minute(self.instrument, start, 1)
            self.minutes[start] = CopiedMinute(
                start, fresh.ladder, told=told.bar, told_cells=told.cells
            )


class Replica(ProcessorView):
    """Implements the LiveView port from updates."""

    engine: Engine

    def __init__(self, bus: Bus, store: Store, source: str, name: str) -> None:
        self._bus = bus
        self._store = store
        self._name = name
        self._clocks: dict[str, VenueClock] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._early: dict[str, list[Update]] = {}
        self._late: dict[str, float] = {}
        self._owners: dict[str, tuple[str, int]] = {}
        self._position = 0
        self._epoch = ""
        self.resyncs = 0
        super().__init__(Engine(), source, self._now_ms, self._unfold)

    def _unfold(self, instrument: str) -> None:
        stream = self.engine.streams.get(instrument)
        if isinstance(stream, CopiedStream):
            stream.unfold()

    def _now_ms(self, instrument: str) -> int:
        clock = self._clocks.get(instrument.rpartition(":")[0])
        return clock.now_ms() if clock is not None else 0

    @property
    def ready(self) -> bool:
        """Updates came, every stream's minutes were loaded, and trades flow."""
        return not self._loading and super().ready

    @property
    def cursor(self) -> tuple[str, int]:
        """Epoch and position of the newest update that is in every answer."""
        return self._epoch, self._position

    def stream(self, instrument: str) -> StreamStatus:
        """As the processor told it; the lag is that of now."""
        stream = self.engine.streams[instrument]
        assert isinstance(stream, CopiedStream)  # noqa: S101 (only such are made here)
        status, watermark = stream.status, stream.coverage.watermark_ms
        lag = max(0, self.now_ms(instrument) - watermark) if watermark else None
        return _with_lag(status, lag)

    async def run(self) -> None:
        """Follow the updates until cancelled or the bus closes."""
        subscription = await self._bus.subscribe(UPDATES, self._name, OLDEST)
        self._epoch = subscription.epoch
        self.restored = True
        filling = asyncio.create_task(self._keep_filled())
        try:
            while True:
                deliveries = await subscription.next()
                newest = _newest_states(deliveries)
                for delivery in deliveries:
                    self._follow(subscription, delivery.position)
                    for message in delivery.messages:
                        if isinstance(message, Update) and _counts(message, newest):
                            self._take(message)
                    await asyncio.sleep(0)
                await subscription.ack(self._position)
        finally:
            tasks = [filling, *self._loading.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, subscription: Subscription, position: int) -> None:
        """Positions without a hole, in the life of the topic that they count in; else resync."""
        if subscription.epoch != self._epoch or (self._position and position > self._position + 1):
            log.warning("replica.resync", position=position, expected=self._position + 1)
            self._epoch = subscription.epoch
            self._resync(position - 1)
        elif self._position == 0:
            self.engine.closings.restart(position - 1)
        self._position = position

    def _resync(self, unseen: int) -> None:
        """Updates until `unseen` were missed: closed minutes are read from the store again."""
        self.resyncs += 1
        self.engine.closings.restart(unseen)
        for stream in self.engine.streams.values():
            stream.history = MinuteHistory()
            self._load(stream)

    def _outdated(self, update: Update) -> bool:
        """Said by a former owner of the partition."""
        scope, epoch = self._owners.get(update.instrument, ("", 0))
        if scope == update.scope and epoch > update.epoch:
            return True
        self._owners[update.instrument] = (update.scope, update.epoch)
        return False

    def _take(self, update: Update) -> None:
        if self._outdated(update):
            return
        self.engine.version += 1
        if update.kind == "reset":
            self._resync(self._position)
            return
        if update.kind != "state":
            self.engine.closings.add(
                Closing(
                    self._position,
                    update.instrument,
                    update.timeframe,
                    update.start_ms,
                    update.revision,
                )
            )
        market = update.instrument.rpartition(":")[0]
        self._clocks.setdefault(market, VenueClock()).observe(update.sent_ms)
        stream = self.engine.streams.get(update.instrument)
        if update.kind == "state":
            self._show(stream, update)
        elif update.kind == "minute" and stream is not None:
            self._close(stream, update)
        elif update.kind == "minute":
            early = self._early.setdefault(update.instrument, [])
            early.append(update)
            del early[:-MOST_EARLY]

    def _show(self, stream: Stream | None, update: Update) -> None:
        image = decode_stream(update.body)
        if not isinstance(stream, CopiedStream):
            stream = CopiedStream(instrument_of(image.instrument), Grids(None))
            stream.show(image)
            self.engine.streams[update.instrument] = stream
            for early in self._early.pop(update.instrument, ()):
                self._close(stream, early)
            self._load(stream)
        else:
            stream.show(image)

    def _close(self, stream: Stream, update: Update) -> None:
        told = decode_minute(update.body)
        start = told.bar.flow.start_ms
        self._unfold(update.instrument)
        known = stream.history.recent.get(start)
        if known is None or known.quality.revision <= told.quality.revision:
            stream.history.put(told.bar, told.quality, told.cells)
        stream.minutes.pop(start, None)
        if stream.next_close_ms is not None:
            stream.next_close_ms = max(stream.next_close_ms, start + MINUTE_MS)
            stream.history.tidy(stream.next_close_ms)

    # Filling

    def _load(self, stream: Stream) -> None:
        """Read a stream's minutes; what was being read for it before is out of date."""
        name = stream.instrument.name
        if (before := self._loading.get(name)) is not None:
            before.cancel()
        task = asyncio.create_task(self._fill(stream), name=f"fill {name}")
        self._loading[name] = task
        task.add_done_callback(lambda task: self._loaded(name, task))

    def _loaded(self, name: str, task: asyncio.Task[None]) -> None:
        if self._loading.get(name) is task:
            del self._loading[name]

    async def _fill(self, stream: Stream) -> None:
        await load_day(self._store, stream, stream.next_close_ms or stream.last_event_ms)
        self._late[stream.instrument.name] = monotonic_s() + LATE_S
        self.engine.version += 1

    async def _keep_filled(self) -> None:
        """Hours that windows begin in, and minutes that came late into the store."""
        while True:
            await fill_wanted(self._store, self.engine.streams.values())
            for name in list(self._late):
                await self._fill_late(name)
            await asyncio.sleep(AGAIN_S)

    async def _fill_late(self, name: str) -> None:
        """Minutes that had closed when the store was read and were not written yet, or that closed
        before the state was told that the reading went by."""
        stream = self.engine.streams[name]
        if monotonic_s() > self._late[name]:
            del self._late[name]
        elif (span := _missing(stream)) is not None:
            await load_span(self._store, stream, span, span[0])
            self.engine.version += 1


def _missing(stream: Stream) -> tuple[int, int] | None:
    """From the first closed minute of the last hour that is observed and not in memory."""
    since, end = stream.coverage.observed_from_ms, stream.next_close_ms
    if since is None or end is None:
        return None
    first = max(floor_ms(since, MINUTE_MS), end - HOUR_MS)
    missing = [at for at in range(first, end, MINUTE_MS) if not stream.history.holds(at)]
    return (missing[0], missing[-1] + MINUTE_MS) if missing else None


def _newest_states(deliveries: Sequence[Delivery]) -> dict[str, Update]:
    """The last state of each instrument: those before it are out of date already."""
    return {
        message.instrument: message
        for delivery in deliveries
        for message in delivery.messages
        if isinstance(message, Update) and message.kind == "state"
    }


def _counts(update: Update, newest: dict[str, Update]) -> bool:
    return update.kind != "state" or newest[update.instrument] is update


def _with_lag(status: StreamStatus, lag_ms: int | None) -> StreamStatus:
    values = {name: getattr(status, name) for name in StreamStatus.__struct_fields__}
    return StreamStatus(**(values | {"lag_ms": lag_ms}))
