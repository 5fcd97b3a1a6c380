"""What a role may do on the broker, who is let in, and what a link needs for that."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from pathlib import Path
from typing import Any

import nats as client
import pytest
from nats.errors import Error as NatsError
from nats.js.api import KeyValueConfig
from nats_support import ONE, NatsServer, batch, stored, taken, until
from nats_support import nats as nats

from backbone.bus import nats as nats_bus
from backbone.bus.base import REPAIRS, TRADES, UPDATES
from backbone.bus.nats import Link
from backbone.updates import Update
from orderflow.errors import BusError, ConfigError
from orderflow.trade import RepairRequest, TradeBatch
from wadm.certificates import Authority
from wadm.nats_config import LEASES, PROCESSOR, SERVER, collector_role


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


def test_links_are_values() -> None:
    """A link is plain data."""
    link = Link("tls://h:1", "processor")
    assert dataclasses.replace(link, role="server").role == "server"
