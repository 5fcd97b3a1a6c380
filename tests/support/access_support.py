"""The gate in front of a small application, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from backbone.keys.book import KeyBook, Terms
from backbone.settings import read_settings
from backbone.store.sqlite import SqliteStore
from mcp_server.access.access import Access
from mcp_server.access.gate import Gate

COST = 4
EVENTS = 5


class House:
    """A server with keys, its book, and a client."""

    def __init__(self, access: Access, book: KeyBook, client: httpx2.AsyncClient) -> None:
        self.access = access
        self.book = book
        self.client = client
        self.seen: list[tuple[str, str]] = []

    async def key(self, name: str = "someone", **terms: object) -> str:
        """A new key that the server knows already."""
        text, _ = await self.book.create(name, COST, Terms(**terms))  # type: ignore[arg-type]
        await self.access.ring.refresh()
        return text.text

    async def get(self, path: str, key: str | None = None, **headers: str) -> httpx2.Response:
        """One answer."""
        sent = headers if key is None else {"X-API-Key": key, **headers}
        return await self.client.get(path, headers=sent)


async def _echo(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "body": (await request.body()).decode()})


async def _stream(request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        for number in range(EVENTS):
            yield b"data: %d\n\n" % number
            await asyncio.sleep(0.01)

    return StreamingResponse(events(), media_type="text/event-stream")


async def _endless(request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        for number in itertools.count():
            yield b"data: %d\n\n" % number
            await asyncio.sleep(0.01)

    return StreamingResponse(events(), media_type="text/event-stream")


def small_app(access: Access, seen: list[tuple[str, str]] | None = None) -> Starlette:
    """Every path echoes; /stream streams, /stream/endless until the client goes. What the server
    parsed is added to `seen`."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with access.running():
            yield

    methods = ["GET", "POST"]
    routes = [
        Route("/stream", _stream),
        Route("/stream/endless", _endless),
        Route("/{path:path}", _echo, methods=methods),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(Gate, access=access, base_path="")
    app.add_middleware(_Seen, seen=[] if seen is None else seen)
    return app


class _Seen:
    def __init__(self, app: ASGIApp, seen: list[tuple[str, str]]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append((scope["method"], scope["path"]))
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(app: Starlette, port: int = 0) -> AsyncIterator[int]:
    """The application on loopback, on a free port unless one is given."""
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has only a flag)
        await asyncio.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def house(folder: Path, **settings: object) -> AsyncIterator[House]:
    """A server that needs keys, on a store in the folder."""
    chosen = read_settings(
        {}, **{"keys": "required", "key_cost": COST, "data_dir": str(folder), **settings}
    )
    store = SqliteStore(folder / "keys.sqlite")
    await store.open("live")
    access = Access(store, chosen)
    seen: list[tuple[str, str]] = []
    try:
        async with (
            serving(small_app(access, seen)) as port,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ):
            made = House(access, KeyBook(store, "test"), client)
            made.seen = seen
            yield made
    finally:
        await store.close()
