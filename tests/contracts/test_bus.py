"""The bus contract, on every implementation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from nats_support import NatsCluster, NatsServer
from nats_support import nats as nats
from nats_support import nats_cluster as nats_cluster

from backbone.bus import BUSES
from backbone.bus.base import OLDEST, Bus, Delivery, Subscription
from backbone.bus.memory import MemoryBus
from backbone.bus.nats import NatsBus
from backbone.bus.nats_topic import Shape
from backbone.bus.partition import Partition, partition_of
from backbone.settings import read_settings
from orderflow.errors import BusError
from orderflow.mixed import MixedTrades
from orderflow.trade import (
    AnnounceRequest,
    Connected,
    Disconnect,
    GapLost,
    InstrumentChanged,
    KlineClosed,
    RepairDone,
    RepairRequest,
    TradeBatch,
    Watermark,
)
from wadm.nats_config import OPERATOR

CLUSTER = ["nats_cluster"] if os.environ.get("CLUSTER") else []
"""`make test-cluster`: every test waits for three brokers to find a leader."""


@pytest.fixture(params=[*sorted(BUSES), *CLUSTER])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    environ: dict[str, str] = {}
    if request.param != "memory":
        server: NatsServer | NatsCluster = request.getfixturevalue(request.param)
        environ = server.environ(OPERATOR)
    made = BUSES[request.param.partition("_")[0]](read_settings(environ), OPERATOR, owner=True)
    yield made
    await made.close()


async def taken(reader: Subscription, count: int) -> list[Delivery]:
    """Deliveries until they hold `count` messages, however many come at a time."""
    found: list[Delivery] = []
    async with asyncio.timeout(20):
        while sum(len(d.messages) for d in found) < count:
            found += await reader.next()
    return found


async def test_order_and_positions(bus: Bus) -> None:
    """Every subscriber gets every message in order, with increasing positions."""
    one, other = await bus.subscribe("t", "one"), await bus.subscribe("t", "other")
    for number in range(5):
        await bus.publish("t", [number, -number])
    for reader in (one, other):
        deliveries = await taken(reader, 10)
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


def batch(instrument: str, *keys: int) -> TradeBatch:
    count = len(keys)
    return TradeBatch(
        instrument, list(keys), [60_000] * count, [1] * count, [2] * count, [1] * count
    )


async def test_everything_travels(bus: Bus) -> None:
    """Every kind of message arrives as it was sent; an instrument's messages keep their order, and
    nothing overtakes a message of several instruments."""
    one, other = "binance:spot:AUSDT", "bybit:perp:BUSDT"
    sent = [
        InstrumentChanged("binance", "spot", "AUSDT", "A", "USDT", Decimal("0.01"), Decimal(1)),
        Connected([one], "c", 1),
        batch(one, 1, 2),
        batch(other, 2**127 - 3, 5),
        KlineClosed(one, 0, 1, 2, 1, 2, 8, Decimal("1.5")),
        batch(one, 3),
        Watermark([one, other], 60_001, "c"),
        batch(one, 4),
        KlineClosed(one, 0, 1, 2, 1, 2, 9, Decimal("1.5")),
        RepairDone(one, 7, complete=True),
        GapLost(one, 1, 2, "x"),
        Disconnect([one], "c", 5, "ended"),
    ]
    reader = await bus.subscribe("trades", "processor")
    await bus.publish("trades", sent)
    found = [m for d in await taken(reader, len(sent)) for m in d.messages]
    assert sorted(map(repr, found)) == sorted(map(repr, sent))
    mark = found.index(sent[6])
    assert {repr(m) for m in found[:mark]} == {repr(m) for m in sent[:6]}
    for name in (one, other):
        mine = [m for m in sent if getattr(m, "instrument", None) == name]
        assert [m for m in found if getattr(m, "instrument", None) == name] == mine
    repairs = await bus.subscribe("repairs", "collector-binance")
    asked = [RepairRequest(one, 1, 0, 5, "gap", 3, 4), AnnounceRequest("started")]
    await bus.publish("repairs", asked)
    assert [m for d in await taken(repairs, 2) for m in d.messages] == asked


NAMES = [f"binance:perp:{symbol}" for symbol in ("AUSDT", "BUSDT", "1000PEPEUSDT", "CUSDT-26DEC26")]


async def test_partitions(bus: Bus) -> None:
    """A reader of a partition gets its instruments' messages and whole those that are about
    several, in the topic's order and with the topic's positions; nothing twice, nothing lost."""
    count = 1 if isinstance(bus, NatsBus) else 3
    await _partitions(bus, count)


async def test_partitions_of_the_broker(nats: NatsServer) -> None:
    """The same where the broker deals them out."""
    bus = nats.bus(shape=Shape(partitions=3))
    await _partitions(bus, 3)
    await bus.close()


async def _partitions(bus: Bus, count: int) -> None:
    parts = [Partition(number, count) for number in range(count)]
    readers = [
        await bus.subscribe("trades", f"processor-{part.number}", partition=part) for part in parts
    ]
    everything = await bus.subscribe("trades", "processor")
    marks = [Watermark(NAMES, 1, "c"), Watermark(NAMES[:1], 2, "c"), AnnounceRequest("none")]
    sent: list[object] = []
    for number, mark in enumerate(marks):
        sent += [batch(name, number) for name in NAMES] + [mark]
    for message in sent:
        await bus.publish("trades", [message])
    whole = await taken(everything, len(sent))
    at = {repr(m): d.position for d in whole for m in d.messages}
    assert [m for d in whole for m in d.messages] == sent
    for part, reader in zip(parts, readers, strict=True):
        mine = [m for m in sent if not isinstance(m, TradeBatch) or _in(m, part)]
        found = await taken(reader, len(mine))
        assert [m for d in found for m in d.messages] == mine
        assert all(at[repr(m)] == d.position for d in found for m in d.messages)


def _in(message: TradeBatch, part: Partition) -> bool:
    return partition_of(message.instrument, part.count) == part.number


async def test_bursts_in_partitions() -> None:
    """In one process a burst of many instruments is dealt out, too."""
    bus = MemoryBus()
    readers = [await bus.subscribe("trades", "r", partition=Partition(k, 3)) for k in range(3)]
    names, column = NAMES, np.arange(len(NAMES))
    burst = MixedTrades(names, [0] * len(names), [0, 1, 2, 3, 4], *[column] * 8)
    await bus.publish("trades", [burst, "for all"])
    for number, reader in enumerate(readers):
        mine = [b for b in burst.batches() if _in(b, Partition(number, 3))]
        assert [list(d.messages) for d in await reader.next()] == [[*mine, "for all"]]


async def test_trades_may_arrive_joined(bus: Bus) -> None:
    """Trades of one instrument that are published together keep their order, in one batch or
    several; nothing is joined over another message or another scale."""
    one = "binance:spot:AUSDT"
    finer = msgspec.structs.replace(batch(one, 5), scale=1)
    sent = [batch(one, 1), batch(one, 2, 3), GapLost(one, 1, 2, "x"), batch(one, 4), finer]
    reader = await bus.subscribe("trades", "processor")
    await bus.publish("trades", sent)
    await bus.publish("trades", [AnnounceRequest("end")])
    found: list[object] = []
    async with asyncio.timeout(20):
        while AnnounceRequest("end") not in found:
            found += [m for d in await reader.next() for m in d.messages]
    seen = [(k, m.scale) for m in found if isinstance(m, TradeBatch) for k in m.key]
    assert seen == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 1)]
    gap = found.index(sent[2])
    assert sum(len(m) for m in found[:gap] if isinstance(m, TradeBatch)) == 3


async def test_acknowledged(nats: NatsServer) -> None:
    """What a name acknowledged is not delivered to it again, everything else is; a position read
    on from is gapless, and one of another life of the topic is not believed."""
    first = nats.bus()
    reader = await first.subscribe("t", "r")
    for number in range(10):
        await first.publish("t", [number])
    positions = [d.position for d in await taken(reader, 10)]
    await reader.ack(positions[3])
    await first.close()
    second = nats.bus()
    for options, expected, gapless in (
        ({}, list(range(4, 10)), True),
        ({"after": positions[6], "epoch": reader.epoch}, [7, 8, 9], True),
        ({"after": OLDEST}, list(range(10)), False),
        ({"after": positions[6], "epoch": "another"}, list(range(10)), False),
        ({"after": positions[9] + 5, "epoch": reader.epoch}, list(range(10)), False),
    ):
        again = await second.subscribe("t", "r", **options)
        found = [m for d in await taken(again, len(expected)) for m in d.messages]
        assert (found, again.gapless) == (expected, gapless), options
        await again.close()
    await second.close()


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
