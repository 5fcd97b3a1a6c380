"""Partitions of one process: owned, handed over, taken anew, whatever runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from itertools import chain
from typing import Any

import pytest

from backbone.bus.memory import MemoryBus
from backbone.bus.partition import Partition
from backbone.leases.memory import MemoryLeases
from backbone.settings import Settings
from backbone.store.base import Record
from backbone.store.memory import MemoryStore
from processor.partitions import Partitions
from processor.service import ProcessorService
from processor.share import Share, scope_of

COUNT = 4
WAIT_S = 60.0
Work = Coroutine[Any, Any, None]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (members run by themselves)
            await asyncio.sleep(0.01)


class House:
    """Members that share a store, a bus and leases."""

    def __init__(self) -> None:
        self.store, self.bus = MemoryStore(), MemoryBus()
        self.leases = MemoryLeases(asyncio.get_running_loop().time)
        self.tasks: list[asyncio.Task[None]] = []
        self.swallowed = 0

    def member(self, name: str) -> Partitions:
        def make(share: Share) -> ProcessorService:
            return ProcessorService(Settings(), self.bus, self.store, "simulated", share=share)

        made = Partitions(make, self.store, self.leases, name, COUNT, self._beside)
        self.tasks.append(asyncio.create_task(made.run()))
        return made

    def _beside(self, service: ProcessorService) -> Sequence[Work]:
        return [self._deaf()]

    async def _deaf(self) -> None:
        """Loses its first cancellation, as a work does whose answer came at the same moment."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.swallowed += 1
        await asyncio.Event().wait()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.store.open("simulated")
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await made.bus.close()


def dealt(*members: Partitions) -> bool:
    shares = [list(member.owned) for member in members]
    return sorted(chain(*shares)) == list(range(COUNT)) and all(shares)


async def test_a_hand_over_survives_a_lost_cancellation(house: House) -> None:
    """What runs beside a partition may lose a cancellation: the partition is handed over all the
    same, and when a member ends, the other owns everything."""
    a = house.member("a")
    await until(lambda: dealt(a))
    b = house.member("b")
    await until(lambda: dealt(a, b))
    assert house.swallowed > 0
    house.tasks[0].cancel()
    await until(lambda: dealt(b))
    assert not a.owned


async def test_a_stopped_service_ends_without_a_cancellation(house: House) -> None:
    """The flag alone ends a service, with its last write done."""
    a = house.member("a")
    await until(lambda: dealt(a))
    service = a.owned[0]
    service.writer.later([Record("audit", "x", "1m", 0, 0, 0, 0, 2**50, {})])
    service.stop()
    await until(lambda: a.owned.get(0) not in (None, service))
    assert [record.instrument for record in house.store.records["audit"].values()] == ["x"]


async def test_a_fence_taken_by_another(house: House) -> None:
    """A member whose partition was taken in the store gives it up, and takes it anew while the
    lease still says that it is its own."""
    a = house.member("a")
    await until(lambda: dealt(a))
    service = a.owned[1]
    stolen = await house.store.take(scope_of(Partition(1, COUNT)))
    service.writer.later([Record("events", "x", "1m", 0, 0, 0, 0, 2**50, {})])
    await until(lambda: a.fenced == 1 and dealt(a))
    again = a.owned[1].share.fence
    assert again is not None
    assert again.epoch > stolen.epoch
    assert not house.store.records["events"]
