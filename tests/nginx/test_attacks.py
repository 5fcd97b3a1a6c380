"""Attacks on the edge: slow clients, smuggling, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from access_support import House, house, serving, small_app
from edge_support import Edge, edge, free_port

from backbone.keys.book import KeyBook, Terms
from backbone.settings import read_settings
from backbone.store.sqlite import SqliteStore
from mcp_server.access.access import Access

pytestmark = pytest.mark.timeout(1_200)
DATA = "/volume_profile/BTCUSDT"
MANY = {
    "EDGE_RATE": "10000r/s",
    "EDGE_BURST": "5000",
    "EDGE_ADDRESS_RATE": "100000r/s",
    "EDGE_ADDRESS_BURST": "20000",
    "EDGE_CONNECTIONS": "2000",
}
PER_MINUTE = 1_000_000


class Fronted:
    """nginx and the server behind it."""

    def __init__(self, made: Edge, behind: House) -> None:
        self.edge, self.house = made, behind


@contextlib.asynccontextmanager
async def fronted(folder: Path) -> AsyncIterator[Fronted]:
    """Limits wide open: these tests are not about them."""
    async with house(folder) as behind:
        port = int(str(behind.client.base_url).rstrip("/").rpartition(":")[2])
        async with edge(folder / "edge", port, **MANY) as made:
            yield Fronted(made, behind)


def smuggles(count: int) -> list[bytes]:
    """Requests that two parsers might cut in different places."""
    draw = random.Random(7)
    hidden = b"GET /order_flow/HIDDEN HTTP/1.1\r\nHost: localhost\r\n\r\n"
    framings = [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d",
        b"Content-Length: %d\r\nContent-Length: 0",
        b"Content-Length: 0, %d",
        b"Content-Length: +%d",
        b"Content-Length:%d\r\n Transfer-Encoding: chunked",
        b"Transfer-Encoding : chunked\r\nX: %d",
        b"Transfer-Encoding: xchunked\r\nX: %d",
        b"Transfer-Encoding:\x0bchunked\r\nX: %d",
        b"Transfer-Encoding: chunked, identity\r\nX: %d",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nX: %d",
        b"Content-Length: %d\nTransfer-Encoding: chunked",
        b"Content_Length: %d",
        b"Expect: 100-continue\r\nContent-Length: %d",
    ]
    heads = [
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n",
        b"GET http://evil/health HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n",
        b"GET /health\r\n",
        b"GET  /health HTTP/1.1\nHost: localhost\n",
    ]
    bodies = [
        hidden,
        b"0\r\n\r\n" + hidden,
        b"5;x=\n\r\nabcde\r\n0\r\n\r\n" + hidden,
        b"\r\n" + hidden,
    ]
    return [
        draw.choice(heads)
        + draw.choice(framings) % draw.choice((len(hidden), 4, 0))
        + b"\r\n\r\n"
        + draw.choice(bodies)
        for _ in range(count)
    ]


async def thrown(made: Edge, context: ssl.SSLContext, data: bytes) -> bytes:
    """One connection, everything at once, what came back."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", made.https, ssl=context, server_hostname="localhost"
    )
    answer = b""
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(data)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else None
        async with asyncio.timeout(0.3):
            answer = await reader.read(100_000)
    writer.transport.abort()
    return answer


async def test_smuggling(tmp_path: Path) -> None:
    """Of 200 ambiguous requests the server sees none that the access log has not."""
    async with fronted(tmp_path) as made:
        context = made.edge.tls()
        cases = smuggles(200)
        for start in range(0, len(cases), 25):
            await asyncio.gather(
                *(thrown(made.edge, context, case) for case in cases[start : start + 25])
            )
    lines = made.edge.lines()
    arrived = Counter(seen for seen in made.house.seen if seen[1] != "/_authorize")
    logged = Counter((line["method"], line["uri"]) for line in lines)
    assert arrived
    assert arrived - logged == Counter()
    assert [line for line in lines if line["status"] >= 500] == []


async def test_slow_clients(tmp_path: Path) -> None:
    """Connections that trickle headers or bodies are cut; others do not notice."""
    async with fronted(tmp_path) as made:
        context = made.edge.tls()
        key = await made.house.key(per_minute=PER_MINUTE)
        client = httpx2.AsyncClient(
            base_url=made.edge.url, verify=context, headers={"X-API-Key": key}, timeout=20
        )
        async with client:
            quiet = await latencies(client, 150)
            began = time.monotonic()
            heads = [
                b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ",
                b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
            ]
            slow = [
                asyncio.create_task(trickle(made.edge, context, heads[n % 2])) for n in range(120)
            ]
            await asyncio.sleep(0.5)
            busy = await latencies(client, 150)
            lived = await asyncio.gather(*slow)
    assert max(lived[::2]) < 8  # headers; a slow body is held by nginx alone, a hundred an address
    assert time.monotonic() - began < 25
    # Twice normal, with room for a machine that does other things as well.
    assert busy[int(len(busy) * 0.99)] < 2 * quiet[int(len(quiet) * 0.99)] + 0.1


async def latencies(client: httpx2.AsyncClient, count: int) -> list[float]:
    """Sorted seconds."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        answer = await client.get(DATA)
        found.append(time.perf_counter() - began)
        assert answer.status_code == 200
    return sorted(found)


async def trickle(made: Edge, context: ssl.SSLContext, head: bytes) -> float:
    """One byte a half second; seconds until it was cut."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", made.https, ssl=context, server_hostname="localhost"
    )
    ended = asyncio.create_task(reader.read(1))
    with contextlib.suppress(OSError):
        writer.write(head)
        while time.monotonic() - began < 8 and not ended.done():
            writer.write(b"a")
            await writer.drain()
            await asyncio.wait([ended], timeout=0.5)
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    writer.transport.abort()
    return time.monotonic() - began


async def test_rolling_restart(tmp_path: Path) -> None:
    """Both servers are replaced, one after the other, under load: no idempotent GET fails."""
    store = SqliteStore(tmp_path / "keys.sqlite")
    await store.open("live")
    settings = read_settings({}, keys="required", key_cost=4)
    ports = [free_port(), free_port()]
    text, _ = await KeyBook(store).create("t", 4, Terms(per_minute=PER_MINUTE))

    async def server(port: int, until: asyncio.Event, up: asyncio.Event) -> None:
        async with serving(small_app(Access(store, settings)), port):
            up.set()
            await until.wait()

    running: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    async def start(port: int) -> tuple[asyncio.Task[None], asyncio.Event]:
        until, up = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(server(port, until, up))
        await up.wait()
        return task, until

    running = [await start(port) for port in ports]
    statuses: list[int] = []
    async with edge(tmp_path / "edge", *ports, **MANY) as made:
        client = httpx2.AsyncClient(
            base_url=made.url, verify=made.tls(), headers={"X-API-Key": text.text}, timeout=20
        )

        async def ask(number: int) -> None:
            answer = await client.get(f"{DATA}?limit={number}")
            statuses.append(answer.status_code)

        async def load() -> None:
            asking = []
            for number in range(800):
                asking.append(asyncio.create_task(ask(number)))
                await asyncio.sleep(0.005)
            await asyncio.gather(*asking)

        async with client:
            loading = asyncio.create_task(load())
            for place, port in enumerate(ports * 2):
                await asyncio.sleep(0.5)
                task, until = running[place % 2]
                until.set()
                await task
                running[place % 2] = await start(port)
            await loading
    for task, until in running:
        until.set()
        await task
    await store.close()
    assert len(statuses) == 800
    assert set(statuses) == {200}
