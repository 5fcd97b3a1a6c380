"""The edge: nginx with TLS, limits, cache and keys, in front of a real server.

First 1,000 keep-alive clients from fifty addresses ask 1,000 times a second, each answer timed from
when it was due, under the limits that nginx has by default. Then the same answer is asked as fast
as nginx gives it, in turn with nginx giving the same bytes from disk; compared by the processor
time of all that answers, which a busy machine does not change, and noted by the clock as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import re
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.goals import Goal, times

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

CLIENTS, RATE = 1_000, 1_000
CLIENTS_OF_ADDRESS = 20
TICK_S = 0.005
GOAL_P99_MS, GOAL_RATIO = 50.0, 0.5
PIPES, DEPTH = 16, 16
PATHS = [f"/volume_profile/BTCUSDT?timeframe={name}&detail=summary" for name in ("1m", "5m", "1h")]
OPEN = {
    "EDGE_FAST_RATE": "1000000r/s",
    "EDGE_ADDRESS_RATE": "1000000r/s",
    "EDGE_ADDRESS_BURST": "100000",
}
"""Limits out of the way of a rate."""
AS_SHIPPED = {"EDGE_LOG_BUFFER": "buffer=32k flush=1s"}
"""The log is buffered as in nginx/edge.env; the tests look at it at once."""
STATIC = """daemon off; {user} pid {folder}/static.pid; worker_processes auto;
error_log {folder}/static.err error; events {{ worker_connections 4096; }}
http {{ access_log {folder}/static.log; sendfile on; tcp_nopush on; default_type application/json;
keepalive_requests 10000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {folder}/tls.pem;
ssl_certificate_key {folder}/tls.key;
server {{ listen 127.0.0.1:{port} ssl; root {folder}/disk; }} }}
"""


class Client(asyncio.Protocol):
    """A keep-alive connection; `done(client, status)` after each whole answer."""

    def __init__(self, done: Callable[[Client, int], None]) -> None:
        self.done = done
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self.due = 0.0
        self._held = b""
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, TLS included."""
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        """A connection that ends while something is due counts as an error."""
        self.lost = True
        if self.due:
            self.done(self, 0)

    def ask(self, data: bytes, due: float) -> None:
        """Send a request, or several."""
        self.due = due
        if self.transport is not None:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Cut out whole answers."""
        held = self._held + data
        while (end := held.find(b"\r\n\r\n")) >= 0:
            start = held.lower().find(b"content-length: ", 0, end) + 16
            size = int(held[start : held.index(b"\r", start)])
            if len(held) < end + 4 + size:
                break
            status, self.body = int(held[9:12]), held[end + 4 : end + 4 + size]
            held = held[end + 4 + size :]
            self.done(self, status)
        self._held = held


def asked(path: str, key: str) -> bytes:
    """One request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()


async def connected(
    port: int, tls: ssl.SSLContext | None, done: Callable[[Client, int], None], address: str
) -> Client:
    """One client from one address."""
    secured: dict[str, Any] = {"server_hostname": "localhost", "ssl_handshake_timeout": 120}
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(done),
        *("127.0.0.1", port),
        local_addr=(address, 0),
        **({} if tls is None else secured | {"ssl": tls}),
    )
    return client


