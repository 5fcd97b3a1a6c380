"""The house of compose.yaml as processes, asked through its public port only.

Simulated Binance -> collector -> broker -> processor -> MongoDB -> server -> nginx -> client. The
first hours of the real day here; all of its 24 candles by `make whole-day` (WHOLE_DAY=1).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import pytest
from candle_support import HOURS, check_candles
from compose_support import ComposeHouse, house_in
from edge_support import edge
from mongo_support import MongoServer, mongo_server
from nats_support import NatsServer
from nats_support import nats as nats
from recorded import real_day

from simulator.columns import EVENT
from simulator.service import Simulator
from simulator.tape import Tape, Track

WHOLE = os.environ.get("WHOLE_DAY") == "1"
WANTED = HOURS if WHOLE else 1
SPEED = float(os.environ.get("WHOLE_DAY_SPEED", "240"))
START_MS = 1_704_067_200_000
HOUR_MS, TAIL_MS = 3_600_000, 120_000
WAIT_S = 3_000 if WHOLE else 400
NAME = "binance:spot:BTCUSDT"
ENDS = "2024-01-02T00:00:00Z" if WHOLE else "2024-01-01T01:00:00Z"
DAY = {"start": "2024-01-01T00:00:00Z", "end": ENDS}
pytestmark = [pytest.mark.slow, pytest.mark.unmeasured, pytest.mark.timeout(2 * WAIT_S)]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("mongo")) as started:
        yield started


@pytest.fixture(scope="module")
def candles(shared: Path) -> list[dict[str, Any]]:
    frame = pd.read_parquet(shared / "data/binance_vision_20240101/btcusdt_spot_1h_2024w01.parquet")
    rows: list[dict[str, Any]] = frame.head(WANTED).to_dict("records")
    return rows


def tape(shared: Path) -> Tape:
    """The day, or its first hour and five minutes."""
    whole = real_day(shared)
    if WHOLE:
        return whole
    (track,) = whole.tracks
    rows = track.given.matrix()
    kept = rows[:, rows[EVENT] < START_MS + WANTED * HOUR_MS + TAIL_MS]
    return Tape((Track(track.instrument, kept, is_aggregated=track.is_aggregated),), whole.label)


async def hours(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """The closed hours that the public port answers with."""
    asked = {"timeframe": "1h", "numbers": "string", **DAY}
    answer = await client.get(f"/footprint/{NAME}", params=asked)
    if answer.status_code != 200:
        return []
    bars: list[dict[str, Any]] = answer.json()["bars"]
    return [bar for bar in bars if bar["final"] and bar["state"] == "verified"]


async def exact(client: httpx2.AsyncClient, candles: list[dict[str, Any]], logs: Any) -> None:
    """Wait until every hour is proven, then compare each number."""
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(WAIT_S):
            while len(found) < WANTED:
                await asyncio.sleep(2)  # below the budget of a key
                found = await hours(client)
    except TimeoutError:
        pytest.fail(f"{len(found)} of {WANTED} hours\n{logs()}")
    check_candles(found, candles)


@contextlib.asynccontextmanager
async def public(parts: ComposeHouse, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a key, that knows nothing but the public port."""
    key = await parts.new_key()
    async with edge(folder / "edge", parts.ports["serve"]) as made:
        client = httpx2.AsyncClient(
            base_url=made.url, verify=made.tls(), headers={"X-API-Key": key}, timeout=60
        )
        async with client:
            yield client


async def test_real_day_through_the_public_port(
    shared: Path, tmp_path: Path, nats: NatsServer, server: MongoServer, candles: Any
) -> None:
    """Each hour equals Binance's candle to the last digit; again when the server was started anew
    and has nothing but the database; without a key there is nothing."""
    played = tape(shared)
    async with Simulator([played], speed=SPEED, start_after=1, hold=True) as simulator:
        parts = house_in(tmp_path / "house", nats, server, simulator.urls)
        parts.common |= {"row_sizes": "BTCUSDT=1", "backfill": "0", "derivatives": "off"}
        try:
            for name in ("process", "serve", "collect"):
                await parts.start(name)
            async with public(parts, tmp_path) as client:
                await exact(client, candles, parts.logs)
                refused = await client.get(f"/footprint/{NAME}", headers={"X-API-Key": ""})
                assert refused.status_code == 401
                assert await parts.stop("serve") == 0, parts.logs()
                away = await client.get("/symbols")
                assert away.status_code == 503
                await parts.start("serve")
                await exact(client, candles, parts.logs)
            applied = await parts.applied()
            assert applied == len(played)
        finally:
            for process in parts.processes.values():
                process.kill()
                await process.wait()
            await parts.client.aclose()
