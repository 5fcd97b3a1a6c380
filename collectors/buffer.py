"""The bounded buffer between one connection and the bus.

A stream's `capacity` is the setting, or what comes in five seconds at the measured rate if that
is more, at most 50,000 trades; one burst of frames may reach beyond it. When a stream is more
than 80 % full the reader stops reading for at most `pause_s`: what the venue sends meanwhile
waits in the kernel and costs nothing, so a tape played as fast as the reader takes is held back
instead of cut. Only a reader that got no room in that time goes on and drops, because a venue
cuts off a client that never reads. What is dropped is counted and marked: for this stream the
connection ends where the hole begins and starts again behind it, so the processor asks for a
repair, and another connection's claim over that time stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence, Set

import msgspec

from backbone.bus.base import TRADES, Bus
from orderflow.mixed import MixedTrades
from orderflow.trade import (
    Connected,
    Disconnect,
    KlineClosed,
    StreamEvent,
    TradeBatch,
    Watermark,
)

MOST = 50_000
RATE_SECONDS = 5.0
CROWDED = 0.8
RESUME = 0.5
OVERFLOW = "buffer_overflow"


class Stream:
    """Trades of one instrument that are on their way to the bus."""

    __slots__ = ("capacity", "counted", "dropping", "held", "last_ms")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        self.counted = 0
        self.last_ms = 0
        self.dropping = False


class Buffer:
    """Events of one connection, in order, until the bus has taken them."""

    def __init__(
        self,
        bus: Bus,
        connection: str,
        capacity: int,
        monotonic: Callable[[], float],
        paused: Set[str] = frozenset(),
    ) -> None:
        self._bus = bus
        self._connection = connection
        self._capacity = capacity
        self._monotonic = monotonic
        self._paused = paused
        self._streams: dict[str, Stream] = {}
        self._waiting: list[StreamEvent | MixedTrades] = []
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._gave_up = False
        self._room.set()
        self._empty.set()
        self._measured_at_s = monotonic()
        self.dropped = 0

    @property
    def crowded(self) -> bool:
        """True while some stream is nearly full."""
        return not self._room.is_set()

    @property
    def held(self) -> int:
        """Trades that the bus has not taken yet."""
        return sum(stream.held for stream in self._streams.values())

    async def room(self, pause_s: float) -> None:
        """Wait until no stream is nearly full, for at most `pause_s`, and once per congestion."""
        if self._gave_up:
            return
        try:
            async with asyncio.timeout(pause_s):
                while self.crowded:
                    await self._room.wait()
        except TimeoutError:
            self._gave_up = True

    async def emptied(self) -> None:
        """Wait until the bus has taken everything."""
        await self._empty.wait()

    def put(self, events: Sequence[StreamEvent | MixedTrades]) -> None:
        """Add events in order; trades of a full stream are dropped, counted and marked."""
        if self._paused:
            events = [kept for event in _single(events) if (kept := _unpaused(event, self._paused))]
        for event in events:
            if isinstance(event, MixedTrades):
                self._put_burst(event)
            elif isinstance(event, TradeBatch):
                self._put_trades(event)
            else:
                if isinstance(event, Watermark):
                    self._resume_quiet(event.event_ms)
                self._waiting.append(event)
        if self._waiting:
            self._empty.clear()
            self._filled.set()

    def _put_burst(self, burst: MixedTrades) -> None:
        """All streams at once, unless one of them is full: then each for itself."""
        streams = [self._stream(name) for name in burst.instruments]
        if any(s.dropping or s.held > s.capacity * CROWDED for s in streams):
            for batch in burst.batches():
                self._put_trades(batch)
            return
        rows = zip(streams, burst.sizes(), burst.newest(), strict=True)
        for stream, (_, count), (_, _, last_ms) in rows:
            stream.counted += count
            stream.held += count
            stream.last_ms = last_ms
            if stream.held > stream.capacity * CROWDED:
                self._room.clear()
        self._waiting.append(burst)

    def _stream(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self._capacity)
        return stream

    def _put_trades(self, batch: TradeBatch) -> None:
        stream = self._stream(batch.instrument)
        count = len(batch.key) + len(batch.rejected)
        stream.counted += count
        if stream.dropping:
            if stream.held > stream.capacity * RESUME:
                self.dropped += count
                return
            self._resume(batch.instrument, stream, batch.event_ms[0] if batch.key else 0)
        elif stream.held > stream.capacity * CROWDED:
            stream.dropping = True
            self.dropped += count
            self._waiting.append(
                Disconnect([batch.instrument], self._connection, stream.last_ms, OVERFLOW)
            )
            return
        stream.held += count
        if batch.event_ms:
            stream.last_ms = batch.event_ms[-1]
        if stream.held > stream.capacity * CROWDED:
            self._room.clear()
        self._waiting.append(batch)

    def _resume(self, instrument: str, stream: Stream, event_ms: int) -> None:
        stream.dropping = False
        event_ms = max(event_ms, stream.last_ms)
        self._waiting.append(Connected([instrument], self._connection, event_ms))

    def _resume_quiet(self, event_ms: int) -> None:
        """A stream that fell silent after a drop resumes with the next watermark."""
        for instrument, stream in self._streams.items():
            if stream.dropping and stream.held <= stream.capacity * RESUME:
                self._resume(instrument, stream, event_ms)

    async def drain(self) -> None:
        """Give everything to the bus, for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            events, self._waiting = self._waiting, []
            await self._bus.publish(TRADES, _last_said(events))
            self._release(events)
            if not self._waiting:
                self._empty.set()

    def _release(self, events: Sequence[StreamEvent | MixedTrades]) -> None:
        for event in events:
            if isinstance(event, MixedTrades):
                for name, count in event.sizes():
                    self._streams[name].held -= count
            elif isinstance(event, TradeBatch):
                self._streams[event.instrument].held -= len(event.key) + len(event.rejected)
        self._measure()
        if all(s.held <= s.capacity * CROWDED for s in self._streams.values()):
            self._gave_up = False
            self._room.set()

    def _measure(self) -> None:
        """Once a second: let the capacity follow the rate."""
        now_s = self._monotonic()
        passed_s = now_s - self._measured_at_s
        if passed_s < 1.0:
            return
        self._measured_at_s = now_s
        for stream in self._streams.values():
            needed = int(stream.counted / passed_s * RATE_SECONDS)
            stream.capacity = max(self._capacity, min(needed, MOST))
            stream.counted = 0


