"""A house of several processes on this machine: broker, collectors, processor and server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.market_child import Broker, Child
from wadm.certificates import Authority, write_public
from wadm.chaos.ports import free_port
from wadm.nats_config import (
    OPERATOR,
    PROCESSOR,
    SERVER,
    Node,
    collector_role,
    nats_config,
    roles,
)

START_S = 20.0
VENUES = ("binance", "bybit")


def broker(stack: contextlib.ExitStack, folder: Path) -> tuple[Broker, str]:
    """A broker with its certificates in a folder, and its address."""
    port = free_port()
    authority = Authority.made()
    write_public(folder / "ca.pem", authority.pair.certificate)
    authority.issue("nats", ["127.0.0.1", "localhost"]).write(folder, "nats")
    for name in (OPERATOR, *(role.name for role in roles())):
        authority.issue(name).write(folder, name)
    config = folder / "nats.conf"
    node = Node("nats", f"127.0.0.1:{port}", folder / "jetstream")
    config.write_text(nats_config(folder, node))
    program = Path(sys.executable).with_name("nats-server")
    log = stack.enter_context((folder / "nats.log").open("ab"))
    process = subprocess.Popen([program, "-c", config], stdout=log, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.kill)
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return Broker(process.pid), f"tls://127.0.0.1:{port}"
        time.sleep(0.02)
    raise RuntimeError(f"nats-server: {(folder / 'nats.log').read_text()[-500:]}")


def start(
    stack: contextlib.ExitStack, environ: dict[str, str], offset_ms: float, folder: str
) -> dict[str, Any]:
    """Everything in processes of its own."""
    home = Path(folder)
    stood, url = broker(stack, home)
    parts: dict[str, Any] = {"broker": stood}

    def child(name: str, role: str, words: list[str]) -> None:
        own = environ | {
            "WADM_NATS_URL": url,
            "WADM_NATS_CA_FILE": str(home / "ca.pem"),
            "WADM_NATS_CERT_FILE": str(home / f"{role}.pem"),
            "WADM_NATS_KEY_FILE": str(home / f"{role}.key"),
            "WADM_HEALTH_PORT": str(free_port()),
        }
        parts[name] = Child(["bench.market_house", *words, str(offset_ms)], **own)
        stack.callback(parts[name].stop)

    child("processor", PROCESSOR, ["process"])
    child("server", SERVER, ["serve"])
    for venue in VENUES:
        child(f"collector {venue}", collector_role(venue), ["collect", venue])
    return parts
