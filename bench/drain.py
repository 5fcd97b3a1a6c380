"""Draining a pre-filled stream: two processors against one, real processes on a real broker.

The stream is filled while every processor is stopped, then all go on at once. What is compared is
processor time per trade, from there until everything is applied; wall time is printed beside the
number of cores, because two processes can't be faster than the cores they share with the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import httpx2

from backbone.bus.base import TRADES
from backbone.bus.nats import Link, NatsBus
from backbone.bus.nats_topic import Shape
from bench.goals import Goal, console
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from wadm.chaos.ports import free_port
from wadm.nats_config import OPERATOR, PROCESSOR, Node, nats_config
from wadm.secrets import make_secrets

SYMBOLS, PARTITIONS = 200, 8
PACKET = 50
TRADES_QUICK, TRADES_FULL = 300_000, 1_000_000
START_MS = 1_735_689_600_000
CONNECTION = "bench"
MOST_TIMES = 1.15
WAIT_S = 600.0
NOWHERE = asyncio.subprocess.DEVNULL


class Drained:
    """What one run showed."""

    def __init__(self, cpu_s: float, wall_s: float, trades: int, shares: list[list[int]]) -> None:
        self.cpu_s, self.wall_s, self.trades, self.shares = cpu_s, wall_s, trades, shares

    @property
    def us(self) -> float:
        """Processor time of a trade, in microseconds."""
        return self.cpu_s / self.trades * 1e6


def measured(*, quick: bool = False) -> tuple[list[Goal], dict[str, Any]]:
    """One processor, two, and one again: the best of the two single runs is the baseline."""
    count = TRADES_QUICK if quick else TRADES_FULL
    runs = {1: [], 2: []}  # type: dict[int, list[Drained]]
    for processors in (1, 2) if quick else (1, 2, 1, 2):
        found = asyncio.run(_drained(processors, count))
        runs[processors].append(found)
        console.print(
            f"{processors} processor{'s' * (processors > 1)}: {found.us:.2f} us a trade, "
            f"{found.trades / found.wall_s:,.0f} trades/s on {os.cpu_count()} cores"
        )
    one, two = (min(runs[number], key=lambda run: run.us) for number in (1, 2))
    disjoint = all(_is_dealt(run.shares) for run in runs[2])
    goals = [
        Goal("CPU per trade of two processors", "us", two.us, MOST_TIMES, "most", one.us,
             two.us / one.us),
        Goal("two processors own disjoint symbols", "", float(disjoint), 1, "least"),
    ]  # fmt: skip
    rates = {number: max(r.trades / r.wall_s for r in found) for number, found in runs.items()}
    more = {
        "cores": os.cpu_count(),
        "trades_per_s": rates,
        "wall_ratio": rates[2] / rates[1],
        "load": os.getloadavg()[0],
    }
    console.print(f"wall-clock scaling {rates[2] / rates[1]:.2f} on {os.cpu_count()} cores")
    return goals, more


def _is_dealt(shares: list[list[int]]) -> bool:
    return sorted(chain(*shares)) == list(range(PARTITIONS)) and all(shares)


async def _drained(processors: int, count: int) -> Drained:
    with tempfile.TemporaryDirectory() as folder:
        async with _broker(Path(folder)) as environ, contextlib.AsyncExitStack() as stack:
            ports = [free_port() for _ in range(processors)]
            running = [
                await stack.enter_async_context(_processor(environ, port, place))
                for place, port in enumerate(ports)
            ]
            async with httpx2.AsyncClient(timeout=10) as client:
                shares = await _dealt(client, ports)
                await _announce(environ)
                await _until(client, ports, lambda states: _streams(states) == SYMBOLS)
                for process in running:
                    process.send_signal(signal.SIGSTOP)
                await _fill(environ, count)
                before_s, began_s = sum(map(_cpu_s, running)), time.monotonic()
                for process in running:
                    process.send_signal(signal.SIGCONT)
                await _until(client, ports, lambda states: _applied(states) == count)
                wall_s = time.monotonic() - began_s
                return Drained(sum(map(_cpu_s, running)) - before_s, wall_s, count, shares)


@contextlib.asynccontextmanager
async def _broker(folder: Path) -> AsyncIterator[dict[str, str]]:
    """A node of its own; settings of a process of this house."""
    secrets, port = folder / "secrets", free_port()
    make_secrets(secrets, secrets, ["localhost"], ["localhost"])
    config = folder / "broker.conf"
    config.write_text(nats_config(secrets, Node("nats", f"127.0.0.1:{port}", folder / "broker")))
    program = Path(sys.executable).with_name("nats-server")
    server = await asyncio.create_subprocess_exec(
        *(program, "-c", config),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield {
            "WADM_NATS_URL": f"tls://127.0.0.1:{port}",
            "WADM_NATS_CA_FILE": str(secrets / "ca.pem"),
            "WADM_DATA_DIR": str(folder / "store"),
            "WADM_PARTITIONS": str(PARTITIONS),
            "WADM_BACKFILL": "0",
            "WADM_LOG_LEVEL": "error",
        }
    finally:
        server.kill()
        await server.wait()


def _role(environ: dict[str, str], role: str) -> dict[str, str]:
    secrets = Path(environ["WADM_NATS_CA_FILE"]).parent
    return {
        "WADM_NATS_CERT_FILE": str(secrets / f"{role}.pem"),
        "WADM_NATS_KEY_FILE": str(secrets / f"{role}.key"),
    }


@contextlib.asynccontextmanager
async def _processor(
    environ: dict[str, str], port: int, place: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    own = {"WADM_HEALTH_PORT": str(port), "WADM_INSTANCE": f"p{place}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wadm", "process", "--simulated"),
        env={**os.environ, **environ, **_role(environ, PROCESSOR), **own},
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def _states(client: httpx2.AsyncClient, ports: list[int]) -> list[dict[str, Any]]:
    found = []
    for port in ports:
        with contextlib.suppress(httpx2.HTTPError):
            found.append((await client.get(f"http://127.0.0.1:{port}/health")).json())
    return found


async def _until(client: httpx2.AsyncClient, ports: list[int], condition: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition(await _states(client, ports)):  # noqa: ASYNC110 (processes)
            await asyncio.sleep(0.25)


async def _dealt(client: httpx2.AsyncClient, ports: list[int]) -> list[list[int]]:
    """What each processor owns once everything is owned."""
    shares: list[list[int]] = []

    def dealt(states: list[dict[str, Any]]) -> bool:
        shares[:] = [state["partitions"] for state in states]
        return len(shares) == len(ports) and _is_dealt(shares)

    await _until(client, ports, dealt)
    return shares


def _streams(states: list[dict[str, Any]]) -> int:
    return sum(len(state["streams"]) for state in states)


def _applied(states: list[dict[str, Any]]) -> int:
    return sum(line["applied"] for state in states for line in state["streams"])


def _link(environ: dict[str, str]) -> Link:
    own = _role(environ, OPERATOR)
    return Link(
        environ["WADM_NATS_URL"],
        OPERATOR,
        environ["WADM_NATS_CA_FILE"],
        own["WADM_NATS_CERT_FILE"],
        own["WADM_NATS_KEY_FILE"],
    )


async def _publish(environ: dict[str, str], events: Iterator[list[object]]) -> None:
    bus = NatsBus(_link(environ), owner=True, shape=Shape(PARTITIONS))
    try:
        for messages in events:
            await bus.publish(TRADES, messages)
    finally:
        await bus.close()


async def _announce(environ: dict[str, str]) -> None:
    listed = [
        InstrumentChanged("binance", "perp", f"C{n:03d}USDT", f"C{n:03d}", "USDT", Decimal("0.01"),
                          Decimal("0.001"))
        for n in range(SYMBOLS)
    ]  # fmt: skip
    names = [f"binance:perp:{item.symbol}" for item in listed]
    await _publish(environ, iter([[*listed, Connected(names, CONNECTION, START_MS)]]))


async def _fill(environ: dict[str, str], count: int) -> None:
    """Zipf-distributed trades of ten minutes, in packets of one instrument."""
    await _publish(environ, _packets(count))


def _packets(count: int) -> Iterator[list[object]]:
    draw = random.Random(3)
    names = [f"binance:perp:C{n:03d}USDT" for n in range(SYMBOLS)]
    weights = [1 / (place + 1) for place in range(SYMBOLS)]
    keys, ticks = [1] * SYMBOLS, [draw.randrange(10_000, 6_000_000) for _ in names]
    packets = draw.choices(range(SYMBOLS), weights, k=count // PACKET)
    at, group = START_MS, []  # type: int, list[object]
    for number, place in enumerate(packets):
        at = START_MS + number * 600_000 // len(packets)
        rows = range(PACKET)
        ticks[place] = max(1_000, ticks[place] + draw.randrange(-2, 3))
        group.append(
            TradeBatch(
                names[place],
                [keys[place] + row for row in rows],
                [at] * PACKET,
                [ticks[place] + draw.randrange(-2, 3) for _ in rows],
                [draw.randrange(1, 9_000) for _ in rows],
                [draw.randrange(2) for _ in rows],
            )
        )
        keys[place] += PACKET
        if len(group) == 100:
            yield group
            yield [Watermark(names, at, CONNECTION)]
            group = []
    yield [*group, Watermark(names, at, CONNECTION)]


def _cpu_s(process: asyncio.subprocess.Process) -> float:
    """User and system time, in seconds, as the system counts it."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
