"""A processor that the network cuts off: somebody else goes on, and it writes nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path

import pytest
from nats_support import NatsServer
from nats_support import nats as nats
from wire_cut import Wire

from backbone.bus.base import TRADES
from backbone.bus.nats import NatsBus
from backbone.bus.nats_topic import Shape
from backbone.leases.nats import NatsLeases
from backbone.settings import read_settings
from backbone.store.base import FOOTPRINTS, Fence, Query, Record
from backbone.store.sqlite import SqliteStore
from orderflow.errors import FencedError
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import checkpoint
from processor.partitions import Partitions
from processor.service import ProcessorService
from processor.share import Share
from wadm.nats_config import OPERATOR, PROCESSOR

PARTITIONS = 4
SYMBOLS = [f"C{number}USDT" for number in range(12)]
NAMES = [f"binance:perp:{symbol}" for symbol in SYMBOLS]
START_MS = 1_735_689_600_000
SECOND_MS, MINUTE_MS = 1_000, 60_000
WAIT_S = 90.0


class HeldStore(SqliteStore):
    """A store on the far side of a network: writes that were sent can arrive much later."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = asyncio.Event()
        self.free.set()
        self.refused = 0

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        await self._arrive(super().put(records, fence))

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        await self._arrive(super().save_checkpoints(checkpoints, fence))

    async def _arrive(self, write: object) -> None:
        await self.free.wait()
        try:
            await write  # type: ignore[misc]
        except FencedError:
            self.refused += 1
            raise


@dataclasses.dataclass
class Member:
    """One processor process, as it is but for the process."""

    partitions: Partitions
    store: HeldStore
    task: asyncio.Task[None]


@contextlib.asynccontextmanager
async def member(
    nats: NatsServer, name: str, folder: Path, port: int | None = None
) -> AsyncIterator[Member]:
    """A processor that reaches the broker at its port, or at another one."""
    link = nats.link(PROCESSOR)
    if port is not None:
        link = dataclasses.replace(link, url=f"tls://127.0.0.1:{port}")
    bus = NatsBus(link, owner=True, shape=Shape(PARTITIONS))
    store = HeldStore(folder / "wadm.sqlite")
    await store.open("simulated")
    settings = read_settings({}, partitions=PARTITIONS)

    def make(share: Share) -> ProcessorService:
        return ProcessorService(settings, bus, store, "simulated", share=share, apart=True)

    partitions = Partitions(make, store, NatsLeases(bus, owner=True), name, PARTITIONS)
    task = asyncio.create_task(partitions.run())
    try:
        yield Member(partitions, store, task)
    finally:
        store.free.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()
        await store.close()


