"""The parts as separate processes answer what one process answers, and survive each other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from apart_support import House, house
from journeys_support import journey
from mongo_support import MongoServer, mongo_server
from nats_support import NatsServer
from nats_support import nats as nats
from pymongo import MongoClient
from recorded import two_markets

from simulator.service import Simulator
from simulator.tape import Tape

SPAN = {"start": "2024-08-08T23:54:00Z", "end": "2024-08-09T00:00:00Z"}
NAMES = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT")
MINUTES = 6
Hashes = dict[tuple[str, str, str], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("apart")) as started:
        yield started


@pytest.fixture
async def calm(shared: Path, tmp_path: Path) -> Hashes:
    """Content hashes of one process, `wadm up`'s own."""
    found: Hashes = {}
    async with journey(tmp_path / "calm", two_markets(shared)) as trip:
        await trip.until_played()
        for timeframe in ("1m", "5m"):
            for name in NAMES:
                answer = await trip.get(f"/footprint/{name}", timeframe=timeframe, **SPAN)
                found |= hashes(timeframe, [{"instrument": name, **b} for b in answer["bars"]])
    return found


def hashes(timeframe: str, bars: list[dict[str, Any]]) -> Hashes:
    """Of final bars."""
    return {
        (timeframe, bar["instrument"], bar["period_start"]): bar["content_hash"]
        for bar in bars
        if bar["final"] or timeframe != "1m"
    }


async def settled(parts: House, wanted: Hashes) -> Hashes:
    """What the server answers once every minute is final, or after a while."""
    found: Hashes = {}
    try:
        async with asyncio.timeout(90):
            while found != wanted:
                found = {}
                for timeframe in ("1m", "5m"):
                    bars = await parts.bars({**SPAN, "timeframe": timeframe}, NAMES)
                    found |= hashes(timeframe, bars)
                await asyncio.sleep(0.3)
    except TimeoutError:
        print(parts.logs())
    return found


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_same_answers(
    shared: Path, tmp_path: Path, nats: NatsServer, server: MongoServer, calm: Hashes
) -> None:
    """Four processes give the content hashes of one; every part says that it is ready and what it
    does; no raw trade is in the database; each part stops by SIGTERM with exit code 0."""
    assert len([key for key in calm if key[0] == "1m"]) == MINUTES * len(NAMES)
    async with (
        Simulator(two_markets(shared), speed=20.0) as simulator,
        house(tmp_path / "same", nats, server, simulator.urls) as parts,
    ):
        for name in ("process", "serve", "collect"):
            await parts.start(name)
        for name in ("collect", "process", "serve"):
            await parts.until_ready(name)
        async with listening(parts) as told:
            assert await settled(parts, calm) == calm
            await check_stream(told, calm)
        await check_ports(parts)
        check_database(server, parts.common["mongo_database"] + "_simulated", two_markets(shared))
        await check_feeds(parts)
        for name in ("collect", "process", "serve"):
            assert await parts.stop(name) == 0, parts.logs()
        check_metrics(server, parts.common["mongo_database"] + "_simulated")


@contextlib.asynccontextmanager
async def listening(parts: House) -> AsyncIterator[list[Any]]:
    """What the server's event stream tells of one instrument."""
    told: list[Any] = []
    query = f"symbols={NAMES[1]}&channels=bars,events,status"

    async def listen() -> None:
        url = f"http://127.0.0.1:{parts.ports['serve']}/stream?{query}"
        async with parts.client.stream("GET", url, timeout=120) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                kind, _, text = line.partition(": ")
                if kind == "data":
                    message = json.loads(text)
                    told.append(message)

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def check_stream(told: list[Any], calm: Hashes) -> None:
    """Fed by updates over the bus the stream tells bars as they grow, and each final one with the
    content of one process, up to the last."""
    last = max(key for key in calm if key[:2] == ("1m", NAMES[1]))

    def finals() -> Hashes:
        bars = [m["data"] for m in told if m["type"] in ("final", "revision")]
        return {("1m", NAMES[1], bar["period_start"]): bar["content_hash"] for bar in bars}

    async with asyncio.timeout(120):
        while last not in finals():  # noqa: ASYNC110 (a process)
            await asyncio.sleep(0.1)
    assert finals().items() <= calm.items()
    topics = {m["topic"].partition("/")[0] for m in told if m["type"] == "snapshot"}
    assert topics == {"bars", "events", "status"}
    assert "upsert" in {m["type"] for m in told}
    assert "reset" not in {m["type"] for m in told}


