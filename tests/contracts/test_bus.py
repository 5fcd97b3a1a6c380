"""The bus contract, on every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backbone.bus import BUSES
from backbone.bus.base import Bus
from backbone.bus.memory import MemoryBus
from orderflow.errors import BusError
from orderflow.trade import TradeBatch


@pytest.fixture(params=sorted(BUSES))
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    made = BUSES[request.param]()
    yield made
    await made.close()


async def test_order_and_positions(bus: Bus) -> None:
    """Every subscriber gets every message in order, with increasing positions."""
    one, other = await bus.subscribe("t", "one"), await bus.subscribe("t", "other")
    for number in range(5):
        await bus.publish("t", [number, -number])
    for reader in (one, other):
        deliveries = await reader.next()
        assert [m for d in deliveries for m in d.messages] == [
            m for number in range(5) for m in (number, -number)
        ]
        positions = [d.position for d in deliveries]
        assert positions == sorted(set(positions))
        await reader.ack(positions[-1])


async def test_topics_are_apart(bus: Bus) -> None:
    """A reader sees its own topic only; nothing published before it came; nothing empty."""
    await bus.publish("a", ["early"])
    reader = await bus.subscribe("a", "r")
    await bus.publish("b", ["other"])
    await bus.publish("a", [])
    await bus.publish("a", ["late"])
    assert [list(d.messages) for d in await reader.next()] == [["late"]]


async def test_waiting_reader(bus: Bus) -> None:
    """A reader waits for the next message."""
    reader = await bus.subscribe("t", "r")
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    await bus.publish("t", ["x"])
    assert (await asyncio.wait_for(waiting, 5))[0].messages == ["x"]


async def test_close(bus: Bus) -> None:
    """Closing wakes readers and publishers with an error."""
    reader = await bus.subscribe("t", "r")
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    await bus.close()
    with pytest.raises(BusError):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(BusError):
        await bus.publish("t", ["x"])
    with pytest.raises(BusError):
        await bus.subscribe("t", "late")


async def test_full_queue_waits() -> None:
    """A full reader makes publishers wait, trades counted one by one; nothing is dropped; a reader
    that leaves lets them go."""
    bus = MemoryBus(capacity=3)
    reader = await bus.subscribe("t", "r")
    await bus.publish("t", [TradeBatch("x", [1, 2, 3], [0] * 3, [1] * 3, [1] * 3, [1] * 3)])
    blocked = asyncio.create_task(bus.publish("t", ["next"]))
    await asyncio.sleep(0)
    assert not blocked.done()
    await reader.next()
    await asyncio.wait_for(blocked, 5)
    await bus.publish("t", ["a", "b"])
    blocked = asyncio.create_task(bus.publish("t", ["c"]))
    await asyncio.sleep(0)
    assert not blocked.done()
    await reader.close()
    await asyncio.wait_for(blocked, 5)
