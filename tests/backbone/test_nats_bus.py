"""What is the broker's own: rights of the roles, TLS, being away, being full, and forgetting."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats as client
import pytest
from nats.errors import Error as NatsError
from nats.js.api import KeyValueConfig
from nats_support import NatsServer
from nats_support import nats as nats

from backbone.bus import nats as nats_bus
from backbone.bus import nats_topic
from backbone.bus.base import OLDEST, REPAIRS, TRADES, UPDATES, Delivery, Subscription
from backbone.bus.nats import Link, NatsBus
from backbone.bus.nats_topic import KEPT_S, topic_config
from backbone.bus.wire import decode, encode
from backbone.updates import Update
from orderflow.errors import BusError, ConfigError
from orderflow.trade import RepairRequest, TradeBatch
from wadm.certificates import Authority
from wadm.nats_config import LEASES, PROCESSOR, SERVER, collector_role

ONE = "binance:perp:BTCUSDT"


def batch(*keys: int, instrument: str = ONE) -> TradeBatch:
    count = len(keys)
    return TradeBatch(instrument, list(keys), [1] * count, [1] * count, [1] * count, [1] * count)


async def taken(reader: Subscription, count: int, wait_s: float = 30) -> list[Delivery]:
    found: list[Delivery] = []
    async with asyncio.timeout(wait_s):
        while len(found) < count:
            found += await reader.next()
    return found


async def until(condition: Callable[[], Awaitable[bool]], wait_s: float = 20) -> None:
    async with asyncio.timeout(wait_s):
        while not await condition():  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)


async def stored(bus: NatsBus, topic: str) -> int:
    js = await bus.connect()
    return int((await js.stream_info(topic.upper())).state.messages)


# Rights


async def test_roles_do_their_work(nats: NatsServer) -> None:
    """Each role can do what it is for: collectors publish trades and read repairs, the processor
    makes the topics, reads trades and publishes updates, a server reads updates."""
    collector = nats.bus(collector_role("binance"), owner=False)
    processor, server = nats.bus(PROCESSOR), nats.bus(SERVER, owner=False)
    trades = await processor.subscribe(TRADES, PROCESSOR)
    for topic in (REPAIRS, UPDATES):
        await processor.stream(topic)
    repairs = await collector.subscribe(REPAIRS, collector_role("binance"))
    updates = await server.subscribe(UPDATES, f"{SERVER}-1")
    request = RepairRequest(ONE, 1, 0, 1, "x")
    update = Update("minute", ONE, 60_000, 60_001, body=b"\x00\xff")
    await collector.publish(TRADES, [batch(1, 2)])
    await processor.publish(REPAIRS, [request])
    await processor.publish(UPDATES, [update])
    for reader, message in ((trades, batch(1, 2)), (repairs, request), (updates, update)):
        (found,) = await taken(reader, 1)
        assert found.messages == [message]
        await reader.ack(found.position)
    for bus in (collector, processor, server):
        await bus.close()


@pytest.mark.parametrize(
    ("role", "work"),
    [
        (collector_role("binance"), lambda bus: bus.publish(TRADES, [_of("bybit")])),
        (collector_role("binance"), lambda bus: bus.publish(UPDATES, ["x"])),
        (collector_role("binance"), lambda bus: bus.subscribe(TRADES, "collector-binance")),
        (collector_role("binance"), lambda bus: bus.subscribe(UPDATES, "collector-binance")),
        (SERVER, lambda bus: bus.publish(TRADES, [batch(1)])),
        (SERVER, lambda bus: bus.subscribe(TRADES, "server-1")),
        (PROCESSOR, lambda bus: bus.publish(TRADES, [batch(1)])),
    ],
    ids=range(7),
)
async def test_rights_end_there(nats: NatsServer, role: str, work: Any, monkeypatch: Any) -> None:
    """Everything else is refused, and the refusal is told instead of waited out."""
    monkeypatch.setattr(nats_bus, "ACK_S", 0.2)
    monkeypatch.setattr(nats_bus, "LONGEST_RETRY_S", 0.2)
    operator = nats.bus()
    for topic in (TRADES, REPAIRS, UPDATES):
        await operator.stream(topic)
    bus = nats.bus(role, owner=False)
    with pytest.raises(BusError, match=r"(?i)permissions"):
        async with asyncio.timeout(20):
            await work(bus)
    for topic in (TRADES, REPAIRS, UPDATES):
        assert await stored(operator, topic) == 0
    await bus.close()
    await operator.close()


LEASE_CONFIG = KeyValueConfig(bucket=LEASES, ttl=60)


async def test_leases(nats: NatsServer) -> None:
    """A processor makes the bucket of leases and writes every key; a collector writes the keys of
    its own venue's collectors and reads and watches all; a server has no business there."""
    processor, collector = nats.bus(PROCESSOR), nats.bus(collector_role("binance"), owner=False)
    server = nats.bus(SERVER, owner=False)
    owner = await (await processor.connect()).create_key_value(LEASE_CONFIG)
    member = await (await collector.connect()).key_value(LEASES)
    revision = await owner.create("part.3", b"one")
    assert await owner.update("part.3", b"two", last=revision) > revision
    assert (await member.get("part.3")).value == b"two"
    await member.put("collector-binance.a", b"here")
    assert set(await member.keys()) == {"part.3", "collector-binance.a"}
    watcher = await owner.watchall()
    seen = {entry.key for entry in [await watcher.updates(timeout=30) for _ in range(2)] if entry}
    assert seen == {"part.3", "collector-binance.a"}
    await watcher.stop()
    await member.delete("collector-binance.a")
    member._js._timeout = 0.5  # refusals are silence
    for key in ("part.3", "collector-bybit.a"):
        with pytest.raises((NatsError, TimeoutError)):
            await member.put(key, b"mine")
    spy = (await server.connect())._nc.jetstream(timeout=0.5)
    with pytest.raises((NatsError, TimeoutError)):
        await spy.key_value(LEASES)
    assert (await owner.get("part.3")).value == b"two"
    for bus in (processor, collector, server):
        await bus.close()


