"""The N-th write fails, or kills: whatever N, the bars are those of an undisturbed run."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from backbone.bus.base import TRADES
from backbone.bus.memory import MemoryBus
from backbone.settings import Settings
from backbone.store.base import FOOTPRINTS, Fence, Query, Record
from backbone.store.memory import MemoryStore
from backbone.store.sqlite import SqliteStore
from orderflow.encoding import bar_from_body, bar_to_body
from orderflow.errors import StoreError
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import Connected, InstrumentChanged, StreamEvent, TradeBatch, Watermark
from processor import checkpoint
from processor.service import ProcessorService

START_MS = 1_735_689_600_000
NAMES = ("somewhere:spot:ABCUSDT", "somewhere:spot:XYZUSDT")
MINUTES = 4


class Killed(BaseException):
    """The process dies at this instruction."""


class Trap(MemoryStore):
    """Fails or dies at its N-th write."""

    def __init__(self, place: int, error: BaseException) -> None:
        super().__init__()
        self.place, self.error, self.writes = place, error, 0
        self.tripped = False

    def _step(self) -> None:
        self.writes += 1
        if self.writes == self.place and not self.tripped:
            self.tripped = True
            raise self.error

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        self._step()
        await super().put(records, fence)

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        self._step()
        await super().save_checkpoints(checkpoints, fence)

    async def sweep(self, now_ms: int) -> int:
        self._step()
        return await super().sweep(now_ms)


def announced(symbol: str) -> InstrumentChanged:
    return InstrumentChanged(
        "somewhere", "spot", symbol, "A", "USDT", Decimal("0.1"), Decimal("0.001"),
        last_price=Decimal(100),
    )  # fmt: skip


def events(minutes: int = MINUTES) -> list[list[StreamEvent]]:
    """Deliveries: two streams, a trade every two seconds, watermarks behind them."""
    found: list[list[StreamEvent]] = [
        [announced("ABCUSDT"), announced("XYZUSDT")],
        [Connected(list(NAMES), "c", START_MS), Watermark(list(NAMES), START_MS, "c")],
    ]
    for key in range(minutes * 30):
        at = START_MS + key * 2_000
        row = [at], [1_000 + key % 7], [1 + key % 5], [key % 2]
        batches = [TradeBatch(name, [key + 1], *row) for name in NAMES]  # type: ignore[arg-type]
        found.append([*batches, Watermark(list(NAMES), at, "c")])
    found.append([Watermark(list(NAMES), START_MS + minutes * MINUTE_MS + 3_000, "c")])
    return found


class Clock:
    """Monotonic milliseconds under the test's control."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        self.ms += 60
        return self.ms


async def run(store: Any, clock: Clock, minutes: int = MINUTES) -> None:
    """A life of the processor: everything is delivered again, as a bus does after a crash."""
    bus = MemoryBus()
    service = ProcessorService(Settings(), bus, store, "simulated", clock)
    service._subscription = await bus.subscribe(TRADES, "processor")
    await service.restore()
    for messages in events(minutes):
        await service._apply(messages)
        service.writer.position += 1
        await service.tick()
        await settled(service)
    for _ in range(40):
        clock.ms += 540  # the rest of the timers come round in fewer turns
        await service.tick()
        await settled(service)
    await service._finish()


async def settled(service: ProcessorService) -> None:
    writing = service.writer.writing
    if writing is not None:
        service.writer.writing = None
        await writing
    service.writer.writing = None


async def bars(store: Any) -> dict[tuple[str, str, int], Any]:
    found = {}
    for name in NAMES:
        for timeframe in ("1m",):
            query = Query(FOOTPRINTS, name, timeframe, 0, START_MS + MINUTES * MINUTE_MS, 0)
            for record in await store.query(query):
                body = record.body
                found[name, timeframe, record.start_ms] = (body["flow"], body["rows"])
    return found


@pytest.fixture(scope="module")
def calm() -> tuple[dict[tuple[str, str, int], Any], int]:
    """Bars and number of writes of an undisturbed run."""
    store = Trap(0, StoreError("never"))

    async def work() -> dict[tuple[str, str, int], Any]:
        await store.open("simulated")
        await run(store, Clock())
        return await bars(store)

    found = asyncio.run(work())
    assert len(found) == len(NAMES) * MINUTES
    return found, store.writes


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_every_write_fails_once(calm: tuple[dict[Any, Any], int]) -> None:
    """StoreError at the N-th write, for every N: it is written later, and nothing is lost."""
    expected, writes = calm
    for place in range(1, writes + 1):
        store = Trap(place, StoreError("disk full"))
        await store.open("simulated")
        await run(store, Clock())
        assert store.tripped
        assert await bars(store) == expected, place


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_death_at_every_write(calm: tuple[dict[Any, Any], int]) -> None:
    """The process dies at the N-th write, for every N, and another one goes on: the same bars."""
    expected, writes = calm
    for place in range(1, writes + 1):
        store, clock = Trap(place, Killed()), Clock()
        await store.open("simulated")
        with pytest.raises(Killed):
            await run(store, clock)
        await run(store, clock)
        assert await bars(store) == expected, place


