"""Any server answers anything: two of them over one broker, one budget store and the real nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from compose_support import ComposeHouse, house_in
from edge_support import Edge, edge
from limits_support import limits_store
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mongo_support import MongoServer, mongo_server
from nats_support import NatsServer
from nats_support import nats as nats
from sim_support import short_tape
from stream_support import messages_of

from simulator.service import Simulator

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured, pytest.mark.timeout(1_200)]
SERVERS = ("serve", "serve-b")
NAME = "binance:spot:BTCUSDT"
SPAN = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-01T00:05:00Z"}
TRADES = 5_000
"""Of the tape: a little more than five minutes."""
FINAL = 4
WAIT_S = 240
BUDGET = 9
MANY = {"EDGE_RATE": "1000r/s", "EDGE_ADDRESS_RATE": "2000r/s", "EDGE_BURST": "2000"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("several")) as started:
        yield started


async def test_several_servers(tmp_path: Path, nats: NatsServer, server: MongoServer) -> None:
    """Both servers give the same content hashes and count in one budget. Each is killed with -9
    while clients ask through nginx: no answer is a 5xx, an MCP wait that was under way is answered
    by the other server, a reader of the event stream goes on there with no final bar lost and no
    reset, and an MCP session of the earlier era stays with one server as long as that lives."""
    with limits_store(tmp_path) as address:
        async with Simulator(
            [short_tape(count=TRADES)], speed=12.0, start_after=1, hold=True
        ) as simulator:
            parts = house_in(tmp_path / "house", nats, server, simulator.urls)
            parts.common |= {"row_sizes": "BTCUSDT=1", "derivatives": "off"}
            parts.common |= {"limits_storage_file": str(address)}
            try:
                await asyncio.gather(*(parts.start(name) for name in ("process", *SERVERS)))
                key = await parts.new_key("--per-minute", "1000000")
                await parts.start("collect")
                for name in SERVERS:
                    await parts.until_ready(name)
                front = edge(tmp_path / "edge", *(parts.ports[name] for name in SERVERS), **MANY)
                async with front as made:
                    await check_kills(parts, made, key)
                await check_same(parts, key)
                await check_budget(parts)
            finally:
                for process in parts.processes.values():
                    process.kill()
                    await process.wait()
                await parts.client.aclose()


@contextlib.asynccontextmanager
async def public(made: Edge, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of nginx with a key."""
    sent = {"X-API-Key": key}
    async with httpx2.AsyncClient(
        base_url=made.url, verify=made.tls(), headers=sent, timeout=120
    ) as client:
        yield client


async def check_kills(parts: ComposeHouse, made: Edge, key: str) -> None:
    statuses: Counter[int] = Counter()
    finals: dict[str, str] = {}
    connections: list[str] = []
    waits: list[Any] = []
    async with (
        public(made, key) as client,
        public(made, key) as reader,
        asyncio.TaskGroup() as all_,
    ):
        async with agent(made, key, "legacy") as old:
            for _ in range(4):
                found = await old.call_tool("list_symbols", {})
                assert not found.is_error
        tasks = [
            all_.create_task(asking(client, statuses)),
            all_.create_task(reading(reader, finals, connections)),
            all_.create_task(waiting(made, key, waits)),
        ]
        for name in SERVERS:
            before, told = len(waits), statuses[200]
            await until(lambda: statuses[200] > told + 10)  # noqa: B023
            await parts.kill(name)
            await until(lambda: statuses[200] > told + 30 and len(waits) > before)  # noqa: B023
            await parts.start(name)
            await parts.until_ready(name)
            again = len(waits)
            await until(lambda: len(waits) > again + 1)  # noqa: B023 (one began after it was back)
        await until(lambda: len(finals) >= FINAL)
        for task in tasks:
            task.cancel()
    assert set(statuses) == {200}
    assert len(connections) >= 2, "no kill cut the stream"
    assert connections.count("reset") == 0
    assert all(found["met"] in (True, False) for found in waits)
    starts = [f"2025-01-01T00:0{minute}:00.000Z" for minute in range(FINAL)]
    assert sorted(finals)[:FINAL] == starts