def _of(venue: str) -> TradeBatch:
    return batch(1, instrument=f"{venue}:perp:BTCUSDT")


async def test_nobody_listens_in(nats: NatsServer) -> None:
    """A server that asks for raw trades on the wire itself gets none."""
    link = nats.link(SERVER)
    problems: list[str] = []

    async def noted(error: Exception) -> None:
        problems.append(str(error))

    spy = await client.connect(link.url, tls=link.context(), error_cb=noted)
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    await spy.subscribe("trades.>", cb=hear)
    await spy.subscribe(">", cb=hear)
    bus = nats.bus()
    await bus.publish(TRADES, [batch(1)])
    await spy.flush()

    async def told() -> bool:
        return len(problems) >= 2

    await until(told)
    assert heard == []
    await spy.close()
    await bus.close()


async def test_only_our_certificates(nats: NatsServer, tmp_path: Path) -> None:
    """Without a certificate, with one of another authority, or without TLS nobody gets in."""
    stranger = Authority.made()
    stranger.issue(PROCESSOR).write(tmp_path, PROCESSOR)
    foreign = ssl.create_default_context(cafile=str(nats.folder / "ca.pem"))
    foreign.load_cert_chain(tmp_path / "processor.pem", tmp_path / "processor.key")
    nothing = ssl.create_default_context(cafile=str(nats.folder / "ca.pem"))
    for options in ({"tls": foreign}, {"tls": nothing}, {}):
        with pytest.raises((NatsError, OSError, TimeoutError)):
            await client.connect(
                nats.link().url.replace("tls", "nats"),
                allow_reconnect=False,
                max_reconnect_attempts=0,
                connect_timeout=2,
                error_cb=_silent,
                **options,  # type: ignore[arg-type]
            )


async def _silent(error: Exception) -> None:
    return


def test_link_names_what_is_missing(tmp_path: Path) -> None:
    """Without files, or with files that are none, the setting is named."""
    with pytest.raises(ConfigError, match="WADM_NATS_CA_FILE"):
        Link("tls://127.0.0.1:1", "processor").context()
    path = tmp_path / "x"
    path.write_text("nothing")
    with pytest.raises(ConfigError, match="can't be used"):
        Link("tls://127.0.0.1:1", "processor", str(path), str(path), str(path)).context()


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


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\xc1", b"\x01{", b"\x05[]", b"\x00\x91\x80"])
def test_unreadable(data: bytes) -> None:
    """What nobody of us sent is an error of the bus."""
    with pytest.raises(BusError):
        decode(data)


def test_what_cannot_travel() -> None:
    """What has no form on the wire is refused where it is published."""
    with pytest.raises(BusError, match="can't travel"):
        encode([object()])


def test_links_are_values() -> None:
    """A link is plain data."""
    link = Link("tls://h:1", "processor")
    assert dataclasses.replace(link, role="server").role == "server"
