"""The chronicler on a real store: loading, waiting, restarting, and a store that is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from closed_minutes import NAME, market, quality

from backbone.settings import read_settings
from backbone.store import STORES
from backbone.store.base import DISTRIBUTIONS, EVENTS, Query, Record, Store
from orderflow.errors import DomainError, StoreError
from orderflow.event import Event, events_from_body
from orderflow.footprint import FootprintBar
from processor import chronicler as room
from processor.chronicle import Chapter
from processor.chronicler import Chronicler
from processor.engine import Results
from processor.history import MinuteHistory
from processor.records import minute_records
from processor.stream import MinuteResult

BARS = market(130)
WALL_MS = 1_900_000_000_000


class Runner:
    """A chronicler with the part of the service around it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.history = MinuteHistory()
        self.pending: list[Record] = []
        self.chronicler = Chronicler(store, lambda name: self.history.minutes, self._later)

    def _later(self, records: list[Record]) -> None:
        self.pending += records

    async def close(self, bars: Sequence[FootprintBar]) -> None:
        """Each minute closes and is written, with whatever the chronicle has to say."""
        for bar in bars:
            result = MinuteResult(NAME, bar, quality(bar), [])
            self.history.put(bar, quality(bar))
            self.pending += minute_records(result, WALL_MS)
            self.chronicler.take(NAME, Results([result], [], []))
            await self.write()

    async def write(self) -> None:
        records, self.pending = self.pending, []
        await self.store.put(records)

    async def settle(self) -> None:
        async with asyncio.timeout(20):
            while not self.chronicler.settled:  # noqa: ASYNC110 (bounded)
                await asyncio.sleep(0.005)
        await self.write()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Runner]:
        ready = asyncio.Event()
        ready.set()
        task = asyncio.create_task(self.chronicler.run(ready))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def new_store(tmp_path: Path) -> AsyncIterator[Callable[[str], Store]]:
    opened: list[Store] = []

    def make(name: str) -> Store:
        settings = read_settings({}, data_dir=str(tmp_path / name))
        opened.append(STORES["sqlite"](settings, "live"))
        return opened[-1]

    yield make
    for store in opened:
        await store.close()


async def stored(store: Store) -> tuple[list[tuple[str, int]], list[int]]:
    """Ids of events with their number of outcomes, and bars per page of the first two hours."""
    events: list[Event] = []
    for record in await store.query(Query(EVENTS, NAME, "1m", 0, 2**50, 0)):
        events += events_from_body(record.body)
    pages: list[int] = []
    for hour in ("1m@00", "1m@01"):
        records = await store.query(Query(DISTRIBUTIONS, NAME, hour, 0, 2**50, 0))
        pages += [record.body["bars"] for record in records]
    return sorted((event.id, len(event.outcomes)) for event in events), pages


async def test_restarts_on_a_store(new_store: Callable[[str], Store]) -> None:
    """Stopped in the middle of an hour, twice, once with bars still waiting: as if never."""
    straight = new_store("straight")
    await straight.open("live")
    async with Runner(straight).running() as runner:
        await runner.close(BARS)
        await runner.settle()
    expected = await stored(straight)
    assert expected[1] == [60, 60]
    assert len(expected[0]) > 15
    other = new_store("other")
    await other.open("live")
    async with Runner(other).running() as runner:
        await runner.close(BARS[:50])
        await runner.settle()
    lost = Runner(other)
    for bar in BARS[:50]:
        lost.history.put(bar, quality(bar))
    await lost.close(BARS[50:64])
    assert not lost.chronicler.settled
    again = Runner(other)
    again.history = lost.history
    async with again.running() as runner:
        await runner.close(BARS[64:])
        await runner.settle()
    assert await stored(other) == expected


async def test_the_store_is_away(
    new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars wait while the store can't be read, and nothing is lost or doubled."""
    monkeypatch.setattr(room, "RETRY_S", 0.01)
    store = new_store("away")
    await store.open("live")
    answering = store.query
    away = True

    async def query(asked: Query) -> list[Record]:
        if away:
            raise StoreError("away")
        return await answering(asked)

    monkeypatch.setattr(store, "query", query)
    async with Runner(store).running() as runner:
        await runner.close(BARS[:70])
        assert not runner.chronicler.settled
        away = False
        await runner.settle()
    events, pages = await stored(store)
    assert pages == [60]
    assert len({id for id, _ in events}) == len(events) > 5


async def test_a_rule_that_fails(
    new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars a rule can't read cost their events; everything else goes on, and it is counted."""
    store = new_store("failing")
    await store.open("live")
    looking = Chapter._look

    def look(self: Chapter, bar: room.Closed, *rest: Any) -> list[str]:
        if bar.flow.start_ms == BARS[3].flow.start_ms:
            raise DomainError("a bar of another world")
        return looking(self, bar, *rest)

    monkeypatch.setattr(Chapter, "_look", look)
    async with Runner(store).running() as runner:
        await runner.close(BARS[:62])
        await runner.settle()
        assert runner.chronicler.failures == 1
    events, pages = await stored(store)
    assert pages == [60]
    assert events
