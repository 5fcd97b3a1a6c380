"""The bus while its broker is away, full or made anew, and what it forgets."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from nats_support import NatsServer, batch, stored, taken, until
from nats_support import nats as nats

from backbone.bus import nats_topic
from backbone.bus.base import OLDEST, TRADES, UPDATES
from backbone.bus.nats_topic import KEPT_S, topic_config
from orderflow.errors import BusError
from wadm.nats_config import PROCESSOR, collector_role

# Away, full, lost


async def test_broker_is_killed(nats: NatsServer) -> None:
    """The broker is killed twice under load and started again: publishers wait, the reader goes
    on, and every message arrives once and in order."""
    bus, other = nats.bus(), nats.bus(collector_role("binance"), owner=False)
    reader = await bus.subscribe(TRADES, PROCESSOR)

    enough = asyncio.Event()

    async def send() -> int:
        number = 0
        while not enough.is_set():
            await other.publish(TRADES, [batch(number)])
            number += 1
        return number

    sending = asyncio.create_task(send())
    found = await taken(reader, 50)
    for _ in range(2):
        nats.kill()
        await until(lambda: _is(not bus.connected))
        assert not sending.done()
        nats.start()
        found += await taken(reader, 80)
    enough.set()
    count = await asyncio.wait_for(sending, 30)
    if len(found) < count:
        found += await taken(reader, count - len(found))
    keys = [key for delivery in found for message in delivery.messages for key in message.key]  # type: ignore[attr-defined]
    assert keys == list(range(count))
    for each in (bus, other):
        await each.close()


async def _is(value: object) -> bool:
    return bool(value)


async def test_away_from_the_start(nats: NatsServer) -> None:
    """A process may start before its broker: it waits, and closing ends the wait."""
    nats.kill()
    bus = nats.bus()
    publishing = asyncio.create_task(bus.publish("t", ["x"]))
    reading = asyncio.create_task(nats.bus().subscribe("t", "r"))
    await asyncio.sleep(0.2)
    assert not bus.connected
    assert not publishing.done()
    reading.cancel()
    nats.start()
    await asyncio.wait_for(publishing, 20)
    await bus.close()
    nats.kill()
    never = nats.bus()
    publishing = asyncio.create_task(never.publish("t", ["x"]))
    await asyncio.sleep(0.2)
    await never.close()
    with pytest.raises(BusError):
        await asyncio.wait_for(publishing, 20)


async def test_a_broker_that_says_nothing(nats: NatsServer) -> None:
    """Whoever accepts and stays silent costs one descriptor, however often it is tried again; the
    last one is closed with the bus."""
    opened, left = 0, asyncio.Semaphore(0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while await reader.read(1_000):
            pass
        left.release()
        writer.close()

    bus = nats.bus(PROCESSOR)
    await bus.connect()
    nats.kill()
    server = await asyncio.start_server(silent, "127.0.0.1", nats.port)
    async with asyncio.timeout(120):
        for _ in range(2):
            await left.acquire()
    await bus.close()
    async with asyncio.timeout(120):
        for _ in range(opened - 2):
            await left.acquire()
    server.close()


async def test_full_topic_makes_publishers_wait(nats: NatsServer, monkeypatch: Any) -> None:
    """A full topic drops nothing: the publisher waits until something has expired."""
    monkeypatch.setitem(nats_topic.MOST_BYTES, TRADES, 200_000)
    monkeypatch.setitem(nats_topic.KEPT_S, TRADES, 3.0)
    monkeypatch.setattr(nats_topic, "DUPLICATES_S", 3.0)
    bus = nats.bus()
    reader = await bus.subscribe(TRADES, PROCESSOR)
    big = list(range(5_000))
    sending = [asyncio.create_task(bus.publish(TRADES, [batch(*big)])) for _ in range(8)]
    done, waiting = await asyncio.wait(sending, timeout=1.5)
    assert done
    assert waiting
    assert len(await taken(reader, 8)) == 8
    await asyncio.gather(*sending)
    await bus.close()


async def test_raw_trades_are_forgotten(nats: NatsServer, monkeypatch: Any) -> None:
    """The trade topic keeps nothing longer than ten minutes; what expired is gone from the disk
    too, and a reader that comes back later learns that it missed something."""
    assert KEPT_S[TRADES] <= 600
    assert topic_config(TRADES).max_age == KEPT_S[TRADES]
    monkeypatch.setitem(nats_topic.KEPT_S, TRADES, 1.0)
    monkeypatch.setattr(nats_topic, "DUPLICATES_S", 1.0)
    bus = nats.bus()
    reader = await bus.subscribe(TRADES, PROCESSOR)
    await bus.publish(TRADES, [batch(4_242_424_242)])
    (first,) = await taken(reader, 1)
    await bus.publish(TRADES, [batch(4_242_424_243)])
    assert _on_disk(nats, "price_ticks")

    async def gone() -> bool:
        return await stored(bus, TRADES) == 0 and not _on_disk(nats, "price_ticks")

    await until(gone)
    await reader.close()
    again = await bus.subscribe(TRADES, PROCESSOR, first.position, reader.epoch)
    assert not again.gapless
    await bus.close()


def _on_disk(nats: NatsServer, text: str) -> bool:
    """Whether the broker's files hold this text."""
    for folder, _, names in os.walk(nats.folder / "jetstream"):
        for name in names:
            try:
                if text.encode() in (Path(folder) / name).read_bytes():
                    return True
            except FileNotFoundError:
                continue
    return False


async def test_lost_cursor(nats: NatsServer) -> None:
    """A cursor that somebody deleted is made again where it was."""
    bus, operator = nats.bus(), nats.bus()
    reader = await bus.subscribe(TRADES, PROCESSOR)
    await bus.publish(TRADES, [batch(1)])
    assert len(await taken(reader, 1)) == 1
    js = await operator.connect()
    waiting = asyncio.create_task(taken(reader, 2))
    await asyncio.sleep(0.1)
    await js.delete_consumer("TRADES", PROCESSOR)
    await bus.publish(TRADES, [batch(2)])
    await bus.publish(TRADES, [batch(3)])
    found = await asyncio.wait_for(waiting, 20)
    assert [m.key for d in found for m in d.messages] == [[2], [3]]  # type: ignore[attr-defined]
    for each in (bus, operator):
        await each.close()


async def test_topic_made_anew(nats: NatsServer) -> None:
    """When the broker has lost its data the reader goes on in the topic's new life, and says so."""
    bus, operator = nats.bus(), nats.bus()
    reader = await bus.subscribe(TRADES, PROCESSOR)
    before = reader.epoch
    await bus.publish(TRADES, [batch(1)])
    assert len(await taken(reader, 1)) == 1
    js = await operator.connect()
    await js.delete_stream("TRADES")
    await bus.publish(TRADES, [batch(2)])
    found = await taken(reader, 1)
    assert [m.key for d in found for m in d.messages] == [[2]]  # type: ignore[attr-defined]
    assert reader.epoch != before
    assert not reader.gapless
    for each in (bus, operator):
        await each.close()


async def test_oldest(nats: NatsServer) -> None:
    """A new server reads all the updates there still are."""
    bus = nats.bus()
    for number in range(3):
        await bus.publish(UPDATES, [str(number)])
    reader = await bus.subscribe(UPDATES, "server-1", OLDEST)
    assert [m for d in await taken(reader, 3) for m in d.messages] == ["0", "1", "2"]
    await bus.close()
