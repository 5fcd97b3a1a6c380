"""The database goes away in mid-play and comes back: answers go on, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeys_support import Journey, journey
from mongo_support import MongoServer, mongo_server, replica_set
from recorded import two_markets

from backbone.store import mongo
from backbone.store.base import FOOTPRINTS, VOLUME_PROFILE, Record
from processor import service

INSTRUMENTS = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT")
TAPE_ENDS_MS = 1_723_161_600_000
BOUND = 12
AWAY_S = float(os.environ.get("AWAY_S", "2"))
"""How long the outage lasts at least; `make database-away` takes the whole minute."""
QUIET_ROUNDS = 20
A_MINUTES_FIGURES = 4
"""What each service notes of itself once a minute waits here as well."""
QUICK = "&serverSelectionTimeoutMS=3000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("away")) as started:
        yield started


async def stored(trip: Journey) -> dict[str, dict[Any, Any]]:
    """Flow and rows of everything stored that saw trades: empty minutes go on after the tape."""
    store = trip.system.store
    found: dict[str, dict[Any, Any]] = {}
    for collection in (FOOTPRINTS, VOLUME_PROFILE):
        records: list[Record] = await store.scan(collection, None, 10_000)
        newest = {(r.instrument, r.timeframe, r.start_ms): r for r in records}
        found[collection] = {
            key: (r.body["flow"], r.body["rows"])
            for key, r in newest.items()
            if "flow" in r.body and r.start_ms < TAPE_ENDS_MS
        }
    return found


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_away_and_back(
    shared: Path, tmp_path: Path, server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three members are down for seconds, which on a tape played 60 times are minutes: live
    questions are answered all the time, the processor takes nothing more once the small bound is
    reached, and in the end the store holds what an undisturbed run stores."""
    async with journey(tmp_path, two_markets(shared)) as trip:
        await trip.until_played()
        calm = await stored(trip)
    monkeypatch.setattr(service, "PENDING_RECORDS", BOUND)
    monkeypatch.setattr(mongo, "WRITE_S", 8.0)
    async with replica_set(server) as proxy:
        settings = {"store": "mongo", "mongo_uri": proxy.uri + QUICK}
        async with journey(tmp_path / "away", two_markets(shared), speed=60.0, **settings) as trip:
            processor = trip.system.processor
            await trip.until(lambda: _applied(trip) > 2_000, "trades applied")
            for member in range(3):
                proxy.kill(member)
            await trip.until(lambda: processor.writer.failures >= 2, "writes fail")
            await trip.until(lambda: waiting(trip) > BOUND, "the bound")
            await asked_until_quiet(trip)
            held, applied = waiting(trip), _applied(trip)
            ends_s = time.monotonic() + AWAY_S
            while time.monotonic() < ends_s:
                await ask(trip)
            minutes = 1 + int(AWAY_S // 60)
            assert BOUND < waiting(trip) <= held + minutes * A_MINUTES_FIGURES
            assert _applied(trip) == applied
            for member in range(3):
                await proxy.revive(member)
            proxy.elect()
            await trip.until_played()
            assert processor.writer.failures >= 2
            found = await stored(trip)
            for collection, bars in calm.items():
                assert set(found[collection]) == set(bars), collection
                assert found[collection] == bars


async def ask(trip: Journey) -> None:
    """Live questions have live answers, whatever the database does."""
    for name in INSTRUMENTS:
        answer = await trip.get(f"/volume_profile/{name}", timeframe="1d")
        assert answer["total_volume"] > 0
    await asyncio.sleep(0.05)


async def asked_until_quiet(trip: Journey) -> None:
    """Ask until the processor has taken nothing more for a while, at most two minutes."""
    quiet, known = 0, _applied(trip)
    async with asyncio.timeout(120):
        while quiet < QUIET_ROUNDS:
            await ask(trip)
            quiet, known = (quiet + 1, known) if _applied(trip) == known else (0, _applied(trip))


def waiting(trip: Journey) -> int:
    """Records that wait for the store."""
    return trip.system.processor.unwritten


def _applied(trip: Journey) -> int:
    view = trip.system.processor.view
    return sum(view.stream(i.name).applied for i in view.instruments())
