"""Long answers: a cap for every key, and an end when the server ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from access_support import House, house
from journeys_support import Journey, journey
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from sim_support import short_tapes

from backbone.keys.book import KeyBook, Terms

pytestmark = pytest.mark.timeout(1_200)
URI = "wadm://volume_profile/BTCUSDT/1h"
ROWS = "BTCUSDT=0.05,ETHUSDT=0.05"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}
LISTEN = {
    "jsonrpc": "2.0",
    "id": 3,
    "method": "subscriptions/listen",
    "params": {"notifications": {"resourceSubscriptions": [URI]}, "_meta": META},
}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "subscriptions/listen",
}
MOST = 3


async def made(trip: Journey) -> str:
    text, _ = await KeyBook(trip.system.store, "test").create("t", 4, Terms(per_minute=1_000))
    await trip.system.server.config.app.state.access.ring.refresh()  # type: ignore[union-attr]
    return text.text


@contextlib.asynccontextmanager
async def listening(
    trip: Journey, key: str, http: httpx2.AsyncClient | None = None
) -> AsyncIterator[tuple[httpx2.Response, AsyncIterator[str]]]:
    headers = {**HEADERS, "X-API-Key": key}
    url = f"{trip.base_url}/mcp"
    async with (http or trip.client).stream("POST", url, json=LISTEN, headers=headers) as answer:
        lines = answer.aiter_lines()
        if answer.status_code == 200:
            await anext(lines)
        yield answer, lines


async def test_cap_of_a_key(tmp_path: Path) -> None:
    """So many listen streams and no more; another key has its own; a stream that ended frees its
    place; what is no stream is not counted."""
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS, streams_per_key=MOST) as trip:
        await trip.until_played()
        key, other = await made(trip), await made(trip)
        counts = trip.system.server.config.app.state.access.streams.open  # type: ignore[union-attr]
        async with contextlib.AsyncExitStack() as held:
            for _ in range(MOST):
                answer, _ = await held.enter_async_context(listening(trip, key))
                assert answer.status_code == 200
            async with listening(trip, key) as (refused, lines):
                assert refused.status_code == 429
                told = "".join([line async for line in lines])
                assert "end one first" in told
                assert '"id":3' in told
                assert "retry-after" in refused.headers
            async with listening(trip, other) as (answer, _):
                assert answer.status_code == 200
            plain = await trip.client.get(f"{trip.base_url}/symbols", headers={"X-API-Key": key})
            assert plain.status_code == 200
        await trip.until(lambda: not counts, "places are free again")
        async with listening(trip, key) as (answer, _):
            assert answer.status_code == 200


async def test_cap_before(tmp_path: Path) -> None:
    """A GET that stays open counts as well, as clients of the earlier era hold one."""
    async with house(tmp_path, streams_per_key=1) as made:
        key = await made.key(per_minute=1_000)
        async with made.client.stream("GET", "/stream", headers={"X-API-Key": key}) as answer:
            assert answer.status_code == 200
            assert (await made.get("/stream", key)).status_code == 429
        await _freed(made)
        assert (await made.get("/stream", key)).status_code == 200


async def _freed(made: House) -> None:
    async with asyncio.timeout(60):
        while made.access.streams.open:  # noqa: ASYNC110 (uvicorn says nothing when a reader left)
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("ignore:resources/.*removed as of")
async def test_shutdown_with_open_streams(tmp_path: Path) -> None:
    """Listeners of both eras do not hold up the end; a modern one is told its final result."""
    ended = asyncio.Event()

    async def listen(client: Client) -> None:
        with contextlib.suppress(Exception):
            async with client.listen(resource_subscriptions=[URI]) as events:
                async for _ in events:
                    pass
        ended.set()

    async with contextlib.AsyncExitStack() as clients:
        async with journey(tmp_path, short_tapes(), row_sizes=ROWS) as trip:
            await trip.until_played()
            assert trip.system.server.mcp is not None
            notifier = (await trip.system.server.mcp.hosted()).subscriptions
            http = await clients.enter_async_context(httpx2.AsyncClient(timeout=60))
            modern = streamable_http_client(f"{trip.base_url}/mcp", http_client=http)
            new = await clients.enter_async_context(Client(modern))
            task = asyncio.create_task(listen(new))
            await trip.until(lambda: notifier.modern[URI] == 1, "the stream is open")
            _, lines = await clients.enter_async_context(listening(trip, "none", http))
        async with asyncio.timeout(60):
            await ended.wait()
            await task
            text = "\n".join([line async for line in lines])
        assert '"result"' in text
