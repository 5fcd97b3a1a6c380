"""What each service notes about itself once a minute, and what parts tell each other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from journeys_support import journey
from nats_support import NatsServer
from nats_support import nats as nats

from backbone import metrics
from backbone.breaker import BreakerStatus
from backbone.bus.base import REPORTS
from backbone.bus.memory import MemoryBus
from backbone.live import FeedStatus
from backbone.metrics import KEPT_MS, Minutes, metrics_record
from backbone.parts import SILENT_MS, UNREPORTED, PartMinute, PartState, PartStates
from backbone.store.base import SYSTEM_METRICS, Query, Record
from backbone.store.memory import MemoryStore
from backbone.store.sqlite import SqliteStore
from backbone.telemetry import LoopStall
from orderflow.errors import BusError, StoreError
from simulator.tapes.synthetic import synthetic_tape
from wadm.nats_config import PROCESSOR, SERVER, collector_role
from wadm.reporting import keep_minutes, tell_states, to_bus, to_store

NOW_MS = 1_700_000_000_000
USED = {"memory_bytes", "cpu_ms", "loop_stall_ms", "tasks", "open_files", "period_ms"}


class Wall:
    """A wall clock that is set."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def feed(connection: str = "c-1", age_ms: int | None = 5) -> FeedStatus:
    return FeedStatus(connection, "v", "spot", "live", ["v:spot:A"], 1, 9, 7, 0, 0, {}, age_ms)


async def test_a_record_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Periods follow each other without a hole, each with what the process used in it and the
    part's own figures; a stopped part notes its last, shorter one."""
    monkeypatch.setattr(metrics, "EVERY_MS", 200)
    monkeypatch.setattr(metrics, "LEAST_MS", 20)
    store = MemoryStore()
    stall = LoopStall()
    minutes = Minutes(stall, {"one": lambda: {"queues": {"x": 3}}}, to_store(store))
    tasks = [asyncio.create_task(minutes.run()), asyncio.create_task(stall.run())]
    table = store.records[SYSTEM_METRICS]
    async with asyncio.timeout(60):
        while len(table) < 3:  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.02)
    known = len(table)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(table) == known + 1
    found = [table[key] for key in sorted(table)]
    for one, following in itertools.pairwise(found):
        assert following.start_ms == one.start_ms + one.body["period_ms"] == one.published_at_ms
    for record in found:
        assert record.body.keys() == USED | {"queues"}
        assert record.body["memory_bytes"] > 10**6
        assert record.expires_at_ms - record.published_at_ms == KEPT_MS == 30 * 86_400_000


async def test_nothing_is_lost_while_the_store_is_away() -> None:
    """What can't be written is written later, with the period it was of; at most so many wait."""
    told: list[PartMinute] = []
    away = True

    async def sink(minutes: Sequence[PartMinute]) -> None:
        if away:
            raise StoreError("away")
        told.extend(minutes)

    wall = Wall()
    minutes = Minutes(LoopStall(), {"one": dict}, sink, wall)
    for _ in range(metrics.MOST_WAITING + 5):
        wall.now_ms += 60_000
        await minutes.write()
    away = False
    wall.now_ms += 60_000
    await minutes.write()
    assert len(told) == metrics.MOST_WAITING
    assert [m.end_ms for m in told] == sorted({m.end_ms for m in told})
    assert told[-1].end_ms == wall.now_ms
    assert {m.body["period_ms"] for m in told} == {60_000}


async def test_expired_metrics_are_not_seen() -> None:
    """A record is gone for readers after 30 days, and swept."""
    store = MemoryStore()
    await store.open("live")
    record = metrics_record(PartMinute("one", NOW_MS, NOW_MS + 60_000, {"cpu_ms": 1}))
    await store.put([record])

    def query(now_ms: int) -> Query:
        return Query(SYSTEM_METRICS, "one", "1m", 0, NOW_MS * 2, now_ms)

    assert await store.query(query(NOW_MS + KEPT_MS)) == [record]
    assert await store.query(query(NOW_MS + 60_000 + KEPT_MS)) == []
    assert await store.sweep(NOW_MS + 60_000 + KEPT_MS) == 1


