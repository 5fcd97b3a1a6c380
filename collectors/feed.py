"""Feed: one supervised WebSocket connection. The only socket code.

Written to the `websockets` asyncio API, which picows.websockets shares. Frames are collected while
they can be read without waiting and decoded in one go, so that batches grow with the load.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from backbone.bus.base import TRADES, Bus
from backbone.clock import VenueClock
from backbone.live import FeedStatus
from backbone.settings import Settings
from collectors.backoff import Backoff, Bucket
from collectors.outbox import Outbox
from collectors.venue import Decoded, Venue
from orderflow.errors import ConfigError, ExchangeError
from orderflow.instrument import Instrument, Market
from orderflow.trade import Connected, Disconnect, Watermark

log = structlog.get_logger()

FRAMES_PER_BURST = 512
PING_S = 20.0
PONG_S = 10.0
ACK_S = 5.0
CONNECT_S = 10.0
PAUSE_S = 0.25
WATERMARK_S = 0.25
PROVEN_S = 60.0
"""Data for this long, and the next failure starts with the shortest pause again."""

Connect = Callable[..., Awaitable[Any]]


def connector(choice: str) -> Connect:
    """The `connect` of the chosen library; auto takes picows when it is installed."""
    names = {"websockets": "websockets.asyncio.client", "picows": "picows.websockets"}
    order = ["picows", "websockets"] if choice == "auto" else [choice]
    for name in order:
        try:
            connect: Connect = importlib.import_module(names[name]).connect
        except ImportError:
            continue
        return connect
    raise ConfigError(f"WADM_WS={choice} is not installed; `pip install wadm[fast]`")


class SilentError(ExchangeError):
    """Connected, but nothing arrives."""


class Feed:
    """Streams of some instruments of one market over one connection, for ever."""

    def __init__(  # noqa: PLR0913 (what a connection needs, each by name)
        self,
        venue: Venue,
        market: Market,
        instruments: Sequence[Instrument],
        *,
        settings: Settings,
        bus: Bus,
        number: int,
        limiter: Bucket,
        clock: VenueClock,
    ) -> None:
        self.venue = venue
        self.market = market
        self.instruments = list(instruments)
        self.names = [i.name for i in instruments]
        self.unordered = {i.name for i in instruments if i.sequence == "unordered"}
        self.scales: dict[str, int] = {}
        self.settings = settings
        self.bus = bus
        self.connection = f"{venue.name}-{market}-{number}"
        self.limiter = limiter
        self.clock = clock
        self.backoff = Backoff(random.random)
        self.outbox = Outbox(settings.collector_buffer, self.connection, time.monotonic)
        self.connect = connector(settings.ws)
        self.reached = asyncio.Event()
        self.state = "starting"
        self.error: str | None = None
        self.connects = self.frames = self.trades = self.malformed = 0
        self.rejected: Counter[str] = Counter()
        self._newest_ms = 0
        self._newest_at_s = 0.0
        self._frame_at_s = 0.0
        self._told = False
        self._acks: dict[str, asyncio.Future[bool]] = {}
        self._buffer: list[bytes | str] = []
        self._codec = venue.codec(self.instruments, self.scales)
        self._shutdown = False

    def status(self) -> FeedStatus:
        """What an operator wants to know."""
        age = (time.monotonic() - self._frame_at_s) * 1_000 if self._frame_at_s else None
        return FeedStatus(
            connection=self.connection,
            venue=self.venue.name,
            market=str(self.market),
            state=self.state,
            instruments=self.names,
            connects=self.connects,
            frames=self.frames,
            trades=self.trades,
            dropped=self.outbox.dropped.total(),
            malformed=self.malformed,
            rejected=dict(self.rejected),
            last_frame_age_ms=None if age is None else int(age),
            error=self.error,
        )

    def redefine(self, instrument: Instrument, scale: int) -> None:
        """A changed tick or lot: read with it from now on."""
        self.instruments = [
            instrument if known.name == instrument.name else known for known in self.instruments
        ]
        self.scales[instrument.name] = scale
        self._codec = self.venue.codec(self.instruments, self.scales)

    # Supervision

    async def run(self) -> None:
        """Connect, read, and connect again."""
        publisher = asyncio.create_task(self._publish())
        try:
            while True:
                await asyncio.sleep(self.limiter.wait_s(1, time.monotonic()))
                started = time.monotonic()
                try:
                    await self._session()
                except Exception as error:  # noqa: BLE001 (the supervisor: any end is retried)
                    self.error = _reason(error)
                self._lost(self.error or "closed")
                if time.monotonic() - started > PROVEN_S or self._shutdown:
                    self.backoff.succeeded()
                pause_s = 0.0 if self._shutdown else self.backoff.next_s()
                log.warning(
                    "feed.lost", connection=self.connection, reason=self.error, pause_s=pause_s
                )
                await asyncio.sleep(pause_s)
        finally:
            publisher.cancel()

    async def _publish(self) -> None:
        while True:
            events = await self.outbox.take()
            await self.bus.publish(TRADES, events)
            self.outbox.taken(events)

    def _lost(self, reason: str) -> None:
        self.state = "disconnected"
        if self._told:
            self.outbox.put(Disconnect(self.names, self.connection, self._newest_ms, reason))
            self._told = False

    # One connection

    async def _session(self) -> None:
        self.state, self._shutdown, self.error = "connecting", False, None
        base = getattr(self.settings, self.venue.hosts[self.market].ws_setting)
        url = base + self.venue.connect_path(self.market, self.instruments)
        async with asyncio.timeout(CONNECT_S):
            ws = await self.connect(
                url,
                ping_interval=PING_S,
                ping_timeout=PONG_S,
                close_timeout=1,
                max_size=1 << 22,
                compression=None,
            )
        self.connects += 1
        self._frame_at_s = time.monotonic()
        self._buffer.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(ws))
                tasks.create_task(self._attend(ws))
        finally:
            self._flush()
            await ws.close()

    async def _read(self, ws: Any) -> None:
        """Frames as they come; decoded when reading would wait, or at FRAMES_PER_BURST."""
        loop = asyncio.get_running_loop()
        buffer = self._buffer
        while True:
            frame = await ws.recv(decode=False)
            if not buffer:
                loop.call_soon(self._flush)
            buffer.append(frame)
            if len(buffer) >= FRAMES_PER_BURST:
                self._flush()
                await self.outbox.pause(PAUSE_S)
            if self._shutdown:
                raise ExchangeError("server_shutdown")

    def _flush(self) -> None:
        """Decode what was read and queue what it says."""
        if not self._buffer:
            return
        frames = self._buffer.copy()
        self._buffer.clear()
        self._frame_at_s = time.monotonic()
        decoded = self._codec.decode(frames, time.monotonic_ns())
        self.frames += len(frames)
        if decoded.newest_ms > self._newest_ms:
            self._newest_ms, self._newest_at_s = decoded.newest_ms, self._frame_at_s
            self.clock.observe(decoded.newest_ms)
        if decoded.malformed or decoded.rejected:
            self.malformed += decoded.malformed
            self.rejected.update(decoded.rejected)
        self._queue(decoded)

    def _queue(self, decoded: Decoded) -> None:
        for batch in decoded.batches:
            self.trades += len(batch)
            self.outbox.put_trades(batch, unordered=batch.instrument in self.unordered)
        for kline in decoded.klines:
            self.outbox.put(kline)
        for ack in decoded.acks:
            waiting = self._acks.pop(ack.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(ack.ok)
        self._shutdown = self._shutdown or decoded.shutdown

    async def _attend(self, ws: Any) -> None:
        """Subscribe, then watch: first data, silence, keep-alive, watermark."""
        names = await self._subscribe(ws)
        self.state = "live"
        self._told = True
        self.outbox.put(Connected(names, self.connection, self.clock.now_ms()))
        log.info("feed.connected", connection=self.connection, instruments=len(names))
        self.reached.set()
        newest, began, pinged = self._newest_ms, time.monotonic(), time.monotonic()
        while True:
            await asyncio.sleep(WATERMARK_S)
            now = time.monotonic()
            if self._newest_ms == newest and now - began > self.settings.first_data_s:
                raise SilentError("no_data")
            if now - self._frame_at_s > PING_S + 2 * PONG_S:
                raise SilentError("silent")
            if (ping := self.venue.ping_frame()) is not None and now - pinged > PING_S:
                await ws.send(ping)
                pinged = now
            if self._newest_ms and now - self._frame_at_s < self.settings.stale_after_s:
                moved = int((now - self._newest_at_s) * 1_000)
                self.outbox.put(Watermark(names, self._newest_ms + moved, self.connection))
                newest = -1 if self._newest_ms != newest else newest

    async def _subscribe(self, ws: Any) -> list[str]:
        """Subscribe by message where the venue wants it; names of what was accepted."""
        refused: set[str] = set()
        for place, topics in enumerate(self.venue.subscriptions(self.market, self.instruments)):
            if await self._ask(ws, topics, f"b{place}"):
                continue
            for one, topic in enumerate(topics):
                if not await self._ask(ws, [topic], f"t{place}-{one}"):
                    refused.add(topic.rpartition(".")[2])
                    self.rejected["subscription"] += 1
        if len(refused) == len(self.instruments):
            raise ExchangeError("subscription_refused")
        return [i.name for i in self.instruments if i.symbol not in refused]

    async def _ask(self, ws: Any, topics: Sequence[str], number: str) -> bool:
        waiting = asyncio.get_running_loop().create_future()
        self._acks[number] = waiting
        await ws.send(self.venue.subscribe_frame(topics, number))
        try:
            return await asyncio.wait_for(waiting, ACK_S)
        except TimeoutError:
            return False


def _reason(error: BaseException) -> str:
    """A short word of our own: nothing a venue wrote leaves the process."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ExchangeError):
        return str(error)
    return type(error).__name__
