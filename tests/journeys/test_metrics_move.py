"""Every declared metric moves: a house that is hurt in each way that one of them tells of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from journeys_support import Journey, journey
from nats_support import NatsServer
from nats_support import nats as nats
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from stream_support import MINUTE_MS, Market

from backbone.bus.base import UPDATES
from backbone.bus.memory import MemoryBus
from backbone.bus.partition import Partition
from backbone.leases.memory import MemoryLeases
from backbone.measures import (
    BUS_CONNECTED,
    MEASURES,
    PARTITIONS,
    PARTITIONS_FENCED,
    PARTITIONS_OWNED,
    PARTITIONS_TAKEN,
    REPLICA_RESYNCS,
)
from backbone.metrics import metrics_record
from backbone.parts import PartMinute
from backbone.settings import Settings
from backbone.store.memory import MemoryStore
from backbone.telemetry import LoopStall, Statuses
from backbone.updates import Update
from orderflow.errors import StoreError
from orderflow.trade import Disconnect, GapLost, TradeBatch
from processor import share
from processor.partitions import Partitions
from processor.replica import Replica
from processor.service import ProcessorService
from simulator.faults import FaultPlan, Share
from simulator.tapes.synthetic import default_markets, synthetic_tape
from wadm.apart import NoStreams
from wadm.compose import SIMULATED
from wadm.nats_config import PROCESSOR, SERVER
from wadm.reporting import bus_figures, partition_figures

START_MS = 1_795_000_020_000
WAIT_S = 240.0
BY_HAND = {
    "wadm_processor_gaps_lost",
    "wadm_processor_trades_held",
    "wadm_processor_trades_quarantined",
    "wadm_processor_minutes_unverified",
    "ingestion_errors",
    "ingestion_status",
}
"""What a venue does seldom; the same engine is given it at once."""
OURS = "io.modelcontextprotocol/"
TOOL = {
    "name": "list_symbols",
    "arguments": {},
    "_meta": {
        f"{OURS}protocolVersion": "2026-07-28",
        f"{OURS}clientInfo": {"name": "test", "version": "1"},
        f"{OURS}clientCapabilities": {},
    },
}
MODERN = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "list_symbols",
}
OWNING = {PARTITIONS, PARTITIONS_OWNED, PARTITIONS_TAKEN, PARTITIONS_FENCED}
APART = {BUS_CONNECTED, REPLICA_RESYNCS, *OWNING}


class Moved:
    """What was seen of every series."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, set[float]]] = {}

    def look(self, families: Iterable[Metric]) -> None:
        """One scrape."""
        for family in families:
            for sample in family.samples:
                series = f"{sample.name}{sorted(sample.labels.items())}"
                known = self.seen.setdefault(_measure(sample.name), {})
                values = known.setdefault(series, set())
                if family.type != "gauge":
                    values.add(0.0)  # a series that is not there yet has counted nothing
                values.add(sample.value)

    @property
    def names(self) -> set[str]:
        """Of metrics with a series that had more than one value."""
        return {name for name, known in self.seen.items() if max(map(len, known.values())) > 1}


def _measure(sample: str) -> str:
    if sample in MEASURES:
        return sample
    return sample.rpartition("_")[0]


