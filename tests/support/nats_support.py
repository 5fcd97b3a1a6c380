"""A real nats-server with our own configuration: certificates, roles and rights as deployed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backbone.bus.base import Delivery, Subscription
from backbone.bus.nats import Link, NatsBus
from backbone.bus.nats_topic import Shape
from orderflow.trade import TradeBatch
from wadm.certificates import Authority, write_public
from wadm.nats_config import OPERATOR, Node, nats_config, roles

START_S = 20.0


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def issue(folder: Path, nodes: Sequence[str]) -> None:
    """Certificates of these brokers and of every role."""
    authority = Authority.made()
    write_public(folder / "ca.pem", authority.pair.certificate)
    for name in nodes:
        authority.issue(name, ["127.0.0.1", "localhost"]).write(folder, name)
    for name in (OPERATOR, *(role.name for role in roles())):
        authority.issue(name).write(folder, name)


class NatsServer:
    """One broker; `kill` and `start` again keep its port and its data."""

    def __init__(self, folder: Path, node: Node | None = None, *, is_issued: bool = False) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        if node is None:
            node = Node("nats", f"127.0.0.1:{free_port()}", folder / "jetstream")
        self.node = node
        self.port = int(node.listen.rpartition(":")[2])
        if not is_issued:
            issue(folder, [node.name])
        self.config = folder / f"{node.name}.conf"
        self.config.write_text(nats_config(folder, node))
        self.log = folder / f"{node.name}.log"

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        program = Path(sys.executable).with_name("nats-server")
        log = self.log.open("ab")
        with log:
            self.process = subprocess.Popen(
                [program, "-c", self.config], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        pytest.fail(f"nats-server: {(self.folder / 'nats.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def link(self, role: str = OPERATOR) -> Link:
        """How a role reaches it."""
        return Link(
            f"tls://127.0.0.1:{self.port}",
            role,
            str(self.folder / "ca.pem"),
            str(self.folder / f"{role}.pem"),
            str(self.folder / f"{role}.key"),
        )

    def bus(
        self, role: str = OPERATOR, *, owner: bool = True, shape: Shape | None = None
    ) -> NatsBus:
        """A bus of one process with this role."""
        return NatsBus(self.link(role), owner=owner, shape=shape)

    def environ(self, role: str) -> dict[str, str]:
        """The settings of a process with this role."""
        link = self.link(role)
        return {
            "WADM_NATS_URL": link.url,
            "WADM_NATS_CA_FILE": link.ca_file,
            "WADM_NATS_CERT_FILE": link.cert_file,
            "WADM_NATS_KEY_FILE": link.key_file,
        }


@contextlib.contextmanager
def nats_server(folder: Path) -> Iterator[NatsServer]:
    """A running broker."""
    server = NatsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A broker of this test alone; a socket left open fails this test, not one that comes later."""
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server
    gc.collect()


class NatsCluster:
    """Three brokers of one cluster, of which any one may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        names = ["nats1", "nats2", "nats3"]
        issue(folder, names)
        ports = [(free_port(), free_port()) for _ in names]
        routes = tuple(f"localhost:{among}" for _, among in ports)
        self.servers = {
            name: NatsServer(
                folder,
                Node(
                    name,
                    f"127.0.0.1:{port}",
                    folder / f"jetstream-{name}",
                    cluster_listen=f"127.0.0.1:{among}",
                    advertise=f"127.0.0.1:{port}",
                    routes=routes,
                ),
                is_issued=True,
            )
            for name, (port, among) in zip(names, ports, strict=True)
        }

    def start(self) -> None:
        """All that are not running."""
        for server in self.servers.values():
            if server.process is None:
                server.start()

    def kill(self) -> None:
        """All, at once."""
        for server in self.servers.values():
            server.kill()

    def link(self, role: str = OPERATOR) -> Link:
        """How a role reaches the cluster."""
        links = [server.link(role) for server in self.servers.values()]
        return dataclasses.replace(links[0], url=",".join(link.url for link in links))

    def bus(
        self, role: str = OPERATOR, *, owner: bool = True, shape: Shape | None = None
    ) -> NatsBus:
        """A bus of one process with this role; every message is kept by all three."""
        return NatsBus(self.link(role), owner=owner, shape=shape or Shape(replicas=3))

    def environ(self, role: str) -> dict[str, str]:
        """The settings of a process with this role."""
        one = next(iter(self.servers.values())).environ(role)
        return one | {"WADM_NATS_URL": self.link(role).url, "WADM_NATS_REPLICAS": "3"}

    async def leader(self, bus: NatsBus, topic: str) -> NatsServer:
        """Who leads a topic's stream."""
        info = await bus.stream(topic, fresh=True)
        assert info is not None
        assert info.cluster is not None
        return self.servers[str(info.cluster.leader)]


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[NatsCluster]:
    """A running cluster."""
    cluster = NatsCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A cluster of this test alone."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
    gc.collect()


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
