"""The MCP endpoint of a server that answers REST before the MCP library is imported.

The library's own import takes longer than that of everything else together; after a crash nobody
who asks over REST waits for it, and who asks over MCP waits for it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger()
KEY_ID = "wadm.key_id"
"""Where the gate leaves the id of the key in a request's scope."""


class Hosted(NamedTuple):
    """A made MCP server; `endpoint` answers while `running` is entered."""

    server: Any
    endpoint: ASGIApp
    subscriptions: Any
    running: Callable[[], AbstractAsyncContextManager[Any]]
    close_streams: Callable[[], None]


class LateMcp:
    """Made in a thread once the application runs; requests that come earlier wait."""

    def __init__(self, make: Callable[[], Hosted]) -> None:
        self._make = make
        self._made: asyncio.Future[Hosted] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as the application lives."""
        self._made = asyncio.get_running_loop().create_future()
        stopping = asyncio.Event()
        holding = asyncio.create_task(self._hold(self._made, stopping), name="mcp-host")
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(holding, return_exceptions=True)

    async def _hold(self, made: asyncio.Future[Hosted], stopping: asyncio.Event) -> None:
        """The session manager is entered and left by one task."""
        try:
            hosted = await asyncio.to_thread(self._make)
            async with hosted.running():
                made.set_result(hosted)
                log.info("mcp.ready")
                await stopping.wait()
        except Exception as error:
            log.exception("mcp.failed")
            if not made.done():
                made.set_exception(error)
                made.exception()

    async def hosted(self) -> Hosted:
        """The server, as soon as it is made."""
        if self._made is None:
            raise RuntimeError("the application does not run")
        return await asyncio.shield(self._made)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = await self.hosted()
        await found.endpoint(scope, receive, send)

    def close_streams(self) -> None:
        """End every open listen stream with its final result."""
        if self._made is not None and self._made.done() and self._made.exception() is None:
            self._made.result().close_streams()
