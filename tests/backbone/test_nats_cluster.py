"""Three brokers: whoever leads a topic may die, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest
from nats_support import NatsCluster, NatsServer
from nats_support import nats_cluster as nats_cluster

from backbone.bus.base import OLDEST, TRADES, UPDATES, Subscription
from backbone.bus.nats import NatsBus
from backbone.bus.nats_topic import Shape
from backbone.bus.partition import Partition
from orderflow.errors import ConfigError
from orderflow.trade import TradeBatch, Watermark
from wadm.nats_config import PROCESSOR, collector_role
from wadm.secrets import make_secrets

NAMES = [f"binance:perp:S{number}USDT" for number in range(6)]
WAIT_S = 120.0


def batch(name: str, key: int) -> TradeBatch:
    return TradeBatch(name, [key], [1], [1], [1], [1])


class Load:
    """One process publishes without end, another reads two partitions."""

    def __init__(self, publisher: NatsBus, readers: list[Subscription]) -> None:
        self.publisher = publisher
        self.readers = readers
        self.found: list[list[object]] = [[] for _ in readers]
        self.trades = 0
        self.last_s = time.monotonic()
        self.longest_s = 0.0
        self.enough = asyncio.Event()

    async def read(self, number: int) -> None:
        """Take everything, and measure the longest silence."""
        while True:
            for delivery in await self.readers[number].next():
                self.found[number] += delivery.messages
                self.trades += sum(isinstance(m, TradeBatch) for m in delivery.messages)
            now_s = time.monotonic()
            self.longest_s, self.last_s = max(self.longest_s, now_s - self.last_s), now_s

    async def send(self) -> int:
        """A trade of each instrument and a watermark behind them; how often."""
        number = 0
        while not self.enough.is_set():
            trades = [batch(name, number) for name in NAMES]
            await self.publisher.publish(TRADES, [*trades, Watermark(NAMES, number, "c")])
            number += 1
        return number

    async def until(self, trades: int) -> None:
        """So many were read."""
        async with asyncio.timeout(WAIT_S):
            while self.trades < trades:  # noqa: ASYNC110 (another task)
                await asyncio.sleep(0.05)


def judge(messages: list[object], sent: int) -> int:
    """Every trade once and in order, no watermark before a trade it covers; how many names."""
    keys: dict[str, list[int]] = {}
    for message in messages:
        if isinstance(message, TradeBatch):
            keys.setdefault(message.instrument, []).extend(message.key)
        elif isinstance(message, Watermark):
            assert all(found[-1] == message.event_ms for found in keys.values())
    assert all(found == list(range(sent)) for found in keys.values())
    return len(keys)


async def test_the_leader_is_killed(nats_cluster: NatsCluster) -> None:
    """kill -9 of the leader under load: what was published arrives once and in order, and a
    watermark never before a trade that was published before it; the gap is printed."""
    shape = Shape(partitions=2, replicas=3)
    bus = nats_cluster.bus(PROCESSOR, shape=shape)
    other = nats_cluster.bus(collector_role("binance"), owner=False, shape=shape)
    parts = [Partition(number, 2) for number in range(2)]
    async with asyncio.timeout(WAIT_S):
        readers: list[Subscription] = [
            await bus.subscribe(TRADES, f"processor-{part.number}", OLDEST, partition=part)
            for part in parts
        ]
    load = Load(other, readers)
    reading = [asyncio.create_task(load.read(number)) for number in range(2)]
    sending = asyncio.create_task(load.send())
    await load.until(300)
    killed = await nats_cluster.leader(bus, TRADES)
    killed.kill()
    load.longest_s = 0.0
    await load.until(load.trades + 600)
    killed.start()
    load.enough.set()
    sent = await asyncio.wait_for(sending, WAIT_S)
    await load.until(sent * len(NAMES))
    print(f"leader killed: {sent * len(NAMES)} packets, longest gap {load.longest_s:.2f} s")
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert sum(judge(found, sent) for found in load.found) == len(NAMES)
    for each in (bus, other):
        await each.close()


WORD = (
    b'CONNECT {"verbose":false,"pedantic":false,"tls_required":true,"name":"PROBE",'
    b'"cluster":"wadm","headers":true,"lnoc":true}\r\n'
    b'INFO {"server_id":"PROBE","server_name":"probe","host":"127.0.0.1","port":1,'
    b'"auth_required":false,"tls_required":true,"max_payload":1024,"cluster":"wadm",'
    b'"nonce":"","headers":true,"proto":1}\r\nPING\r\n'
)


async def test_everything_is_kept_by_all(nats_cluster: NatsCluster) -> None:
    """With three replicas topics on disk and topics in memory are kept by every broker, any one of
    which may be asked; a role's certificate is none for the routes between them."""
    bus = nats_cluster.bus()
    async with asyncio.timeout(WAIT_S):
        for topic in (TRADES, UPDATES):
            info = await bus.stream(topic, fresh=True)
            assert info is not None
            assert info.config.num_replicas == 3
            assert len(info.cluster.replicas) == 2  # type: ignore[union-attr,arg-type]
        reader = await bus.subscribe(UPDATES, "server-1")
        await bus.publish(UPDATES, ["x"])
        assert [m for d in await reader.next() for m in d.messages] == ["x"]
    await bus.close()
    server = nats_cluster.servers["nats1"]
    assert await asyncio.to_thread(joins, server, "nats2")
    assert not await asyncio.to_thread(joins, server, PROCESSOR)


def joins(server: NatsServer, name: str) -> bool:
    """Whether a broker takes this certificate on the routes between brokers: it says who it is to
    everybody who has one of ours, and decides on the word of the other side."""
    host, _, port = server.node.cluster_listen.partition(":")
    context = ssl.create_default_context(cafile=str(server.folder / "ca.pem"))
    context.load_cert_chain(server.folder / f"{name}.pem", server.folder / f"{name}.key")
    told = b""
    with (
        socket.create_connection((host, int(port)), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secured,
        contextlib.suppress(OSError),
    ):
        secured.sendall(WORD)
        while b"PONG" not in told and (more := secured.recv(65_536)):
            told += more
    return b"PONG" in told


def test_secrets_of_a_cluster(tmp_path: Path) -> None:
    """`--nats-nodes` makes a configuration and a certificate for each node; names must differ."""
    nodes = ["nats1", "nats2", "nats3"]
    mount = Path("/run/secrets")
    names = set(make_secrets(tmp_path / "s", mount, ["nats"], ["mongo1"], nodes))
    assert {f"{node}.{end}" for node in nodes for end in ("conf", "pem", "key")} <= names
    text = (tmp_path / "s/nats2.conf").read_text()
    assert 'client_advertise: "nats2:4222"' in text
    assert '"nats-route://nats1:6222", "nats-route://nats2:6222"' in text
    assert "cluster {" not in (tmp_path / "s/nats.conf").read_text()
    for wrong in (["a", "b"], ["a", "a", "b"]):
        with pytest.raises(ConfigError, match="3 nodes"):
            make_secrets(tmp_path / "t", mount, ["nats"], ["mongo1"], wrong)