class Load:
    """What a paced load got: seconds from when each was due, and statuses; 0 is no answer."""

    def __init__(self, port: int, tls: ssl.SSLContext, requests: list[bytes]) -> None:
        self.port, self.tls, self.requests = port, tls, requests
        self.waits: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.idle: asyncio.Queue[Client] = asyncio.Queue()
        self.clients: list[Client] = []

    def done(self, client: Client, status: int) -> None:
        """One answer, or none."""
        if status:
            self.waits.append(time.perf_counter() - client.due)
        self.statuses[status] += 1
        client.due = 0.0
        if not client.lost:
            self.idle.put_nowait(client)

    async def open(self) -> None:
        """Each client asks once: a connection on which nothing is asked for 5 s is cut, after an
        answer it may rest."""
        for number in range(CLIENTS):
            address = f"127.2.0.{number // CLIENTS_OF_ADDRESS + 1}"
            client = await connected(self.port, self.tls, self.done, address)
            self.clients.append(client)
            client.ask(self.requests[number % len(self.requests)], time.perf_counter())
        await self.answered(CLIENTS)
        assert set(self.statuses) == {200}, self.statuses
        self.waits.clear()
        self.statuses.clear()

    async def answered(self, count: int) -> None:
        """Wait until so many have come, a minute at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while self.statuses.total() < count:  # noqa: ASYNC110 (answers come by callback)
                    await asyncio.sleep(0.01)

    async def ask(self, number: int, due: float) -> None:
        """By the client that has rested longest; one whose connection is gone gets no answer."""
        client = await self.idle.get()
        if client.lost:
            self.statuses[0] += 1
        else:
            client.ask(self.requests[number % len(self.requests)], due)

    def close(self) -> None:
        """At the end."""
        for client in self.clients:
            client.due = 0.0
            if client.transport is not None:
                client.transport.abort()


async def paced(port: int, tls: ssl.SSLContext, keys: list[str], seconds: int) -> dict[str, Any]:
    """1,000 requests a second over 1,000 clients; a client that still waits is passed over."""
    load = Load(port, tls, [asked(path, key) for key in keys for path in PATHS])
    await load.open()
    sent, began = 0, time.perf_counter()
    while sent < RATE * seconds:
        due = min(RATE * seconds, int((time.perf_counter() - began) * RATE) + 1)
        while sent < due:
            await load.ask(sent, began + sent / RATE)
            sent += 1
        await asyncio.sleep(TICK_S)
    await load.answered(sent)
    took = time.perf_counter() - began
    load.close()
    waits = sorted(load.waits)
    return {
        "requests": sent,
        "answered": len(waits),
        "statuses": dict(load.statuses),
        "errors": sent - load.statuses[200],
        "per_s": len(waits) / took,
        "p50_ms": waits[len(waits) // 2] * 1e3,
        "p99_ms": waits[int(len(waits) * 0.99)] * 1e3,
        "most_ms": waits[-1] * 1e3,
    }


async def flat_out(
    port: int,
    tls: ssl.SSLContext | None,
    requests: list[bytes],
    seconds: float,
    cpu: Callable[[], float],
) -> dict[str, Any]:
    """As fast as it goes: a few connections, each with a few requests on the way."""
    statuses: Counter[int] = Counter()
    until = time.perf_counter() + seconds

    def done(client: Client, status: int) -> None:
        statuses[status] += 1
        if sum(statuses.values()) % DEPTH == 0 and time.perf_counter() > until:
            over.set()
        waiting[client] -= 1
        if waiting[client] == 0 and not over.is_set():
            waiting[client] = DEPTH
            client.ask(batch[client], 1.0)

    over = asyncio.Event()
    waiting: dict[Client, int] = {}
    batch: dict[Client, bytes] = {}
    for number in range(PIPES):
        client = await connected(port, tls, done, "127.0.0.1")
        waiting[client], batch[client] = DEPTH, requests[number % len(requests)] * DEPTH
    began, before = time.perf_counter(), cpu()
    for client in list(waiting):
        client.ask(batch[client], 1.0)
    await over.wait()
    took, spent = time.perf_counter() - began, cpu() - before
    count = sum(statuses.values())
    body = next(iter(waiting)).body
    for client in waiting:
        client.due = 0.0
        if client.transport is not None:
            client.transport.abort()
    return {
        "per_s": count / took,
        "per_cpu_s": count / spent,
        "statuses": dict(statuses),
        "body": body,
    }


async def by_wrk(
    port: int,
    path: str,
    key: str,
    seconds: float,
    cpu: Callable[[], float],
    scheme: str = "https",
) -> dict[str, Any]:
    """The same by wrk: keep-alive connections with one request on the way each."""
    headers = ("-H", f"X-API-Key: {key}", "-H", "Host: localhost")
    command = ("wrk", "-t1", f"-c{PIPES}", f"-d{max(1, round(seconds))}s", *headers)
    before = cpu()
    process = await asyncio.create_subprocess_exec(
        *command, f"{scheme}://localhost:{port}{path}", stdout=asyncio.subprocess.PIPE
    )
    told = (await process.communicate())[0].decode()
    spent = cpu() - before
    assert process.returncode == 0, told
    count = int(_told(r"(\d+) requests in", told))
    wrong = int(_told(r"Non-2xx or 3xx responses: (\d+)", told))
    return {
        "per_s": float(_told(r"Requests/sec:\s+([\d.]+)", told)),
        "per_cpu_s": count / spent,
        "statuses": {200: count - wrong} | ({0: wrong} if wrong else {}),
        "by": "wrk",
    }


def _told(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return "0" if found is None else found[1]


def cpu_of(*parents: int) -> float:
    """Processor time of these processes and their children."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid = int(entry.parent.name)
            fields = entry.read_text().rpartition(")")[2].split()
            if pid in parents or int(fields[1]) in parents:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def from_disk(folder: Path, body: bytes) -> AsyncIterator[tuple[int, int]]:
    """(port, process) of nginx that serves these bytes as a file, with the edge's certificate."""
    from edge_support import _user, binary, free_port

    (folder / "disk").mkdir()
    (folder / "disk/answer").write_bytes(body)
    port = free_port()
    config = folder / "static.conf"
    config.write_text(STATIC.format(folder=folder, port=port, user=_user()))
    command = [str(binary()), "-e", str(folder / "static.err"), "-c", str(config)]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


