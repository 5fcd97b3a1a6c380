"""The derivative streams of one venue: one socket, and REST where the socket does not tell.

Nothing here is repaired: what was missed is said (`Interruption`), and that is all a venue allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from backbone.bus.base import CONTEXT, Bus
from collectors.derivatives import DerivativeMarket
from collectors.pacing import Backoff
from collectors.rest import RestClient
from collectors.sockets import Library, Socket
from orderflow.derivatives import DerivativeEvent, Interruption
from orderflow.errors import ExchangeError
from orderflow.instrument import Instrument

log = structlog.get_logger()
SILENT_S = 30.0
"""Mark prices come every second; a socket without any for this long is dead."""
POLL_S = 60.0
FRAMES_PER_TURN = 256


class DerivativeFeed:
    """Keeps one socket delivering; `run` returns only when cancelled."""

    def __init__(
        self,
        market: DerivativeMarket,
        url: str,
        instruments: Sequence[Instrument],
        library: Library,
        bus: Bus,
        backoff: Backoff,
        admitted: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.market = market
        self.instruments = {item.symbol: item for item in instruments}
        self._base_url = url.rstrip("/")
        self._library = library
        self._bus = bus
        self._backoff = backoff
        self.connects = self.events = self.malformed = 0
        self._newest_ms: int | None = None
        self._admitted = admitted
        self._changed = asyncio.Event()

    def change(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these from now on: over a connection of their own, soon."""
        self.instruments = {item.symbol: item for item in instruments}
        self._changed.set()

    async def run(self) -> None:
        """Connect again whenever a connection ends."""
        while True:
            try:
                await self._deliver()
            except self._library.errors as error:
                log.info("derivatives.disconnected", error=type(error).__name__)
            await asyncio.sleep(self._backoff.next_s())

    async def _deliver(self) -> None:
        """One connection from the subscription to its end, or to a change of what it delivers."""
        if self._admitted is not None:
            await self._admitted()
        self._changed.clear()
        instruments = list(self.instruments.values())
        socket = await self._library.connect(self._base_url + self.market.socket_path(instruments))
        self.connects += 1
        beside = [
            asyncio.create_task(self._speak(socket)),
            asyncio.create_task(self._changed.wait()),
        ]
        try:
            for message in self.market.messages(instruments):
                await socket.send(message)
            reading = asyncio.create_task(self._read(socket))
            beside.append(reading)
            await asyncio.wait([reading, beside[1]], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._say_ended()
            await socket.close()

    async def _say_ended(self) -> None:
        """Nothing comes any more: what was heard last is not the state of now."""
        if self._newest_ms is not None:
            await self._bus.publish(CONTEXT, [self._interruption(self._newest_ms, ended=True)])
            self._newest_ms = None

    def _interruption(self, event_ms: int, *, ended: bool) -> Interruption:
        names = [item.name for item in self.instruments.values()]
        return Interruption(names, event_ms, self.market.sampled, ended)

    async def _read(self, socket: Socket) -> None:
        """Publish what arrives; TimeoutError when nothing does."""
        while True:
            async with asyncio.timeout(SILENT_S):
                frame = await socket.recv(False)
            events = self._events(frame if isinstance(frame, bytes) else frame.encode())
            if not events:
                continue
            newest = max(event.event_ms for event in events)
            if self._newest_ms is None:
                events = [self._interruption(newest, ended=False), *events]
                self._backoff.reset()
            self._newest_ms = max(newest, self._newest_ms or 0)
            self.events += len(events)
            await self._bus.publish(CONTEXT, events)

    def _events(self, frame: bytes) -> list[DerivativeEvent]:
        try:
            return self.market.read(frame, self.instruments)
        except ExchangeError:
            self.malformed += 1
            return []

    async def _speak(self, socket: Socket) -> None:
        """Send the venue's own ping, where it has one."""
        ping = self.market.ping()
        while ping is not None:
            await asyncio.sleep(ping[1])
            await socket.send(ping[0])

    async def poll(self, rest: RestClient, every_s: Callable[[], float] = lambda: POLL_S) -> None:
        """Ask for open interest again and again, where only REST tells it."""
        while True:
            for instrument in list(self.instruments.values()):
                await self._ask(rest, instrument)
            await asyncio.sleep(every_s())

    async def _ask(self, rest: RestClient, instrument: Instrument) -> None:
        call = self.market.open_interest_call(instrument)
        if call is None:
            return
        parse: Callable[[bytes], DerivativeEvent] = lambda body: (  # noqa: E731
            self.market.parse_open_interest(body, instrument)
        )
        try:
            event = await rest.ask(call, parse)
        except ExchangeError as error:
            log.info("derivatives.unavailable", error=type(error).__name__)
            return
        self.events += 1
        await self._bus.publish(CONTEXT, [event])
