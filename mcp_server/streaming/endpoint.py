"""/stream over ASGI: a GET gives server-sent events, an upgrade a WebSocket. Thin on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from backbone.measures import MESSAGES, OPENED
from mcp_server.access.caller import permit_symbol
from mcp_server.problems import problem, refuse_handshake
from mcp_server.streaming.hub import Hub
from mcp_server.streaming.messages import Frame
from mcp_server.streaming.subscription import Subscription, subscription
from orderflow.errors import ForbiddenError, RequestError, StoreError

Write = Callable[[Sequence[Frame]], Awaitable[None]]
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
RETRY = b"retry: 1000\n\n"
MOST_BYTES = 65_536
"""Written at once, then the reader has to take it."""
GOING_AWAY, NO_LONGER_ALLOWED = 1012, 1008
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ORIGIN = re.compile(r"https?://([^/]+)")


class StreamEndpoint:
    """Both transports of one hub. `hosts`: further names whose pages may open a WebSocket."""

    def __init__(self, hub: Hub, hosts: Collection[str] = ()) -> None:
        self.hub = hub
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the reader or the server goes."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["method"] != "GET":
            refused = problem(405, "INVALID_PARAMETER", "only GET is allowed here")
            await refused(scope, receive, send)
        else:
            await self._events(scope, receive, send)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope)

        async def write(frames: Sequence[Frame]) -> None:
            for body in _bodies(frames):
                await send({"type": "http.response.body", "body": body, "more_body": True})

        async def begin() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": RETRY, "more_body": True})

        allowed = await self._serve(asked, "sse", receive, begin, write)
        if allowed is not None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._same_origin(scope)
            asked = self._asked(scope)
        except RequestError as error:
            answer = problem(error.status, error.code, str(error), error.retry_after_s)
            await refuse_handshake(answer, scope, send)
            return

        async def write(frames: Sequence[Frame]) -> None:
            for frame in frames:
                await send({"type": "websocket.send", "text": frame.text})

        async def begin() -> None:
            await send({"type": "websocket.accept"})

        try:
            allowed = await self._serve(asked, "websocket", receive, begin, write)
        except RequestError as error:
            answer = problem(error.status, error.code, str(error), error.retry_after_s)
            await refuse_handshake(answer, scope, send)
            return
        except StoreError:
            answer = problem(503, "NOT_READY", "history can't be read right now", 5)
            await refuse_handshake(answer, scope, send)
            return
        if allowed is not None:
            code = GOING_AWAY if allowed else NO_LONGER_ALLOWED
            await send({"type": "websocket.close", "code": code})

    async def _serve(
        self,
        asked: Subscription,
        transport: str,
        receive: Receive,
        begin: Callable[[], Awaitable[None]],
        write: Write,
    ) -> bool | None:
        """Write until the end. None: the reader went; True: the server goes; False: its key ended.

        RequestError or StoreError before anything was written.
        """
        hub = self.hub
        listener, frames = await hub.join(asked.specs, asked.cursor, asked.heartbeat_s, transport)
        leaving = asyncio.create_task(_until_gone(receive))

        def gone(_: object) -> None:
            listener.gone = True
            listener.wake.set()

        leaving.add_done_callback(gone)
        try:
            await begin()
            hub.meter.add(OPENED, transport)
            if frames:
                self._count(frames)
                await write(frames)
            del frames
            while found := await hub.next(listener):
                if not _permitted(asked):
                    return False
                self._count(found)
                await write(found)
            return None if listener.gone else True
        finally:
            hub.leave(listener)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving

    def _count(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.hub.meter.add(MESSAGES, frame.kind)

    def _asked(self, scope: Scope) -> Subscription:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        last = Headers(scope=scope).get("last-event-id")
        return subscription(pairs, last, self.hub.queries)

    def _same_origin(self, scope: Scope) -> None:
        """A browser lets any page open a WebSocket: only pages of our own names may."""
        origin = Headers(scope=scope).get("origin")
        if origin is None:
            return
        found = ORIGIN.fullmatch(origin)
        host = "" if found is None else found[1]
        name = host if host in LOOPBACK else re.sub(r":[0-9]+$", "", host)
        if name not in LOOPBACK and not {name, host} & self._hosts:
            raise ForbiddenError("pages of that origin may not open a stream")


def _permitted(asked: Subscription) -> bool:
    """The key is still good, and for every symbol."""
    try:
        for symbol in asked.symbols:
            permit_symbol(symbol)
    except ForbiddenError:
        return False
    return True


async def _until_gone(receive: Receive) -> None:
    """What a reader sends says nothing; that it left does."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


def _bodies(frames: Sequence[Frame]) -> Iterator[bytes]:
    """As few writes as fit; each is made when the one before was taken."""
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        if waiting and size + len(frame.sse) > MOST_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(frame.sse)
        size += len(frame.sse)
    yield b"".join(waiting)