def master(folder: Path) -> int:
    """The edge's own process."""
    return int((folder / "run/nginx.pid").read_text())


async def rates(folder: Path, server: Any, plans: Path, seconds: float, rounds: int) -> list[Any]:
    """(cached, from disk) of each round, in turn."""
    from edge_support import edge

    found = []
    wide = OPEN | AS_SHIPPED | {"EDGE_PLANS": str(plans)}
    async with edge(folder, server.port, **wide) as made:
        tls, nginx = made.tls(), master(folder)
        requests = [asked(PATHS[-1], key) for key in server.keys]
        first = await flat_out(made.https, tls, requests, 0.5, lambda: 1.0 + time.process_time())
        assert set(first["statuses"]) == {200}, first

        async def rate(port: int, path: str, *answering: int) -> dict[str, Any]:
            spent = functools.partial(cpu_of, *answering)
            if shutil.which("wrk"):
                return await by_wrk(port, path, server.key, seconds, spent)
            asking = [asked(path, key) for key in server.keys]
            return await flat_out(port, tls, asking, seconds, spent)

        async with from_disk(folder, first["body"]) as (port, disk):
            for _ in range(rounds):
                cached = await rate(made.https, PATHS[-1], nginx, server.process.pid)
                found.append((cached, await rate(port, "/answer", disk)))
    return found


async def run(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Both measurements."""
    from edge_support import edge
    from served_process import served

    seconds = 8 if quick else 60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with served(folder) as server:
            plans = folder / "plans.map"
            plans.write_text("".join(f"{key[5:17]} fast;\n" for key in server.keys))
            limits = AS_SHIPPED | {"EDGE_PLANS": str(plans)}
            async with edge(folder / "edge", server.port, **limits) as made:
                load = await paced(made.https, made.tls(), server.keys, seconds)
            pairs = await rates(folder / "open", server, plans, seconds / 8, 3 if quick else 5)
    goals = [
        Goal(f"edge: p99 of {CLIENTS} clients at {RATE}/s", "ms", load["p99_ms"], GOAL_P99_MS),
        Goal("edge: errors meanwhile", "requests", float(load["errors"]), 0),
        Goal("edge: rate kept", "/s", load["per_s"], 0.99 * RATE, "least"),
        times(
            "edge: cached answers beside files, by processor time",
            "/s/core",
            statistics.median(cached["per_cpu_s"] for cached, _ in pairs),
            statistics.median(plain["per_cpu_s"] for _, plain in pairs),
            GOAL_RATIO,
        ),
        times(
            "edge: cached answers beside files, by the clock",
            "/s",
            statistics.median(cached["per_s"] for cached, _ in pairs),
            statistics.median(plain["per_s"] for _, plain in pairs),
            GOAL_RATIO,
        ),
    ]
    return goals, {"load": load, "rates": pairs, "machine_load": os.getloadavg()}


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """For `make bench`."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.run(run(quick=quick))
    import uvloop

    return uvloop.run(run(quick=quick))