def _last_said(
    events: Sequence[StreamEvent | MixedTrades],
) -> Sequence[StreamEvent | MixedTrades]:
    """Without watermarks that a later one says again. Trades of one instrument travel together
    only where nothing about several is between them: a bus that is slow for a while would get as
    many packets as ever, and never catch up."""
    kept: list[StreamEvent | MixedTrades] = []
    later: list[str] | None = None
    for event in reversed(events):
        if isinstance(event, Watermark):
            if event.instruments == later:
                continue
            later = event.instruments
        elif isinstance(event, Connected | Disconnect):
            later = None
        kept.append(event)
    kept.reverse()
    return kept


def _single(events: Sequence[StreamEvent | MixedTrades]) -> Iterator[StreamEvent]:
    """Bursts as a batch per instrument."""
    for event in events:
        if isinstance(event, MixedTrades):
            yield from event.batches()
        else:
            yield event


def _unpaused(event: StreamEvent, paused: Set[str]) -> StreamEvent | None:
    """The event without paused streams, if anything of it is left."""
    if isinstance(event, Watermark | Connected | Disconnect):
        names = [name for name in event.instruments if name not in paused]
        return msgspec.structs.replace(event, instruments=names) if names else None
    if isinstance(event, TradeBatch | KlineClosed):
        return None if event.instrument in paused else event
    return event
