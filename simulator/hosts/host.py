"""One simulated host: a listener for WebSocket and REST on one port, and its clients."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from simulator.archive import archived
from simulator.clock import PlayClock
from simulator.faults import FaultPlan
from simulator.klines import Kline, KlineBook
from simulator.tape import Print, Tape

ARCHIVES = ("/data/", "/trading/", "/spot/")
WRITE_LIMIT_BYTES = 1 << 20
"""At full speed the player waits for a reader that has this much unread."""


class Answer(msgspec.Struct):
    """A REST answer."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}


class Client:
    """One WebSocket connection: its subscriptions and how it wants frames wrapped."""

    def __init__(self, connection: ServerConnection, *, combined: bool, route: str) -> None:
        self.connection = connection
        self.combined = combined
        self.route = route
        self.streams: dict[str, None] = {}
        self.messages: deque[float] = deque()
        self.frozen = False

    def write(self, texts: Iterable[str]) -> None:
        """Queue text frames on the transport, many in one write."""
        if not self.frozen and self.connection.state is State.OPEN:
            self.connection.transport.write(b"".join(map(text_frame, texts)))

    @property
    def backlog_bytes(self) -> int:
        """What the reader has not taken yet."""
        if self.connection.state is not State.OPEN:
            return 0
        return self.connection.transport.get_write_buffer_size()


def text_frame(text: str) -> bytes:
    """An unmasked, unfragmented text frame (RFC 6455, section 5.2)."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Market:
    """A tape being played on a host, and its candles."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.book = KlineBook(tape.listing)


class Host:
    """What all simulated hosts share; venues add routes, frames and REST paths."""

    name = "host"
    messages_per_s = 10

    def __init__(self, tapes: list[Tape], clock: PlayClock, faults: FaultPlan) -> None:
        self.markets = {tape.listing.name: Market(tape) for tape in tapes}
        self.clock = clock
        self.faults = faults
        self.clients: set[Client] = set()
        self.stats: Counter[str] = Counter()
        self.ping_interval_s: float | None = 20.0
        self.ping_timeout_s: float | None = 60.0
        self.life_s: float | None = None
        self.port = 0
        self.on_subscribe: Callable[[], None] = lambda: None
        self._server: Server | None = None

    # Listening

    async def start(self, port: int, context: ssl.SSLContext | None = None) -> None:
        """Listen on loopback; port 0 takes a free one."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            ssl=context,
            compression=None,
            process_request=self._process,
            ping_interval=self.ping_interval_s,
            ping_timeout=self.ping_timeout_s,
            max_size=1 << 20,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every client."""
        if self._server is not None:
            self._server.close(close_connections=True)
            await self._server.wait_closed()

    async def close_all_connections(self, *, abort: bool = False) -> None:
        """End every WebSocket now: with a close frame, or with a reset."""
        for client in list(self.clients):
            if abort:
                client.connection.transport.abort()
            else:
                await client.connection.close(1001)

    def _process(self, connection: ServerConnection, request: Request) -> Response | None:
        """REST on the same port; a request to upgrade goes on to `_serve`."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.stats["connects"] += 1
            if self.faults.refuse_connects > 0:
                self.faults.refuse_connects -= 1
                return _response(Answer({"msg": "refused"}, 429, {"Retry-After": "1"}))
            return None
        parts = urlsplit(request.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self.stats[f"rest {parts.path}"] += 1
        if parts.path.startswith(ARCHIVES):
            body = archived([market.tape for market in self.markets.values()], parts.path)
            return _response(Answer(body or b"not found", 404 if body is None else 200))
        return _response(self.rest(parts.path, query))

    async def _serve(self, connection: ServerConnection) -> None:
        request = connection.request
        path = unquote(request.path) if request is not None else "/"
        client = self.connected(connection, path)
        if client is None:
            await connection.close(1008, "unknown path")
            return
        self.clients.add(client)
        self.on_subscribe()
        try:
            async with asyncio.timeout(self.life_s):
                async for message in connection:
                    if not self._within_rate(client):
                        await connection.close(1008, "Too many requests")
                        break
                    self.message(client, message)
        except (ConnectionClosed, TimeoutError):
            await connection.close(1000)
        finally:
            self.clients.discard(client)

    def _within_rate(self, client: Client) -> bool:
        now = time.monotonic()
        client.messages.append(now)
        while now - client.messages[0] > 1:
            client.messages.popleft()
        return len(client.messages) <= self.messages_per_s

    # Venue hooks

    def connected(self, connection: ServerConnection, path: str) -> Client | None:
        """A client with the subscriptions of its path; None refuses the path."""
        raise LookupError(path)

    def message(self, client: Client, message: str | bytes) -> None:
        """A client's message."""
        raise LookupError(message)

    def rest(self, path: str, query: dict[str, str]) -> Answer:
        """A REST answer."""
        raise LookupError(path)

    def deliver(
        self, market: Market, prints: list[Print], raws: list[Print], klines: list[Kline]
    ) -> None:
        """Send what happened to everyone who subscribed to it."""
        raise LookupError(market.tape.listing.name)

    def heartbeat(self, market: Market) -> None:
        """Send the open candle, as venues do every few hundred milliseconds."""
        raise LookupError(market.tape.listing.name)

    def trade_streams(self) -> set[str]:
        """The trade streams that play waits for."""
        raise LookupError(self.name)

    # Shared by venues

    def subscribed(self) -> set[str]:
        """Every stream somebody listens to."""
        return {stream for client in self.clients for stream in client.streams}

    def send(self, stream: str, texts: list[str], wrap: Callable[[str], str] | None) -> None:
        """Frames of one stream to its clients; `wrap` makes the combined form."""
        if not texts or stream in self.faults.stalled:
            return
        wrapped: list[str] | None = None
        for client in self.clients:
            if stream not in client.streams:
                continue
            if client.combined and wrap is not None:
                if wrapped is None:
                    wrapped = [wrap(text) for text in texts]
                client.write(wrapped)
            else:
                client.write(texts)
            self.stats["frames"] += len(texts)

    def slowest_bytes(self) -> int:
        """The largest backlog of any client."""
        return max((c.backlog_bytes for c in self.clients if not c.frozen), default=0)


def _response(answer: Answer) -> Response:
    body = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
    headers = Headers(
        {
            "Content-Type": "application/json;charset=UTF-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **answer.headers,
        }
    )
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, body)
