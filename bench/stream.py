"""The event stream: idle connections by the ten thousand, and updates to a thousand readers.

`python -m bench stream [--quick]`; then a thousand reconnects in a moving market. The server is a
process of its own, held to one core, behind the whole application; readers are raw sockets in this
one. Delivery is timed from the trade that makes an update to the last byte of the message at the
reader, on the machine's monotonic clock. `ulimit -n` is raised to what the hard limit allows.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from bench import stream_cuts
from bench.goals import Goal, show, write

IDLE, QUICK_IDLE = 10_000, 500
READERS, QUICK_READERS = 1_000, 100
SECONDS, QUICK_SECONDS = 60, 6
HELD_S, QUICK_HELD_S = 60, 3
CUTS, QUICK_CUTS = 1_000, 60
WARM_S = 5.0
"""Buffers of connections and answers grow to their size before memory is looked at."""
UPDATE_S = 0.2
GOAL_P99_MS, GOAL_KB, GOAL_STUCK_MB = 250.0, 64.0, 16.0
FILES = 65_536
AT_ONCE = 100
SYMBOL = "AAAUSDT"
TRADES = re.compile(rb'"total_trades":(\d+)')
QUERY = f"symbols={SYMBOL}&channels=bars"


def raise_limit() -> int:
    """As many open files as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


# The server


def build() -> tuple[Any, Callable[[], int]]:
    """(application, trade): `trade` makes one more trade and says how many there are."""
    from decimal import Decimal

    from backbone.settings import read_settings
    from backbone.store.memory import MemoryStore
    from mcp_server.app import build_app, build_server
    from mcp_server.queries import Queries
    from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
    from processor.engine import Engine
    from processor.live import ProcessorView

    name, start = f"binance:perp:{SYMBOL}", 1_795_000_020_000
    engine = Engine({SYMBOL: Decimal("0.05")})
    engine.handle(
        InstrumentChanged(
            venue="binance",
            market="perp",
            symbol=SYMBOL,
            base=SYMBOL[:-4],
            quote="USDT",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.001"),
            sequence="consecutive",
            last_price=Decimal(100),
        )
    )
    engine.handle(Connected([name], "bench", 0))
    engine.handle(Watermark([name], start, "bench"))
    view = ProcessorView(engine, "simulated", lambda _: start + 30_000)
    view.restored = True
    count = 0

    def trade() -> int:
        nonlocal count
        engine.handle(
            TradeBatch(
                instrument=name,
                key=[count],
                event_ms=[start + 20_000],
                price_ticks=[10_000 + count % 90],
                qty_lots=[1 + count % 9],
                side=[count % 2],
                seq=[count],
                n_trades=[1],
                first_trade_id=[count],
                last_trade_id=[count],
            )
        )
        count += 1
        return count

    trade()
    queries = Queries(view, MemoryStore(), list)
    settings = read_settings({}, port=0)
    app = build_app(queries, settings, lambda: (b"", "text/plain"))
    return build_server(app, settings), trade


async def serve() -> None:
    """Print the port; answer each line: `go` trades, `stop` stops and gives the times of the
    trades, `figures` gives processor seconds, resident megabytes and readers."""
    from backbone.telemetry import configure_logs

    configure_logs("error")
    raise_limit()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    server, trade = build()
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has a flag, not an event)
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    made: list[tuple[int, float]] = []

    async def moving() -> None:
        due = monotonic()
        while True:
            due += UPDATE_S
            await asyncio.sleep(max(0.0, due - monotonic()))
            at = monotonic()
            made.append((trade(), at))

    loop = asyncio.get_running_loop()
    task: asyncio.Task[None] | None = None
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "go":
            task = asyncio.create_task(moving())
            print("ok", flush=True)
        elif line == "stop" and task is not None:
            task.cancel()
            print(" ".join(f"{count}:{at:.6f}" for count, at in made), flush=True)
        else:
            megabytes = int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1_024
            print(process_time(), megabytes, len(server.hub.listeners), flush=True)
    serving.cancel()
    os._exit(0)


class Server:
    """The server process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.stream", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    async def ask(self, word: str) -> list[str]:
        """One line for one line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        loop = asyncio.get_running_loop()
        return (await loop.run_in_executor(None, self.process.stdout.readline)).split()

    async def figures(self) -> tuple[float, float, int]:
        """(processor seconds, resident megabytes, readers) now."""
        cpu, memory, readers = await self.ask("figures")
        return float(cpu), float(memory), int(readers)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


# The readers