async def until(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait for a condition, but not for ever."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 (any condition, bounded)
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {WAIT_S} s: {what()}")


@contextlib.asynccontextmanager
async def asking() -> AsyncIterator[httpx2.AsyncClient]:
    """A connection per request: one that a crowded machine left idle may be closed meanwhile."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=WAIT_S, limits=limits) as client:
        yield client


@contextlib.asynccontextmanager
async def scraped(url: str, moved: Moved) -> AsyncIterator[None]:
    """Somebody reads /metrics again and again."""

    async def scrape() -> None:
        async with asking() as client:
            while True:
                page = (await client.get(f"{url}/metrics")).text
                moved.look(text_string_to_metric_families(page))
                await asyncio.sleep(0.05)

    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)


async def ask(url: str) -> None:
    """Requests, a tool, and a reader of the stream with a place that is lost."""
    async with asking() as client:
        assert (await client.get(f"{url}/symbols")).status_code == 200
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": TOOL}
        answer = await client.post(f"{url}/mcp", json=call, headers=MODERN)
        assert answer.status_code == 200, answer.text
        lost = f"{url}/stream?symbols=BTCUSDT&cursor=ffffffff.1.ffffffff.1"
        async with client.stream("GET", lost) as told:
            lines = told.aiter_lines()
            async for line in lines:
                if line.startswith("event: upsert"):
                    break


async def hurt(trip: Journey, faults: FaultPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's REST is away, its clock wrong, the bus slow, the store full."""
    system = trip.system
    faults.refuse_rest(0, 40)
    faults.clock_offset_ms = 700
    gate = asyncio.Event()
    publish, put = system.bus.publish, system.store.put

    async def slow(topic: str, messages: Any) -> None:
        await gate.wait()
        await publish(topic, messages)

    async def full(records: Any, fence: Any = None) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(system.bus, "publish", slow)
    await until(lambda: any(feed.dropped for feed in system.feeds()), system.feeds)
    gate.set()
    monkeypatch.setattr(system.bus, "publish", publish)
    monkeypatch.setattr(system.store, "put", full)
    await until(lambda: system.processor.writer.failures > 1, lambda: "writes that fail")
    monkeypatch.setattr(system.store, "put", put)


def by_hand(moved: Moved) -> None:
    """Impossible prices, a hole that stays, minutes without proof."""
    market = Market(("AAAUSDT",))
    (name,) = market.names
    statuses = Statuses(market.view, list, LoopStall())

    def batch(key: int, ticks: int) -> TradeBatch:
        return TradeBatch(
            instrument=name, key=[key], event_ms=[market.now], price_ticks=[ticks], qty_lots=[1],
            side=[0], seq=[key], n_trades=[1], first_trade_id=[key], last_trade_id=[key],
        )  # fmt: skip

    market.trade(name, 5)
    moved.look(statuses.collect())
    market.engine.handle(batch(5, 1_000_000))
    moved.look(statuses.collect())
    market.engine.handle(batch(6, 10_000))
    market.engine.handle(batch(9, 10_000))
    moved.look(statuses.collect())
    market.engine.handle(Disconnect([name], "test", market.now, "closed"))
    moved.look(statuses.collect())
    market.engine.handle(GapLost(name, market.now, market.now, "expired", 7, 8))
    moved.look(statuses.collect())
    for _ in range(30):
        market.pass_ms(MINUTE_MS)
        moved.look(statuses.collect())


async def apart(nats: NatsServer, moved: Moved) -> None:
    """A server's copy whose bus goes and comes, and that is told to read the store again."""
    owner, bus = nats.bus(PROCESSOR), nats.bus(SERVER, owner=False)
    store = MemoryStore()
    await store.open(SIMULATED)
    replica = Replica(bus, store, SIMULATED, "server-1")

    def figures() -> dict[str, float]:
        return bus_figures(bus) | {REPLICA_RESYNCS: replica.resyncs}

    statuses = Statuses(replica, list, LoopStall(), bus.breakers, part=figures)
    moved.look(statuses.collect())
    await owner.publish(UPDATES, [Update("reset", "", 0, 0)])
    running = asyncio.create_task(replica.run())
    try:
        await until(lambda: replica.resyncs > 0, lambda: "told to read again")
        moved.look(statuses.collect())
        nats.kill()
        await until(lambda: not bus.connected, lambda: "the bus is away")
        moved.look(statuses.collect())
        nats.start()
        await until(lambda: bus.connected, lambda: "the bus is back")
        moved.look(statuses.collect())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.close()
        await owner.close()


async def owning(moved: Moved, count: int) -> None:
    """A processor alone in a house of so many partitions, one of which is taken from it in the
    store while it has something to write there."""
    store, bus = MemoryStore(), MemoryBus()
    await store.open(SIMULATED)

    def make(mine: share.Share) -> ProcessorService:
        return ProcessorService(Settings(), bus, store, SIMULATED, share=mine)

    leases = MemoryLeases(asyncio.get_running_loop().time)
    partitions = Partitions(make, store, leases, "a", count)

    def figures() -> dict[str, float]:
        return partition_figures(partitions)

    statuses = Statuses(NoStreams(lambda: True), list, LoopStall(), part=figures)
    moved.look(statuses.collect())
    running = asyncio.create_task(partitions.run())
    try:
        await until(lambda: len(partitions.owned) == count, lambda: partitions.owned)
        moved.look(statuses.collect())
        await store.take(share.scope_of(Partition(0, count)))
        partitions.owned[0].writer.later([metrics_record(PartMinute("a", 0, 1, {}))])
        await until(lambda: partitions.fenced > 0, lambda: "fenced")
        moved.look(statuses.collect())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.close()


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_every_metric_moves(
    tmp_path: Path, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a run with every kind of trouble no declared metric stays what it was, and nothing is told
    that is not declared."""
    moved, faults = Moved(), FaultPlan()
    faults.on_trades(None, "duplicate", Share(1, 0.02))
    faults.on_trades(None, "malformed", Share(2, 0.02))
    tape = synthetic_tape(START_MS, markets=default_markets(["BTCUSDT"]))
    wanted = set(MEASURES) - BY_HAND - APART
    async with (
        journey(
            tmp_path, [tape], speed=20.0, faults=faults, collector_buffer=100, clock_poll_s=0.5
        ) as trip,
        scraped(trip.base_url, moved),
    ):
        await trip.until(lambda: trip.system.queries.live.ready, "ready", WAIT_S)
        await ask(trip.base_url)
        await hurt(trip, faults, monkeypatch)
        await until(lambda: wanted <= moved.names, lambda: wanted - moved.names)
    by_hand(moved)
    await apart(nats, moved)
    for count in (2, 4):
        await owning(moved, count)
    still = set(MEASURES) - moved.names
    assert still == set(), {name: moved.seen.get(name) for name in still}
    assert set(moved.seen) <= set(MEASURES)
