"""Partitions of instruments: the broker's number and ours, and a change of how many there are."""

from __future__ import annotations

import asyncio

import pytest
from nats_support import NatsServer
from nats_support import nats as nats

from backbone.bus import nats_topic
from backbone.bus.base import OLDEST, TRADES, Bus, Delivery, Subscription
from backbone.bus.nats_topic import Shape
from backbone.bus.partition import Partition, instrument_tokens, partition_of
from orderflow.errors import BusError, ConfigError
from orderflow.trade import TradeBatch
from wadm.nats_config import PROCESSOR, collector_role

ODD = [
    "1000PEPEUSDT",
    "BTCUSDT-26DEC26",
    "ETH-PERP",
    "龙虾USDT",
    "币安人生USDT",
    "Ünïcode",
    "A.B",
    "A*B>",
    "A B",
    "_",
    "x" * 60,
]
NAMES = [
    f"{venue}:{market}:{symbol}"
    for venue in ("binance", "bybit")
    for market in ("spot", "perp")
    for symbol in (*ODD, *(f"{chr(65 + k % 26)}{k * 7919 % 1_000}USDT" for k in range(60)))
]


def batch(name: str, key: int = 1) -> TradeBatch:
    return TradeBatch(name, [key], [1], [1], [1], [1])


async def taken(reader: Subscription, count: int) -> list[Delivery]:
    """Deliveries until they hold `count` messages."""
    found: list[Delivery] = []
    async with asyncio.timeout(60):
        while sum(len(delivery.messages) for delivery in found) < count:
            found += await reader.next()
    return found


@pytest.mark.parametrize("count", [7, 16])
async def test_the_broker_agrees(nats: NatsServer, count: int) -> None:
    """For hundreds of names, strange ones among them, our partition is the real broker's."""
    bus = nats.bus(shape=Shape(partitions=count))
    reader = await bus.subscribe(TRADES, "everything")
    await bus.publish(TRADES, [batch(name) for name in NAMES])
    found = await taken(reader, len(NAMES))
    js = await bus.connect()
    numbers = set()
    for delivery in found:
        message = await js.get_msg("TRADES", delivery.position)
        topic, said, number, *tokens = str(message.subject).split(".")
        assert (topic, said) == ("p-trades", str(count))
        for name in {m.instrument for m in delivery.messages}:  # type: ignore[attr-defined]
            assert int(number) == partition_of(name, count) == partition_of(tokens, count)
            assert tokens == instrument_tokens(name)
        numbers.add(int(number))
    assert numbers == set(range(count))
    await bus.close()


async def test_another_number_of_partitions(nats: NatsServer) -> None:
    """A new number is a new life of the topic: nobody reads on in the old one, and a reader with
    the old number is told."""
    collector = nats.bus(collector_role("binance"), owner=False)
    old = nats.bus(PROCESSOR, shape=Shape(partitions=2))
    reader = await old.subscribe(TRADES, "processor", partition=Partition(0, 2))
    mine, another = _one_of(Partition(0, 2)), _one_of(Partition(3, 4))
    await collector.publish(TRADES, [batch(mine)])
    (first,) = await taken(reader, 1)
    epoch = reader.epoch
    await old.close()
    new = nats.bus(PROCESSOR, shape=Shape(partitions=4))
    part = Partition(3, 4)
    again = await new.subscribe(TRADES, "processor", first.position, epoch, part)
    assert again.epoch != epoch
    assert not again.gapless
    await collector.publish(TRADES, [batch(another)])
    assert [m for d in await taken(again, 1) for m in d.messages] == [batch(another)]
    late = nats.bus(PROCESSOR, owner=False)
    with pytest.raises(BusError, match="WADM_PARTITIONS"):
        await late.subscribe(TRADES, "processor", OLDEST, partition=Partition(0, 2))
    for bus in (collector, new, late):
        await bus.close()


async def test_never_under_a_reader(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a processor reads the old partitions their number can't be changed: the error names
    who reads and what to do."""
    monkeypatch.setattr(nats_topic, "LEAVING_LOOKS", 2)
    old, new = nats.bus(shape=Shape(partitions=2)), nats.bus(shape=Shape(partitions=4))
    reader = await old.subscribe(TRADES, "processor", partition=Partition(0, 2))
    mine = _one_of(Partition(0, 2))
    await old.publish(TRADES, [batch(mine)])
    await taken(reader, 1)
    with pytest.raises(BusError, match=r"processor read it.*or set it to 2"):
        await new.subscribe(TRADES, "processor-2", partition=Partition(0, 4))
    await old.publish(TRADES, [batch(mine, 2)])
    assert [m for d in await taken(reader, 1) for m in d.messages] == [batch(mine, 2)]
    for bus in (old, new):
        await bus.close()


async def test_a_topic_made_anew_otherwise(nats: NatsServer) -> None:
    """A reader whose topic came back with another number of partitions stops with an error."""
    bus: Bus = nats.bus(shape=Shape(partitions=2))
    operator = nats.bus(shape=Shape(partitions=3))
    reader = await bus.subscribe(TRADES, "processor", partition=Partition(1, 2))
    js = await operator.connect()
    await js.delete_stream("TRADES")
    await operator.stream(TRADES, fresh=True)
    with pytest.raises(BusError, match="has 3 partitions"):
        await reader.next()
    for each in (bus, operator):
        await each.close()


def _one_of(part: Partition) -> str:
    names = (f"binance:perp:S{k}USDT" for k in range(1_000))
    return next(name for name in names if partition_of(name, part.count) == part.number)


def test_shapes_are_bounded() -> None:
    """A count that makes no sense names its setting."""
    for wrong in (0, -1, 5_000):
        with pytest.raises(ConfigError, match="WADM_PARTITIONS"):
            Shape(partitions=wrong)
    with pytest.raises(ConfigError, match="WADM_NATS_REPLICAS"):
        Shape(replicas=2)


def test_known_numbers() -> None:
    """Numbers that nats-server 2.15 gave."""
    assert partition_of("binance:perp:BTCUSDT", 4) == 0
    assert partition_of("bybit:spot:1000PEPEUSDT", 4) == 2
    assert partition_of(["bybit", "perp", "BTCUSDT-26DEC26"], 4) == 3
