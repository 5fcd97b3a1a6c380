"""One socket from connect to close: subscribe, read, decode, keep alive, and say what it claims.

Frames are collected while the reader does not block and decoded in one go, so batches grow with
the load. Only while the reader waits for the socket does a watermark go on with time: then
everything that arrived has been delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from backbone.clock import VenueClock
from collectors.buffer import Buffer
from collectors.pulse import Pulse
from collectors.sockets import Library, Socket
from collectors.subscribing import Subscriber
from collectors.venue import Acked, Codec, Lost, Notice, Refused, Shutdown, VenueMarket
from orderflow.instrument import Instrument
from orderflow.mixed import MixedTrades
from orderflow.trade import Connected, Disconnect, KlineClosed, TradeBatch, Watermark

log = structlog.get_logger()
MOST_FRAMES = 2_048
"""Frames decoded in one go; more would hold up everything else in the process."""

MARK_EVERY_MS = 1_000
"""Exchange time between watermarks when a tape is played faster than real time."""


@dataclass(frozen=True, slots=True)
class Timers:
    """Every delay of a feed, in seconds.

    `first_data_s`, `stale_after_s`: the settings. `silent_s`: no event for this long (or thirty
    times the usual distance) ends a connection whose pings are answered. `linger_s`: a socket that
    brings frames sooner than that is decoded so often, many frames at once.
    """

    first_data_s: float = 10.0
    stale_after_s: float = 10.0
    tick_s: float = 0.25
    linger_s: float = 0.002
    pong_s: float = 6.0
    silent_s: float = 45.0
    ack_s: float = 5.0
    request_gap_s: float = 0.5
    pause_s: float = 5.0
    lifetime_s: float = 82_800.0
    lifetime_spread_s: float = 1_800.0
    successor_s: float = 15.0
    overlap_s: float = 5.0
    steady_s: float = 60.0
    poll_after_s: float = 30.0
    first_delay_s: float = 1.0
    longest_delay_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Link:
    """What a session needs to know of its surroundings."""

    market: VenueMarket
    url: str
    library: Library
    timers: Timers
    monotonic: Callable[[], float]
    clock: VenueClock
    base_url: str = ""
    """Where `url` is made anew for every session, from what the feed has by then."""


class Session:
    """One connection. `run` returns our own word for why it ended and never raises on I/O."""

    def __init__(
        self,
        link: Link,
        name: str,
        instruments: Sequence[Instrument],
        codec: Codec,
        buffer: Buffer,
        pulses: dict[str, Pulse],
    ) -> None:
        self.link = link
        self.name = name
        self.codec = codec
        self.buffer = buffer
        self.pulses = pulses
        self.state = "connecting"
        self.delivering = asyncio.Event()
        self.successor_wanted = asyncio.Event()
        self.opened_s = link.monotonic()
        self.frame_at_s = self.opened_s
        self._alive_at_s = self.opened_s
        self._data_at_s = self.opened_s
        self._seen_ms = 0
        self._seen_at_s = 0.0
        self._marked_ms = 0
        self._bursts = 0
        self._frames: list[bytes] = []
        self._arrived = asyncio.Event()
        self._stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._instruments = {item.symbol: item.name for item in instruments}
        self.names: list[str] = []
        self._subscriber = Subscriber(link.market, instruments)
        self._heard: set[str] = set()
        self._due = dict.fromkeys(self._subscriber.taken(), 0)

    def stop(self, reason: str) -> None:
        """End the session from outside."""
        if not self._stopped.done():
            self._stopped.set_result(reason)

    async def run(self) -> str:
        """Connect, deliver until something ends it, close; returns why."""
        drain = asyncio.create_task(self.buffer.drain())
        try:
            try:
                socket = await self.link.library.connect(self.link.url)
            except self.link.library.errors as error:
                log.info("feed.unreachable", connection=self.name, error=type(error).__name__)
                return "unreachable"
            try:
                return await self._serve(socket)
            finally:
                await self._close(socket)
        finally:
            drain.cancel()

    async def _serve(self, socket: Socket) -> str:
        """Run reader, decoder, subscriber and keeper until the first of them gives a reason."""
        self.state = "subscribing"
        self.opened_s = self._alive_at_s = self._data_at_s = self.link.monotonic()
        timers = self.link.timers
        subscribing = self._subscriber.run(socket, timers.ack_s, timers.request_gap_s)
        works: list[Awaitable[str | None]] = [
            self._read(socket),
            self._decode(),
            subscribing,
            self._keep(socket),
            self._speak(socket),
        ]
        tasks = [asyncio.ensure_future(work) for work in works]
        pending: list[asyncio.Future[str | None]] = [*tasks, self._stopped]  # type: ignore[list-item]
        reason = None
        try:
            while reason is None:
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                done = [task for task in pending if task.done()]
                pending = [task for task in pending if task not in done]
                reason = next((word for task in done if (word := self._reason(task))), None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._take_in()
        return reason

    def _reason(self, task: asyncio.Future[str | None]) -> str | None:
        """Why a work ended: its own word, or that the socket broke under it."""
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, self.link.library.errors):
            return "closed"
        raise error

    async def _close(self, socket: Socket) -> None:
        """Withdraw the claim, hand over what is left, close the socket."""
        self.state = "closing"
        if self.names:
            reason = self._stopped.result() if self._stopped.done() else "connection ended"
            self.buffer.put([Disconnect(self.names, self.name, self._seen_ms, reason)])
        try:
            await socket.close()
        except self.link.library.errors as error:
            log.debug("feed.close_failed", connection=self.name, error=type(error).__name__)
        await self.buffer.emptied()

    # Reading

    async def _read(self, socket: Socket) -> str | None:
        """Collect frames; decode at once when there are many, else when the socket runs dry."""
        frames = self._frames
        receive, arrived = socket.recv, self._arrived
        while True:
            frame = await receive(False)
            frames.append(frame if isinstance(frame, bytes) else frame.encode())
            if len(frames) == 1:
                arrived.set()
            elif len(frames) >= MOST_FRAMES:
                await self._hand_over()

    async def _decode(self) -> str | None:
        """Runs when the reader has to wait: at once when little comes, else every `linger_s`."""
        while True:
            await self._arrived.wait()
            early_s = self.frame_at_s + self.link.timers.linger_s - self.link.monotonic()
            if early_s > 0:
                await asyncio.sleep(early_s)
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Decode when the buffer has room; reading stops meanwhile."""
        if self.buffer.crowded:
            await self.buffer.room(self.link.timers.pause_s)
        self._take_in()

    def _take_in(self) -> None:
        """Decode what was collected and put it on its way."""
        self._arrived.clear()
        if not self._frames:
            return
        now_s = self.link.monotonic()
        frames = self._frames.copy()
        self._frames.clear()
        decoded = self.codec.decode(frames, int(now_s * 1e9))
        self.frame_at_s = self._alive_at_s = now_s
        if self.codec.seen_ms > self._seen_ms:
            self._seen_ms, self._seen_at_s = self.codec.seen_ms, now_s
            self.link.clock.observe(self._seen_ms)
        if decoded.events:
            self._data_at_s = now_s
            self._bursts += 1
            self._beat(decoded.events, now_s)
        for notice in decoded.notices:
            self._heed(notice)
        self._claim()
        self.buffer.put(decoded.events)
        if self.names and self._seen_ms - self._marked_ms >= MARK_EVERY_MS:
            self._marked_ms = self._seen_ms
            self.buffer.put([Watermark(self.names, self._seen_ms, self.name)])

    def _beat(self, events: Sequence[TradeBatch | MixedTrades | KlineClosed], now_s: float) -> None:
        for event in events:
            if isinstance(event, MixedTrades):
                self._heard.update(event.instruments)
                for name, key, event_ms in event.newest():
                    self._pulse(name, now_s).beat(now_s, key, event_ms)
            elif isinstance(event, TradeBatch) and event.key:
                self._heard.add(event.instrument)
                pulse = self._pulse(event.instrument, now_s)
                pulse.beat(now_s, event.key[-1], event.event_ms[-1])

    def _pulse(self, name: str, now_s: float) -> Pulse:
        pulse = self.pulses.get(name)
        if pulse is None:
            pulse = self.pulses[name] = Pulse(now_s)
        return pulse

    def pause(self, name: str) -> None:
        """A person paused this stream: its claim ends here."""
        if self.delivering.is_set() and name in self.names:
            self.buffer.put([Disconnect([name], self.name, self._seen_ms, "paused")])

    def resume(self, name: str) -> None:
        """It goes on from here; what came meanwhile is a hole."""
        if self.delivering.is_set() and name in self.names:
            self.buffer.put([Connected([name], self.name, self._seen_ms)])

    def join(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these as well; each is claimed once the venue accepted it."""
        self._instruments |= {item.symbol: item.name for item in instruments}
        self._subscriber.join(instruments)

    def leave(self, instruments: Sequence[Instrument], reason: str) -> None:
        """Deliver these no longer; their claims end here."""
        gone = [item.name for item in instruments if item.name in self.names]
        if gone:
            self.buffer.put([Disconnect(gone, self.name, self._seen_ms, reason)])
            self.names = [name for name in self.names if name not in gone]
        for item in instruments:
            self._instruments.pop(item.symbol, None)
            self._due.pop(item.symbol, None)
            self._heard.discard(item.name)
            self.codec.forget(item.symbol)
        self._subscriber.leave(instruments)

    def note_quiet(self) -> None:
        """The venue itself says that there is nothing to deliver."""
        self._data_at_s = self.link.monotonic()

    def _heed(self, notice: Notice) -> None:
        if isinstance(notice, Acked | Refused):
            self._subscriber.answered(notice)
        elif isinstance(notice, Shutdown):
            log.info("feed.shutdown_announced", connection=self.name)
            self.successor_wanted.set()
        elif isinstance(notice, Lost) and self.delivering.is_set():
            names = list(notice.instruments) or self.names
            ended = Disconnect(names, self.name, self._seen_ms, "malformed_frame")
            self.buffer.put([ended, Connected(names, self.name, self._seen_ms)])

    def _claim(self) -> None:
        """The first event after a subscription: from its time on nothing is missing."""
        due, named = self._due, self._instruments
        fresh = self._subscriber.taken()
        due |= {symbol: self._seen_ms for symbol in fresh if symbol in named}
        ready = [s for s, at in due.items() if self._seen_ms > at or named[s] in self._heard]
        if not ready:
            return
        for symbol in ready:
            del due[symbol]
        found = [named[symbol] for symbol in ready]
        now_s = self.link.monotonic()
        for name in found:
            self.pulses.setdefault(name, Pulse(now_s)).begin(now_s, self._seen_ms)
        self.names = [*self.names, *found]
        self.buffer.put([Connected(found, self.name, self._seen_ms)])
        if not self.delivering.is_set():
            self.state = "live"
            self.delivering.set()
            log.info("feed.connected", connection=self.name, instruments=len(found))

    def say_again(self) -> None:
        """Repeat the claim, for one who was not there when it was made."""
        if self.names and not self._stopped.done():
            self.buffer.put([Connected(self.names, self.name, self._seen_ms, again=True)])

    # Keeping alive

    async def _keep(self, socket: Socket) -> str | None:
        """Watch the silence, ping into it, and give the watermark."""
        timers = self.link.timers
        waiter: Awaitable[float] | None = None
        asked_at_s = 0.0
        while True:
            await asyncio.sleep(timers.tick_s)
            if not self.buffer.crowded:
                self._take_in()
            self._claim()
            now_s = self.link.monotonic()
            if isinstance(waiter, asyncio.Future) and waiter.done():
                waiter, self._alive_at_s = None, now_s
            if waiter is not None and now_s - max(asked_at_s, self._alive_at_s) > timers.pong_s:
                return "no_pong"
            if waiter is None and now_s - self._alive_at_s >= timers.stale_after_s / 2:
                waiter, asked_at_s = await socket.ping(), now_s
                if isinstance(waiter, asyncio.Future):
                    waiter.add_done_callback(_look_at)
            if (reason := self._overdue(now_s)) is not None:
                return reason
            self._mark(now_s)

    def _overdue(self, now_s: float) -> str | None:
        """Why this connection is not worth keeping, if so."""
        timers = self.link.timers
        if not self.delivering.is_set():
            return "no_first_data" if now_s - self.opened_s > timers.first_data_s else None
        usual_s = (self._data_at_s - self.opened_s) / max(1, self._bursts)
        allowed_s = min(max(timers.silent_s, 30 * usual_s), max(300.0, timers.silent_s))
        return "silent" if now_s - self._data_at_s > allowed_s else None

    def _mark(self, now_s: float) -> None:
        """Everything up to now has been delivered; up to the newest event while there is more."""
        if not self.delivering.is_set():
            return
        event_ms = self._seen_ms
        if not self._frames and not self.buffer.crowded:
            if now_s - self._alive_at_s >= self.link.timers.stale_after_s:
                return
            event_ms += int((now_s - self._seen_at_s) * 1_000)
        self._marked_ms = event_ms
        if self.names:
            self.buffer.put([Watermark(self.names, event_ms, self.name)])

    async def _speak(self, socket: Socket) -> str | None:
        """Send the venue's own ping, where it has one."""
        ping = self.link.market.ping()
        if ping is None:
            return None
        message, every_s = ping
        while True:
            await asyncio.sleep(every_s)
            await socket.send(message)


def _look_at(waiter: asyncio.Future[float]) -> None:
    """A ping that breaks with its connection is no news: the reader says so."""
    if not waiter.cancelled():
        waiter.exception()
