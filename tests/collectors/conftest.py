"""A loopback venue: a WebSocket server and a small HTTP server that tests steer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from backbone.bus.memory import MemoryBus
from orderflow.instrument import Instrument, Market
from orderflow.trade import StreamEvent

WAIT_S = 60.0


class Recorder:
    """Everything published on a topic so far, and bounded waits for what is to come."""

    def __init__(self, bus: MemoryBus, topic: str) -> None:
        self.events: list[Any] = []
        self._bus = bus
        self._topic = topic
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        subscription = await self._bus.subscribe(self._topic, "recorder")

        async def read() -> None:
            while True:
                for delivery in await subscription.next():
                    self.events += delivery.messages
                self._changed.set()

        self._task = asyncio.create_task(read())

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, looked at after every delivery and now and then."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    """A memory bus."""
    memory = MemoryBus()
    yield memory
    await memory.close()


@pytest.fixture
async def trades(bus: MemoryBus) -> AsyncIterator[Recorder]:
    """What the collectors publish."""
    recorder = Recorder(bus, "trades")
    await recorder.start()
    yield recorder
    await recorder.close()


@pytest.fixture
async def context(bus: MemoryBus) -> AsyncIterator[Recorder]:
    """What the derivative feeds publish."""
    recorder = Recorder(bus, "context")
    await recorder.start()
    yield recorder
    await recorder.close()


Script = Callable[[ServerConnection], Awaitable[None]]


class SocketVenue:
    """A WebSocket server whose n-th connection plays the n-th script, the last one for ever."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.paths: list[str] = []
        self.closed = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        script = self.scripts[min(len(self.paths), len(self.scripts)) - 1]
        try:
            await script(connection)
        finally:
            self.closed += 1


@pytest.fixture
async def sockets() -> AsyncIterator[SocketVenue]:
    """A loopback WebSocket venue."""
    venue = SocketVenue()
    async with serve(
        venue.handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2, compression=None
    ) as server:
        venue.port = next(iter(server.sockets)).getsockname()[1]
        yield venue


Answer = Callable[[dict[str, str]], tuple[int, dict[str, str], Any]]


class RestVenue:
    """An HTTP server: a path is a function of its query; every request is kept."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def json(self, path: str, body: Any) -> None:
        self.routes[path] = lambda _: (200, {}, body)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                target = urlsplit(line.split()[1].decode())
                query = dict(parse_qsl(target.query))
                self.asked.append((target.path, query))
                route = self.routes.get(target.path, lambda _: (404, {}, {}))
                status, headers, body = route(query)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode()
                    + data
                )
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


@pytest.fixture
async def rest() -> AsyncIterator[RestVenue]:
    """A loopback REST venue."""
    venue = RestVenue()
    server = await asyncio.start_server(venue.handle, "127.0.0.1", 0)
    venue.port = server.sockets[0].getsockname()[1]
    yield venue
    server.close()


@pytest.fixture
def spot() -> Instrument:
    """Binance spot BTCUSDT."""
    return instrument("binance", Market.SPOT, "0.01", "0.00001")


def instrument(
    venue: str, market: Market, tick: str, lot: str, symbol: str = "BTCUSDT"
) -> Instrument:
    unordered = venue == "bybit" and market is Market.PERP
    return Instrument(
        venue=venue,
        market=market,
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        sequence="unordered" if unordered else "consecutive",
    )


@pytest.fixture
def make_instrument() -> Callable[..., Instrument]:
    """Instruments by venue, market, tick and lot."""
    return instrument


@pytest.fixture
def running() -> Callable[[Awaitable[Any]], Any]:
    """A task for the length of a block."""

    @asynccontextmanager
    async def run(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
        task = asyncio.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


__all__ = ["Recorder", "RestVenue", "SocketVenue", "StreamEvent"]