async def check_ports(parts: House) -> None:
    status, health = await parts.get("collect", "/health")
    assert (status, health["part"], health["bus"]) == (200, "collector-binance", True)
    assert health["feeds"]
    status, health = await parts.get("process", "/health")
    assert (status, health["part"]) == (200, "processor")
    for name in ("collect", "process", "serve"):
        status, page = await parts.get(name, "/metrics")
        assert status == 200
        assert "wadm_bus_connected 1.0" in page
        assert 'wadm_breaker_state{breaker="bus"} 0.0' in page
    assert (await parts.get("collect", "/footprint/BTCUSDT"))[0] == 404
    status, answer = await parts.get("serve", "/volume_profile/BTCUSDT", timeframe="5m")
    assert status in {200, 404}, answer


async def check_feeds(parts: House) -> None:
    """The server lists the collector's connections and the breakers of the others, as they tell
    them over the bus; a collector that is gone is said to be unreported."""
    async with asyncio.timeout(120):  # a quiet tape makes connections anew now and then
        while True:
            _, health = await parts.get("collect", "/health")
            status, found = await parts.get("serve", "/status")
            assert status == 200
            lines = {line["connection"]: line for line in found["feeds"]}
            assert set(lines) == {feed["connection"] for feed in health["feeds"]}
            if {line["state"] for line in lines.values()} == {"live"}:
                break
            await asyncio.sleep(0.2)
    assert {b["name"] for b in found["breakers"]} > {"store"}
    assert "binance" in found["rest"]


def check_metrics(server: MongoServer, name: str) -> None:
    """Every part noted what it used, a collector without a way into the database too."""
    with MongoClient(server.uri()) as client:
        found = set(client[name]["system_metrics"].distinct("instrument"))
    assert found > {"collector-binance", "processor"}
    assert any(part.startswith("server-") for part in found)


def check_database(server: MongoServer, name: str, played: list[Tape]) -> None:
    """Of the thousands of trade ids, records hold first and last of bars only."""
    keys = [trade.key for tape in played for trade in tape][100:-100:7]
    with MongoClient(server.uri()) as client:
        database = client[name]
        stored = {c: list(database[c].find()) for c in database.list_collection_names()}
    assert len(stored["footprints"]) >= MINUTES * len(NAMES)
    text = b"".join(
        bytes(document["body"])
        for documents in stored.values()
        for document in documents
        if "body" in document
    )
    found = sum(_packed(key) in text for key in keys)
    assert found < len(keys) / 10


def _packed(key: int) -> bytes:
    """A trade id as MessagePack has it."""
    return b"\xce" + key.to_bytes(4, "big") if key < 2**32 else b"\xcf" + key.to_bytes(8, "big")


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_killed_parts(
    shared: Path, tmp_path: Path, nats: NatsServer, server: MongoServer, calm: Hashes
) -> None:
    """Processor, server, broker and collector are killed with -9 in mid-play, one after another;
    the final bars are those of an undisturbed run, and the processor reads on without a gap."""
    async with (
        Simulator(two_markets(shared), speed=12.0) as simulator,
        house(tmp_path / "killed", nats, server, simulator.urls) as parts,
    ):
        for name in ("process", "serve", "collect"):
            await parts.start(name)
        await parts.until_applied(2_000)
        await parts.kill("process")
        await parts.start("process")
        await parts.until_applied(4_000)
        nats.kill()
        await asyncio.sleep(1.0)
        nats.start()
        await parts.until_applied(6_000)
        await parts.kill("serve")
        await parts.start("serve")
        await parts.kill("collect")
        await parts.start("collect")
        await parts.until_applied(9_000)
        await parts.kill("process")
        await parts.start("process")
        assert await settled(parts, calm) == calm
        _, health = await parts.get("process", "/health")
        for line in health["streams"]:
            assert line["gaps_lost"] == 0
            assert line["received"] == line["applied"] + line["duplicates"] + line["quarantined"]
        log = (parts.folder / "process.log").read_text()
        assert log.count('"gapless": true') == 2, log[-3000:]
