"""The parts as real processes: simulator -> collector -> NATS -> processor -> MongoDB -> server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from mongo_support import MongoServer
from nats_support import NatsServer

from wadm.nats_config import PROCESSOR, SERVER, collector_role

WAIT_S = 120.0


class House:
    """Processes by name; `start` again after `kill`."""

    def __init__(
        self, folder: Path, nats: NatsServer, mongo: MongoServer, urls: dict[str, str]
    ) -> None:
        self.folder = folder
        self.nats = nats
        self.ports = {name: free_port() for name in ("collect", "process", "serve")}
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.client = httpx2.AsyncClient(timeout=15)
        uri = folder / "mongo.uri"
        uri.write_text(mongo.uri())
        self.common = {
            "symbols": "BTCUSDT",
            "venues": "binance",
            "clock_poll_s": "1",
            "store": "mongo",
            "mongo_uri_file": str(uri),
            "mongo_database": f"wadm_{folder.name.replace('-', '_')}",
            "log_level": "info",
            "backfill": "0",
            **urls,
        }

    async def start(self, name: str, *more: str) -> None:
        """`collect binance`, `process` or `serve`; a second one of a kind is `serve-b`."""
        part, _, instance = name.partition("-")
        role = {"collect": collector_role("binance"), "process": PROCESSOR, "serve": SERVER}[part]
        port = "port" if part == "serve" else "health_port"
        settings = self.common | {port: str(self.ports.setdefault(name, free_port()))}
        settings["instance"] = instance
        environ = {f"WADM_{key.upper()}": value for key, value in settings.items()}
        words = ["binance"] if part == "collect" else ["--simulated"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wadm", part, *words, *more),
                env={**os.environ, **self.first(name), **environ, **self.nats.environ(role)},
                stdout=log,
                stderr=log,
            )

    def first(self, name: str) -> dict[str, str]:
        """What a part's environment begins with; addresses of this machine come on top."""
        return {}

    async def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.kill()
        await process.wait()

    async def stop(self, name: str) -> int:
        """SIGTERM; returns the exit code."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), 30)

    async def get(self, name: str, path: str, **params: Any) -> tuple[int, Any]:
        """(status, JSON or text) of a part; (0, None) while nothing answers."""
        try:
            url = f"http://127.0.0.1:{self.ports[name]}{path}"
            answer = await self.client.get(url, params=params)
        except httpx2.HTTPError:
            return 0, None
        kind = answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if "json" in kind else answer.text

    async def until_ready(self, name: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self.get(name, "/readyz"))[0] != 200:  # noqa: ASYNC110 (a process)
                await asyncio.sleep(0.1)

    async def applied(self) -> int:
        """Trades the processor says it applied."""
        _, found = await self.get("process", "/health")
        return 0 if found is None else sum(line["applied"] for line in found["streams"])

    async def until_applied(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.applied() < count:  # noqa: ASYNC110 (a process)
                await asyncio.sleep(0.05)

    async def bars(self, span: dict[str, str], names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Footprint bars of the span, each with its instrument."""
        found = []
        for name in names:
            status, answer = await self.get("serve", f"/footprint/{name}", **span)
            if status == 200:
                found += [{"instrument": name, **bar} for bar in answer["bars"]]
        return found

    def logs(self) -> str:
        """The end of every part's log."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log")
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def house(
    folder: Path, nats: NatsServer, mongo: MongoServer, urls: dict[str, str]
) -> AsyncIterator[House]:
    """Nothing runs yet; everything is stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    made = House(folder, nats, mongo, urls)
    try:
        yield made
    finally:
        for process in made.processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()
        await made.client.aclose()
