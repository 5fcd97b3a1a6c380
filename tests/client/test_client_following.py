"""Following events: over failures and restarts nothing is lost and nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from client_support import client_of, filled, in_virtual_time
from client_system import QUICK
from edge_support import edge
from journeys_support import Journey, journey
from market_support import market_tape
from meddler import Meddler
from wadm_client.client import AsyncClient
from wadm_client.clock import Clock, moment_ms
from wadm_client.config import Config
from wadm_client.errors import ApiError, ConfigError
from wadm_client.following import FAR_EVERY, Place, follow
from wadm_client.types import EventReport, EventsReport

pytestmark = pytest.mark.timeout(1_200)
START = "2025-01-01T00:00:00Z"
ROWS = "BTCUSDT=0.05"
WAIT_S = 300.0


def event(number: int, minute: int, revision: int = 0) -> dict[str, Any]:
    """An event of a minute of the day."""
    at = f"2025-01-01T{minute // 60:02}:{minute % 60:02}:00.000Z"
    known = {"id": f"e{number}", "at": at, "revision": revision, "status": "valid"}
    return filled(EventReport, **known)


class Served:
    """A server of events, newest first, in pages of three."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.away = False
        self.asked: list[int] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            return httpx2.Response(503, headers={"Retry-After": "7"}, content=b"gateway")
        since_ms = int(request.url.params["since"])
        self.asked.append(since_ms)
        first = int(request.url.params.get("cursor", "0"))
        found = sorted(self.events, key=lambda e: (e["at"], e["id"]), reverse=True)
        found = [e for e in found if moment_ms(e["at"]) >= since_ms]
        more = str(first + 3) if len(found) > first + 3 else None
        known = {"events": found[first : first + 3], "next_cursor": more}
        return httpx2.Response(200, content=json.dumps(filled(EventsReport, **known)).encode())


def test_none_lost_none_twice() -> None:
    """Pages, failures, late and corrected events, and another process that goes on from a stored
    place: every event and every revision is told once, in the order of the rounds."""
    told: list[tuple[str, int]] = []
    served = Served()

    async def some(client: AsyncClient, place: Place, count: int) -> None:
        stream = follow(client, "BTCUSDT", place, interval_s=15)
        for _ in range(count):
            one = await anext(stream)
            told.append((one.id, one.revision))
        await stream.aclose()

    async def work(clock: Clock) -> None:
        served.events = [event(n, n) for n in range(8)]
        async with client_of(served, clock) as client:
            place = Place.read('{"since_ms": 1735689600000}')
            await some(client, place, 5)
            stored = place.text()
        async with client_of(served, clock) as client:
            place = Place.read(stored)
            stream = follow(client, "BTCUSDT", place, interval_s=15)
            for _ in range(3):
                one = await anext(stream)
                told.append((one.id, one.revision))
            waiting = asyncio.ensure_future(anext(stream))
            served.away = True
            await asyncio.sleep(600)
            assert not waiting.done(), "a server that is away ends nothing"
            served.events[3] = event(3, 3, revision=1)
            served.events.append(event(8, 300))
            served.away = False
            told.append(((one := await waiting).id, one.revision))
            told.append(((one := await anext(stream)).id, one.revision))
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(40)
            served.events.append(event(9, 20))
            told.append(((one := await waiting).id, one.revision))
            await stream.aclose()

    in_virtual_time(work)
    assert told[:8] == [(f"e{n}", 0) for n in range(8)]
    assert told[8:] == [("e3", 1), ("e8", 0), ("e9", 0)]
    near = [since for since in served.asked if since > min(served.asked)]
    assert near, "most rounds ask for the last hour only"
    assert len(served.asked) < 4 * FAR_EVERY


def test_what_ends_a_follower() -> None:
    """A refusal that waiting cannot heal, and a place that is none."""

    async def work(clock: Clock) -> None:
        async def refuse(request: httpx2.Request) -> httpx2.Response:
            problem = {"message": "no such symbol", "code": "DATA_NOT_FOUND"}
            return httpx2.Response(404, json=problem)

        async with client_of(refuse, clock) as client:
            with pytest.raises(ApiError, match="DATA_NOT_FOUND"):
                await anext(follow(client, "NOPEUSDT", START))

    in_virtual_time(work)
    with pytest.raises(ConfigError, match="begin with a moment"):
        Place.read("[]")


@contextlib.asynccontextmanager
async def life(folder: Path, between: Meddler, minutes: int) -> AsyncIterator[Journey]:
    """The server on the store of its earlier lives, up to so many minutes of the market."""
    async with journey(folder / "store", [market_tape(minutes)], row_sizes=ROWS) as trip:
        between.upstream = trip.system.port
        await trip.until_played()
        yield trip


async def test_over_a_restart(tmp_path: Path) -> None:
    """A follower lives through a restart of the real server and through one of its own; together
    they told each event of the server once."""
    told: list[tuple[str, int, str]] = []
    place = Place.read('{"since_ms": 1735689600000}')

    async def keep_on(config: Config, place: Place) -> None:
        async with AsyncClient(config, patience=QUICK) as client:
            async for one in follow(client, "BTCUSDT", place, interval_s=0.2, timeframe="1m"):
                told.append((one.id, one.revision, one.status))  # noqa: PERF401 (it never ends)

    async with Meddler().running() as between, edge(tmp_path / "edge", between.port) as front:
        config = Config(url=front.url, ca_file=front.ca, per_minute=6_000)
        async with life(tmp_path, between, 8) as trip:
            first = asyncio.create_task(keep_on(config, place))
            await trip.until(lambda: len(told) >= 3, "events are told", WAIT_S)
        async with life(tmp_path, between, 14) as trip:
            whole = await every_event(trip)
            await trip.until(lambda: len(told) >= len(whole) - 2, "it goes on", WAIT_S)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            second = asyncio.create_task(keep_on(config, Place.read(place.text())))
            await trip.until(lambda: set(told) >= set(whole), "everything is told", WAIT_S)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
    assert Counter(told).most_common(1)[0][1] == 1
    assert {one[0] for one in told} == {one[0] for one in whole}


async def every_event(trip: Journey) -> list[tuple[str, int, str]]:
    """What the server itself says there is."""
    told = await trip.get("/events", symbol="BTCUSDT", timeframe="1m", since=START, limit=200)
    assert told["next_cursor"] is None
    assert len(told["events"]) > 3
    return [(one["id"], one["revision"], one["status"]) for one in told["events"]]
