"""Access: ring, verifier, budget, streams, usage of one server, and what keeps them up to date."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from backbone.keys.book import KeyBook
from backbone.settings import Settings
from backbone.store.base import Store
from mcp_server.access.budget import Budget, limits_address
from mcp_server.access.oauth import oauth_of
from mcp_server.access.ring import REFRESH_S, KeyRing
from mcp_server.access.streams import Streams
from mcp_server.access.usage import FLUSH_S, Usage
from mcp_server.access.verifier import Verifier
from mcp_server.binding import is_loopback
from orderflow.errors import StoreError

log = structlog.get_logger()


class Access:
    """Use `running()` around the time in which requests come."""

    def __init__(self, store: Store, settings: Settings) -> None:
        needed = settings.keys == "required" or settings.oauth_resource != ""
        closed = needed or not is_loopback(settings.host)
        self.ring = KeyRing(KeyBook(store), closed=closed)
        self.verifier = Verifier(self.ring, settings.key_cost)
        self.budget = Budget(settings.requests_per_minute, limits_address(settings))
        self.usage = Usage(store)
        self.streams = Streams(settings.streams_per_key)
        self.oauth = oauth_of(settings)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the store's keys, and write usage, also at the end."""
        await self.ring.refresh()
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._write())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._flush()
            await self.budget.close()
            self.verifier.close()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.ring.refresh()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self.usage.flush()
        except StoreError as error:
            log.warning("usage.unwritten", reason=str(error))