class Reader(asyncio.Protocol):
    """A socket that notes when it heard of which trade."""

    def __init__(self, port: int, heartbeat_s: int) -> None:
        self.heard: list[tuple[int, float]] = []
        self.begun = asyncio.get_running_loop().create_future()
        self.lost = False
        self._port, self._silence = port, heartbeat_s
        self._rest = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            f"GET /stream?{QUERY}&heartbeat_s={self._silence} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{self._port}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Messages end with an empty line."""
        at = monotonic()
        *whole, self._rest = (self._rest + data).split(b"\n\n")
        for message in whole:
            if (found := TRADES.search(message)) is not None:
                self.heard.append((int(found[1]), at))
                if not self.begun.done():
                    self.begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early, unless we closed it."""
        self.lost = True
        if not self.begun.done():
            self.begun.set_exception(exc or ConnectionError("refused"))


async def connected(port: int, count: int, heartbeat_s: int) -> list[Reader]:
    """So many readers that have their snapshot."""
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    while len(readers) < count:
        more = min(AT_ONCE, count - len(readers))
        opening = [
            loop.create_connection(lambda: Reader(port, heartbeat_s), "127.0.0.1", port)
            for _ in range(more)
        ]
        made = [protocol for _, protocol in await asyncio.gather(*opening)]
        await asyncio.gather(*(reader.begun for reader in made))
        readers += made
    return readers


def leave(readers: list[Reader]) -> None:
    """Close them."""
    for reader in readers:
        if reader.transport is not None:
            reader.transport.abort()


async def idle(count: int, held_s: float) -> tuple[list[Goal], dict[str, Any]]:
    """Connections that hear heartbeats only."""
    server = Server()
    try:
        leave(await connected(server.port, 10, 60))
        cpu_before, before, _ = await server.figures()
        readers = await connected(server.port, count, 30)
        cpu_open, opened, _ = await server.figures()
        await asyncio.sleep(held_s)
        cpu_after, after, held = await server.figures()
        lost = sum(reader.lost for reader in readers)
        leave(readers)
    finally:
        server.close()
    goals = [
        Goal(f"{count:,} idle connections held", "", held - lost, count, "least"),
        Goal("memory of an idle connection", "kB", (after - before) * 1_024 / count, GOAL_KB),
        Goal("growth while they are held", "MB", after - opened, GOAL_STUCK_MB),
    ]
    more = {
        "idle_megabytes": {"before": before, "opened": opened, "after": after},
        "idle_cpu_s": {"opening": cpu_open - cpu_before, "holding": cpu_after - cpu_open},
        "held_s": held_s,
    }
    return goals, more


async def moving(count: int, seconds: float) -> tuple[list[Goal], dict[str, Any]]:
    """Readers of a bar that changes five times a second, beside one that stops reading."""
    server = Server()
    try:
        readers = await connected(server.port, count, 30)
        stuck = (await connected(server.port, 1, 30))[0]
        assert stuck.transport is not None
        await server.ask("go")
        await asyncio.sleep(WARM_S)
        stuck.transport.pause_reading()
        cpu_before, before, _ = await server.figures()
        began = monotonic()
        await asyncio.sleep(seconds)
        cpu_after, after, _ = await server.figures()
        spent = monotonic() - began
        told = [pair.split(":") for pair in await server.ask("stop")]
        made = {int(number): float(at) for number, at in told}
        await asyncio.sleep(1.0)
        leave([*readers, stuck])
    finally:
        server.close()
    late = [
        (at - made[number]) * 1_000
        for reader in readers
        for number, at in reader.heard
        if number in made
    ]
    last = max(made)
    ended = sum(bool(r.heard) and r.heard[-1][0] == last for r in readers)
    cuts = statistics.quantiles(late, n=1_000) if len(late) > 1 else []
    expected = len(made) * count
    goals = [
        Goal(f"p99 delivery to {count:,} readers", "ms", cuts[989] if cuts else None, GOAL_P99_MS),
        Goal("readers that ended in the newest state", "", ended, count, "least"),
        Goal("growth while it moves, one reader stuck", "MB", after - before, GOAL_STUCK_MB),
    ]
    more = {
        "seconds": spent,
        "updates": len(made),
        "delivered": len(late),
        "coalesced_pct": 100 * (1 - len(late) / expected) if expected else None,
        "p50_ms": cuts[499] if cuts else None,
        "p999_ms": cuts[998] if cuts else None,
        "worst_ms": max(late, default=None),
        "server_core_pct": 100 * (cpu_after - cpu_before) / spent,
        "megabytes": after,
    }
    return goals, more


async def reconnects(count: int) -> list[Goal]:
    """Forced reconnects while a bar changes five times a second."""
    server = Server()
    try:
        await server.ask("go")
        readers = await stream_cuts.cut_readers(server.port, QUERY, count)
        told = await server.ask("stop")
        return await stream_cuts.judged(readers, int(told[-1].partition(":")[0]))
    finally:
        server.close()


def measured(*, quick: bool = False) -> tuple[list[Goal], dict[str, Any]]:
    """Every part, and the load of the machine before and after."""
    load = [os.getloadavg()[0]]
    files = raise_limit()
    idle_goals, idle_more = asyncio.run(
        idle(QUICK_IDLE if quick else IDLE, QUICK_HELD_S if quick else HELD_S)
    )
    moving_goals, moving_more = asyncio.run(
        moving(QUICK_READERS if quick else READERS, QUICK_SECONDS if quick else SECONDS)
    )
    cut_goals = asyncio.run(reconnects(QUICK_CUTS if quick else CUTS))
    load.append(os.getloadavg()[0])
    more = {"load_average": load, "open_files": files} | idle_more | moving_more
    for name, value in more.items():
        print(f"{name}: {value}")
    return [*idle_goals, *moving_goals, *cut_goals], more


def main() -> None:
    """Measure, or serve for the one that measures."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
        return
    goals, more = measured(quick="--quick" in sys.argv)
    show(goals)
    write("bench_stream", goals, **more)


if __name__ == "__main__":
    main()