async def test_every_service_of_one_process(tmp_path: Path) -> None:
    """`wadm up` notes collectors, processor and server, with queues and breakers."""
    async with journey(tmp_path, [synthetic_tape(NOW_MS)], speed=1) as trip:
        await trip.until(
            lambda: {feed.venue for feed in trip.system.feeds()} == {"binance", "bybit"},
            "connections of both",
        )
    store = SqliteStore(tmp_path / "simulated/wadm.sqlite")
    await store.open("simulated")
    found: dict[str, dict[str, Any]] = {
        r.instrument: dict(r.body) for r in await store.scan(SYSTEM_METRICS, None, 100)
    }
    await store.close()
    assert found.keys() == {"collector-binance", "collector-bybit", "processor", "server"}
    assert all(body.keys() >= USED | {"queues"} for body in found.values())
    assert found["collector-binance"]["queues"].keys() == {"buffer"}
    assert found["collector-binance"]["feeds"]
    assert set(found["collector-binance"]["breakers"].values()) == {"closed"}
    assert found["processor"]["queues"].keys() == {"trades", "store", "chronicle"}
    assert found["processor"]["breakers"] == {"store": "closed"}
    assert found["server"]["queues"].keys() == {"connections", "requests"}


# Between processes


def test_silent_parts() -> None:
    """A part that fell silent is said to be unreported: its connections are listed with their age,
    of its breakers nothing is known."""
    wall = Wall()
    states = PartStates(MemoryBus(), "server", wall)
    breaker = BreakerStatus("b", "closed", 0, 0)
    rest = {"v": {"requests": 1}}
    states.take([PartState("two", NOW_MS, [feed("c-2", None)]), "else"])
    states.take([PartState("one", NOW_MS - 9, [feed()], [breaker], rest)])
    wall.now_ms += SILENT_MS - 9
    one, two = states.feeds()
    assert (one.state, one.last_frame_age_ms) == ("live", SILENT_MS + 5)
    assert (two.state, two.last_frame_age_ms) == ("live", None)
    assert (states.breakers(), states.rest()) == ([breaker], rest)
    wall.now_ms += 10
    assert [(f.connection, f.state) for f in states.feeds()] == [
        ("c-1", UNREPORTED),
        ("c-2", UNREPORTED),
    ]
    assert (states.breakers(), states.rest()) == ([], {})


async def test_over_the_bus(nats: NatsServer) -> None:
    """A collector's state reaches a server and its minutes the processor, each with the rights of
    its role; under another part's name nobody can report."""
    role = collector_role("binance")
    processor, collector = nats.bus(PROCESSOR), nats.bus(role, owner=False)
    server = nats.bus(SERVER, owner=False)
    kept: list[Record] = []
    states = PartStates(server, f"{SERVER}-1")
    tasks = [
        asyncio.create_task(keep_minutes(processor, PROCESSOR, kept.extend)),
        asyncio.create_task(states.run()),
    ]
    await processor.stream(REPORTS)
    state = PartState(role, metrics.wall_ms(), [feed()], [BreakerStatus("b", "open", 1, 1, 5)])
    tasks.append(asyncio.create_task(tell_states(collector, lambda: state)))
    minute = PartMinute(role, NOW_MS, NOW_MS + 60_000, {"cpu_ms": 5, "queues": {"buffer": 0}})
    async with asyncio.timeout(60):
        while not (kept and states.feeds()):
            if not kept:
                await to_bus(collector)([minute])
            await asyncio.sleep(0.05)
    assert kept[0] == metrics_record(minute)
    assert [f.connection for f in states.feeds()] == ["c-1"]
    assert [b.state for b in states.breakers()] == ["open"]
    with pytest.raises(BusError, match=r"(?i)permissions"):
        async with asyncio.timeout(60):
            await to_bus(collector)([PartMinute("processor", 1, 2, {})])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for bus in (processor, collector, server):
        await bus.close()