class Venue:
    """Publishes trades of every instrument, a few a second of exchange time."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.second = 0

    async def begin(self) -> None:
        listed = [
            InstrumentChanged(
                *("binance", "perp", symbol, symbol, "USDT", Decimal("0.1"), Decimal("0.001"))
            )
            for symbol in SYMBOLS
        ]
        await self.bus.publish(TRADES, [*listed, Connected(NAMES, "c", START_MS)])

    async def play(self, seconds: int) -> None:
        for _ in range(seconds):
            at = START_MS + self.second * SECOND_MS
            first = 1 + 3 * self.second
            batches = [
                TradeBatch(name, [first, first + 1, first + 2], [at] * 3, [1_000 + place] * 3,
                           [5, 6, 7], [0, 1, 1])
                for place, name in enumerate(NAMES)
            ]  # fmt: skip
            self.second += 1
            mark = Watermark(NAMES, at + SECOND_MS - 1, "c")
            await self.bus.publish(TRADES, [*batches, mark])

    @property
    def trades(self) -> int:
        return 3 * self.second


async def until(what: str, condition: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 (bounded)
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {WAIT_S} s: {what}")


def dealt(*members: Member) -> bool:
    """Each partition has one owner among these, and each of these one at least."""
    shares = [list(m.partitions.owned) for m in members]
    return sorted(chain(*shares)) == list(range(PARTITIONS)) and all(shares)


def applied(*members: Member) -> dict[str, int]:
    """Trades of each instrument in the ledger of its owner."""
    return {
        name: stream.ledger.counts.applied
        for one in members
        for service in one.partitions.services
        for name, stream in service.engine.streams.items()
    }


async def kept(store: SqliteStore) -> dict[str, int]:
    """Trades of each instrument in its stored checkpoint."""
    blobs = await store.load_checkpoints(wanted=lambda name: name in NAMES)
    return {
        name: checkpoint.decode(blob, 0)[0].ledger.counts.applied for name, blob in blobs.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_cut_off_owner_is_fenced(nats: NatsServer, tmp_path: Path) -> None:
    """An owner loses the broker while a write of it is under way: another owner takes over from
    what is durable, the late write arrives and is refused as a whole, and once the network is
    whole both share again, with every trade counted once."""
    bus = nats.bus(OPERATOR, owner=True, shape=Shape(PARTITIONS))
    venue = Venue(bus)
    async with (
        Wire(nats.port).running() as wire,
        member(nats, "a", tmp_path, wire.port) as a,
        member(nats, "b", tmp_path) as b,
    ):
        await until("two share", lambda: dealt(a, b))
        await venue.begin()
        await venue.play(70)
        await until("all applied", lambda: applied(a, b) == dict.fromkeys(NAMES, venue.trades))
        mine = set(a.partitions.owned)
        a.store.free.clear()
        await venue.play(60)
        await until("all applied", lambda: applied(a, b) == dict.fromkeys(NAMES, venue.trades))
        wire.cut()
        await until("the other takes over", lambda: dealt(b))
        await venue.play(20)
        expected = dict.fromkeys(NAMES, venue.trades)
        await until("nothing is missing there", lambda: applied(b) == expected)
        async with asyncio.timeout(WAIT_S):
            while await kept(b.store) != expected:  # noqa: ASYNC110 (a store)
                await asyncio.sleep(0.1)
        a.store.free.set()
        await until("late writes are refused", lambda: a.store.refused >= len(mine))
        assert await kept(b.store) == expected
        wire.heal()
        await until("two share again", lambda: dealt(a, b))
        await venue.play(40)
        expected = dict.fromkeys(NAMES, venue.trades)
        await until("all applied once", lambda: applied(a, b) == expected)
    store = SqliteStore(tmp_path / "wadm.sqlite")
    await store.open("simulated")
    assert await kept(store) == expected
    for name in NAMES:
        query = Query(FOOTPRINTS, name, "1m", START_MS, START_MS + 3 * MINUTE_MS, 0)
        bars = await store.query(query)
        assert [bar.start_ms for bar in bars] == [START_MS + n * MINUTE_MS for n in range(3)], name
    await store.close()
    await bus.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_an_owner_without_a_store_waits(nats: NatsServer, tmp_path: Path) -> None:
    """An owner that loses only the store keeps its partitions: what it computes waits, answers go
    on from memory, nobody else takes anything, and everything is written when the store is back."""
    bus = nats.bus(OPERATOR, owner=True, shape=Shape(PARTITIONS))
    venue = Venue(bus)
    async with member(nats, "a", tmp_path) as a, member(nats, "b", tmp_path) as b:
        await until("two share", lambda: dealt(a, b))
        await venue.begin()
        await venue.play(10)
        await until("all applied", lambda: applied(a, b) == dict.fromkeys(NAMES, venue.trades))
        shares = set(a.partitions.owned), set(b.partitions.owned)
        a.store.free.clear()
        await venue.play(130)
        expected = dict.fromkeys(NAMES, venue.trades)
        await until("all applied", lambda: applied(a, b) == expected)
        assert (set(a.partitions.owned), set(b.partitions.owned)) == shares
        a.store.free.set()
        services = [*a.partitions.services, *b.partitions.services]
        await until("all written", lambda: all(service.written for service in services))
        assert (a.store.refused, b.store.refused) == (0, 0)
    store = SqliteStore(tmp_path / "wadm.sqlite")
    await store.open("simulated")
    assert await kept(store) == expected
    await store.close()
    await bus.close()
