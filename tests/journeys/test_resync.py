"""A server's copy that missed something answers what the processor answers, by content hash."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from nats_support import NatsServer
from nats_support import nats as nats
from recorded import two_markets

from backbone.bus.base import UPDATES
from backbone.bus.nats import NatsBus
from backbone.live import LiveView
from backbone.settings import read_settings
from backbone.store.base import Fence, Record
from backbone.store.memory import MemoryStore
from collectors.service import CollectorService
from orderflow.content import bar_hash
from orderflow.timeframe import Window
from processor.replica import Replica
from processor.service import ProcessorService
from simulator.service import Simulator
from wadm.compose import SIMULATED
from wadm.nats_config import PROCESSOR, SERVER, collector_role

NAMES = ("binance:perp:BTCUSDT", "binance:spot:BTCUSDT")
MINUTE_MS = 60_000
FIRST_MS = 1_723_161_240_000
ENDS_MS = FIRST_MS + 6 * MINUTE_MS
WAIT_S = 120.0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]
Hashes = dict[tuple[str, str, int], str]


class SlowStore(MemoryStore):
    """A store whose writes can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.free.set()

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """Waits while writes are held up."""
        await self.free.wait()
        await super().put(records, fence)


class Parts:
    """Collector and processor apart over the broker, and servers' copies."""

    def __init__(self, nats: NatsServer, urls: dict[str, str], folder: Path) -> None:
        self.nats = nats
        self.store = SlowStore()
        self.buses = [nats.bus(PROCESSOR), nats.bus(collector_role("binance"), owner=False)]
        settings = read_settings(
            {}, symbols="BTCUSDT", venues="binance", data_dir=str(folder), **urls
        )
        self.processor = ProcessorService(
            settings, self.buses[0], self.store, SIMULATED, apart=True
        )
        self.collector = CollectorService(settings, self.buses[1], "binance")
        self.tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    def replica(self, number: int) -> tuple[Replica, NatsBus]:
        bus = self.nats.bus(SERVER, owner=False)
        self.buses.append(bus)
        return Replica(bus, self.store, SIMULATED, f"{SERVER}-{number}"), bus

    def applied(self) -> int:
        view = self.processor.view
        return sum(view.stream(i.name).applied for i in view.instruments())

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():  # noqa: ASYNC110 (bounded)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"not within {WAIT_S} s: {what}")


@pytest.fixture
async def parts(shared: Path, tmp_path: Path, nats: NatsServer) -> AsyncIterator[Parts]:
    async with Simulator(two_markets(shared), speed=30.0) as simulator:
        made = Parts(nats, simulator.urls, tmp_path)
        await made.store.open(SIMULATED)
        made.start(made.processor.run())
        made.start(made.collector.run())
        try:
            yield made
        finally:
            for task in reversed(made.tasks):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            for bus in made.buses:
                await bus.close()


def hashes(view: LiveView) -> Hashes:
    """Of every minute of the tape and of its windows of five, as this side has them."""
    found: Hashes = {}
    known = {i.name for i in view.instruments()}
    for name in set(NAMES) & known:
        for length in (1, 5):
            for start in range(FIRST_MS, ENDS_MS, length * MINUTE_MS):
                part = view.footprint(name, Window(start, start + length * MINUTE_MS))
                if part is not None:
                    found[name, f"{length}m", start] = bar_hash([name], f"{length}m", part.bar)
    return found


async def same(parts: Parts, replica: Replica) -> None:
    """The whole tape was applied and closed, and the copy has the processor's content hashes."""
    engine = parts.processor.engine

    def closed() -> bool:
        ends = [stream.next_close_ms or 0 for stream in engine.streams.values()]
        return len(ends) == len(NAMES) and min(ends) >= ENDS_MS

    await parts.until(closed, "the tape is closed")
    settled: Hashes = {}

    def equal() -> bool:
        nonlocal settled
        settled = hashes(parts.processor.view)
        return hashes(replica) == settled

    with contextlib.suppress(pytest.fail.Exception):
        await parts.until(equal, "equal hashes")
    assert hashes(replica) == hashes(parts.processor.view)
    assert len(settled) >= len(NAMES) * 6


async def test_starts_before_the_store_has_everything(parts: Parts) -> None:
    """A server that starts while closed minutes still wait for a slow store has them all once they
    are written, also those whose updates the broker has forgotten."""
    await parts.until(lambda: parts.applied() > 1_500, "trades")
    parts.store.free.clear()
    await parts.until(lambda: parts.applied() > 6_000, "more trades")
    operator = parts.nats.bus()
    parts.buses.append(operator)
    js = await operator.connect()
    await js.purge_stream(UPDATES.upper())
    replica, _ = parts.replica(1)
    parts.start(replica.run())
    await parts.until(lambda: len(replica.instruments()) == len(NAMES), "the copy has streams")
    await asyncio.sleep(0.5)
    parts.store.free.set()
    await same(parts, replica)


async def test_missed_updates(parts: Parts) -> None:
    """A server that was cut off while updates expired notices the hole and reads the store."""
    replica, _ = parts.replica(1)
    running = parts.start(replica.run())
    await parts.until(lambda: parts.applied() > 1_500 and replica.cursor[1] > 0, "updates")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    seen = replica.cursor[1]
    await parts.until(lambda: parts.applied() > 5_000, "more trades")
    operator = parts.nats.bus()
    parts.buses.append(operator)
    js = await operator.connect()
    await js.purge_stream(UPDATES.upper())
    parts.start(replica.run())
    await parts.until(lambda: replica.resyncs > 0, "the hole is noticed")
    assert replica.cursor[1] > seen + 1
    await same(parts, replica)


async def test_restarted_server_and_broker(parts: Parts) -> None:
    """Server, broker, and the server again: what was told meanwhile is read or told once more."""
    first, bus = parts.replica(1)
    running = parts.start(first.run())
    await parts.until(lambda: parts.applied() > 1_500 and first.cursor[1] > 0, "updates")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bus.close()
    second, _ = parts.replica(2)
    parts.start(second.run())
    await parts.until(lambda: parts.applied() > 4_000, "more trades")
    parts.nats.kill()
    await parts.until(lambda: not parts.buses[0].connected, "the broker is missed")
    parts.nats.start()
    third, _ = parts.replica(3)
    parts.start(third.run())
    await same(parts, second)
    await same(parts, third)