async def until(condition: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (any condition, bounded)
            await asyncio.sleep(0.05)


async def asking(client: httpx2.AsyncClient, statuses: Counter[int]) -> None:
    """Answers that no cache has, all the time."""
    number = 0
    while True:
        number += 1
        path = f"/footprint/{NAME}"
        answer = await client.get(path, params={"timeframe": "1m", "limit": 1 + number % 200})
        statuses[answer.status_code] += 1
        await asyncio.sleep(0.03)


async def reading(
    client: httpx2.AsyncClient, finals: dict[str, str], connections: list[str]
) -> None:
    """The event stream; after each cut from where it was."""
    cursor = ""
    query = f"symbols={NAME}&channels=bars"
    while True:
        headers = {"Last-Event-ID": cursor} if cursor else {}
        with contextlib.suppress(httpx2.HTTPError):
            async with client.stream("GET", f"/stream?{query}", headers=headers) as answer:
                connections.append(f"status {answer.status_code}")
                if answer.status_code == 200:
                    async for message in messages_of(answer):
                        cursor = message.get("cursor") or cursor
                        if message["type"] == "reset":
                            connections.append("reset")
                        if message["type"] in ("final", "revision"):
                            bar = message["data"]
                            finals[bar["period_start"]] = bar["content_hash"]
        await asyncio.sleep(0.05)


def agent(made: Edge, key: str, mode: Any) -> Any:
    """The official MCP client behind nginx."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Client]:
        async with httpx2.AsyncClient(
            verify=made.tls(), headers={"X-API-Key": key}, timeout=120
        ) as http:
            transport = streamable_http_client(f"{made.url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client

    return opened()


async def waiting(made: Edge, key: str, waits: list[Any]) -> None:
    """An MCP wait is always under way; its call is answered whatever dies meanwhile."""
    asked = {"symbol": NAME, "condition": "price_above", "value": "99999999", "timeout_s": 2}
    async with agent(made, key, "auto") as client:
        while True:
            found = await client.call_tool("wait_for", asked)
            assert not found.is_error, found.content
            waits.append(found.structured_content)


async def check_same(parts: ComposeHouse, key: str) -> None:
    """Content hashes of every final minute, and of the five minutes, from each server; both are
    asked until neither has a window that the tape closed between the two questions."""
    answers: list[dict[str, str]] = [{}]
    async with asyncio.timeout(WAIT_S):
        while (
            sum(mark.startswith("1m") for mark in answers[0]) < FINAL
            or answers[0].keys() != answers[1].keys()
        ):
            await asyncio.sleep(0.2)
            answers = [await finals_of(parts, name, key) for name in SERVERS]
    assert answers[0] == answers[1]


async def finals_of(parts: ComposeHouse, name: str, key: str) -> dict[str, str]:
    """What a server says is final, by timeframe and start."""
    found: dict[str, str] = {}
    for timeframe in ("1m", "5m"):
        address = f"http://127.0.0.1:{parts.ports[name]}/footprint/{NAME}"
        answer = await parts.client.get(
            address, params={"timeframe": timeframe, **SPAN}, headers={"X-API-Key": key}
        )
        found |= {
            f"{timeframe} {bar['period_start']}": bar["content_hash"]
            for bar in answer.json().get("bars", [])
            if bar["final"]
        }
    return found


async def check_budget(parts: ComposeHouse) -> None:
    """One budget: what one server gave the other one counts."""
    key = await parts.new_key("--per-minute", str(BUDGET))
    found = []
    for name in SERVERS:  # each learns of the new key in its own time
        address = f"http://127.0.0.1:{parts.ports[name]}/livez"
        await until_known(parts, address.replace("livez", "_authorize"), key)
    for number in range(BUDGET + 4):
        name = SERVERS[number % 2]
        address = f"http://127.0.0.1:{parts.ports[name]}/symbols"
        answer = await parts.client.get(address, headers={"X-API-Key": key})
        found.append(answer.status_code)
    assert found == [200] * BUDGET + [429] * 4, json.dumps(found)


async def until_known(parts: ComposeHouse, address: str, key: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await parts.client.get(address, headers={"X-API-Key": key})
            if answer.status_code == 204:
                return
            await asyncio.sleep(0.2)
