"""A real nats-server with our own configuration: certificates, roles and rights as deployed."""

from __future__ import annotations

import contextlib
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbone.bus.nats import Link, NatsBus
from backbone.bus.nats_topic import Shape
from wadm.certificates import Authority, write_public
from wadm.nats_config import OPERATOR, nats_config, roles

START_S = 20.0


class NatsServer:
    """One broker; `kill` and `start` again keep its port and its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        authority = Authority.made()
        write_public(folder / "ca.pem", authority.pair.certificate)
        authority.issue("nats", ["127.0.0.1", "localhost"]).write(folder, "nats")
        for name in (OPERATOR, *(role.name for role in roles())):
            authority.issue(name).write(folder, name)
        self.config = folder / "nats.conf"
        listen = f"127.0.0.1:{self.port}"
        self.config.write_text(nats_config(folder, listen, folder / "jetstream"))

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        program = Path(sys.executable).with_name("nats-server")
        log = (self.folder / "nats.log").open("ab")
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