async def test_revisions_go_on_where_a_lost_life_got_to() -> None:
    """Bars of a life that died before its checkpoint stand in the store with higher revisions and
    less in them: what the next life computes replaces them, one revision later."""
    calm = MemoryStore()
    await calm.open("simulated")
    await run(calm, Clock(), 6)
    store = MemoryStore()
    await store.open("simulated")
    expected, older = await calm.scan(FOOTPRINTS, None, 100), []
    for record in expected:
        bar, quality = bar_from_body(record.body)
        less = FootprintBar(bar.flow, bar.row_size, {})
        body = bar_to_body(less, structs.replace(quality, revision=3))
        older.append(structs.replace(record, revision=3, body=body))
    assert {record.timeframe for record in older} == {"1m", "5m"}
    await store.put(older)
    await run(store, Clock(), 6)
    found = await store.scan(FOOTPRINTS, None, 100)
    for before, after in zip(expected, found, strict=True):
        assert after.revision == 4
        assert bar_from_body(after.body)[0] == bar_from_body(before.body)[0]
    await run(store, Clock(), 6)
    assert [record.revision for record in await store.scan(FOOTPRINTS, None, 100)] == [4] * 14


async def test_an_unreadable_checkpoint_makes_way(tmp_path: Path) -> None:
    """Bits flipped in any region, or bytes of another format: the generation before is used, and
    the end is the same."""
    for region in range(0, 100, 10):
        store, clock = SqliteStore(tmp_path / f"{region}.sqlite"), Clock()
        await store.open("simulated")
        await run(store, clock)
        expected = await bars(store)
        await _spoil(store, region)
        await run(store, clock)
        assert await bars(store) == expected
        await store.close()


async def _spoil(store: SqliteStore, percent: int) -> None:
    """Damage the newest generation: a flipped bit, or a good checksum over another format."""
    blobs = await store.load_checkpoints()
    if percent == 0:
        await store.save_checkpoints(dict.fromkeys(blobs, b'{"state":{"format":99}}'))
        assert not checkpoint.readable(b'{"state":{"format":99}}')
        return
    connection = store._write
    assert connection is not None
    rows = connection.execute(
        "SELECT name, slot, data FROM checkpoints c WHERE generation = "
        "(SELECT max(generation) FROM checkpoints WHERE name = c.name)"
    ).fetchall()
    for name, slot, data in rows:
        place = len(data) * percent // 100
        spoilt = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        connection.execute(
            "UPDATE checkpoints SET data = ? WHERE name = ? AND slot = ?", (spoilt, name, slot)
        )


@pytest.mark.parametrize("fault", ["full", "io", "descriptors"])
async def test_a_disk_that_refuses(tmp_path: Path, fault: str) -> None:
    """Disk full, I/O errors and EMFILE stop checkpoints and turn readiness off; answers go on from
    memory and when there is room again nothing is missing."""
    calm_store = MemoryStore()
    await calm_store.open("simulated")
    await run(calm_store, Clock())
    store = SqliteStore(tmp_path / "wadm.sqlite")
    await store.open("simulated")
    clock = Clock()
    service = ProcessorService(Settings(), MemoryBus(), store, "simulated", clock)
    await service.restore()
    deliveries = events()
    for messages in deliveries[:40]:
        await service._apply(messages)
        await service.tick()
        await settled(service)
    assert service.view.ready
    with capture_logs(), _refusing(store, fault):
        for messages in deliveries[40:]:
            await service._apply(messages)
            await service.tick()
            await settled(service)
        for _ in range(800):
            await service.tick()
            await settled(service)
        assert service.writer.failures >= 3
        assert not service.view.ready
        assert service.breakers()[0].failures >= 3
        assert service.view.stream(NAMES[0]).applied == MINUTES * 30
    for _ in range(40):
        clock.ms += 540  # the rest of the timers come round in fewer turns
        await service.tick()
        await settled(service)
    assert service.view.ready
    assert service.breakers()[0].state == "closed"
    await service._finish()
    assert await bars(store) == await bars(calm_store)
    await store.close()


class _refusing:  # noqa: N801 (used like a function)
    """The file may not grow, by SQLite's own bound or by the operating system's; or there is no
    descriptor for the rollback journal that each transaction opens where WAL is off."""

    def __init__(self, store: SqliteStore, fault: str) -> None:
        self.store, self.fault = store, fault
        self.kind = resource.RLIMIT_NOFILE if fault == "descriptors" else resource.RLIMIT_FSIZE
        self.limits = resource.getrlimit(self.kind)

    def __enter__(self) -> None:
        assert self.store._write is not None
        if self.fault == "descriptors":
            assert self.store._read is not None
            self.store._read.close()
            self.store._write.execute("PRAGMA journal_mode=DELETE")
            resource.setrlimit(self.kind, (3, self.limits[1]))
            with pytest.raises(OSError, match="Too many open files"):
                self.store.path.open("rb")
            return
        if self.fault == "full":
            self.store._write.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = self.store._write.execute("PRAGMA page_count").fetchone()[0]
            self.store._write.execute(f"PRAGMA max_page_count = {pages}")
        else:
            resource.setrlimit(self.kind, (4_096, self.limits[1]))

    def __exit__(self, *_: object) -> None:
        assert self.store._write is not None
        if self.fault == "full":
            self.store._write.execute("PRAGMA max_page_count = 1000000")
        else:
            resource.setrlimit(self.kind, self.limits)
        if self.fault == "descriptors":
            self.store._connect_reader()


async def test_no_descriptor_left(tmp_path: Path) -> None:
    """EMFILE at the opening of the store is a StoreError that says what to look at."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    store = SqliteStore(tmp_path / "wadm.sqlite")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(StoreError):
            await store.open("simulated")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    await store.open("simulated")
    await store.close()
