"""The MCP leg: calls a second and core beside a bare SDK tool, and a thousand open subscriptions.

`python -m bench.mcp [--quick]`. The bare server is the SDK alone with one tool that returns the
structured content, made beforehand; ours answers a real question of a moving market behind keys,
budgets, scopes and host checks. Both serve the same requests, alternating; the figure is calls a
second of the server's own processor time. Subscriptions: that many open listen streams on one
resource that changes once a second; processor time per update that arrived, times that many updates
a second, so that a busy machine, which delivers fewer, is not flattered.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict

from bench.goals import Goal, show, times, write

CALLS, QUICK_CALLS, REPEATS, CONNECTIONS = 4_000, 1_000, 5, 8
STREAMS, SECONDS, QUICK_SECONDS = 1_000, 20, 6
GOAL_RATIO, GOAL_CORE_PCT, GOAL_MB = 0.9, 25.0, 100.0
NAMES = [f"binance:spot:C{number:02d}USDT" for number in range(10)]
SYMBOL = "C00USDT"
URI = f"wadm://volume_profile/{SYMBOL}/1h"
START_MS = 1_795_000_020_000
MINUTES = 60
UPDATE_S = 0.1
"""A trade every so often, after which every answer is made anew."""
PREFIX = "io.modelcontextprotocol/"
META = {
    f"{PREFIX}protocolVersion": "2026-07-28",
    f"{PREFIX}clientCapabilities": {},
    f"{PREFIX}clientInfo": {"name": "bench", "version": "1"},
}
QUESTION = {"name": "get_volume_profile", "arguments": {"symbol": SYMBOL}, "_meta": META}
LISTEN = {"notifications": {"resourceSubscriptions": [URI]}, "_meta": META}


def request(port: int, method: str, params: dict[str, Any], key: str, name: str = "") -> bytes:
    """One HTTP request of the modern era."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        f"Mcp-Method: {method}",
        *([f"Mcp-Name: {name}"] if name else []),
        f"X-API-Key: {key}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


# The servers, each in a process of its own


async def market() -> tuple[Any, Any]:
    """(engine, view): an hour of trades of ten symbols, and a clock at its end."""
    from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
    from processor.engine import Engine
    from processor.live import ProcessorView

    engine = Engine({})
    for name in NAMES:
        venue, kind, symbol = name.split(":")
        engine.handle(
            InstrumentChanged(
                venue=venue,
                market=kind,
                symbol=symbol,
                base=symbol[:-4],
                quote="USDT",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.00001"),
                sequence="consecutive",
                last_price=Decimal(100),
            )
        )
    engine.handle(Connected(NAMES, "bench", 0))
    engine.handle(Watermark(NAMES, START_MS, "bench"))
    now = START_MS + MINUTES * 60_000
    for name in NAMES:
        for at in range(START_MS, now, 3_000):
            count = 8
            keys = [(at - START_MS) // 3_000 * count + k for k in range(count)]
            engine.handle(
                TradeBatch(
                    instrument=name,
                    key=keys,
                    event_ms=[at + k for k in range(count)],
                    price_ticks=[10_000 + (key * 7919) % 120 for key in keys],
                    qty_lots=[1 + key % 977 for key in keys],
                    side=[key % 2 for key in keys],
                    seq=keys,
                    n_trades=[1] * count,
                    first_trade_id=keys,
                    last_trade_id=keys,
                )
            )
        engine.handle(Watermark([name], now, "bench"))
        engine.advance_one(name, now, 0)
    view = ProcessorView(engine, "simulated", lambda name: now - 1)
    view.restored = True
    return engine, view


async def answering() -> tuple[Any, Any, str]:
    """(engine, application, key): the market behind keys and budgets."""
    engine, app, key, _ = await _built()
    return engine, app, key


async def _built() -> tuple[Any, Any, str, Any]:
    """(engine, application, key, queries)."""
    from backbone.keys.book import KeyBook, Terms
    from backbone.settings import read_settings
    from backbone.store.memory import MemoryStore
    from mcp_server.app import build_app
    from mcp_server.queries import Queries

    engine, view = await market()
    store = MemoryStore()
    await store.open("simulated")
    text, _ = await KeyBook(store, "bench").create("bench", 4, Terms(per_minute=10**9))
    settings = read_settings({}, keys="required", key_cost=4, streams_per_key=STREAMS + 10)
    queries = Queries(view, store, list)
    return engine, build_app(queries, settings, lambda: (b"", "text/plain")), text.text, queries


async def ours() -> tuple[Any, str, Any]:
    """(application, key, structured content of the answer)."""
    from mcp_server.parameters import question
    from mcp_server.payload import structured

    engine, app, key, queries = await _built()
    asked = question(SYMBOL, {"detail": "summary", "numbers": "string", "timeframe": "1h"})
    content = structured(await queries.volume_profile(asked), "string")
    app.state.moving = lambda: move(engine, app)
    return app, key, content


async def move(engine: Any, app: Any) -> None:
    """The market goes on: the version grows, and listeners' stamps once a second."""
    stamps = {"at": 0}
    subscriptions = (await app.state.mcp.hosted()).subscriptions
    subscriptions.stamp = lambda uri: stamps["at"]
    while True:
        await asyncio.sleep(UPDATE_S)
        engine.version += 1
        stamps["at"] = engine.version // round(1 / UPDATE_S)


class Told(BaseModel):
    """Any content."""

    model_config = ConfigDict(extra="allow")


async def bare(content: Any) -> Any:
    """The SDK alone: one tool, an answer made beforehand."""
    text = json.dumps(content, separators=(",", ":"))
    mcp = MCPServer("bare")

    @mcp.tool()
    async def get_volume_profile(symbol: str) -> Annotated[CallToolResult, Told]:
        """The same content."""
        return CallToolResult(content=[TextContent(text=text)], structured_content=content)

    return mcp.streamable_http_app()


async def serve(kind: str) -> None:
    """Print the port and the key, then processor seconds and memory whenever a line comes."""
    import uvicorn

    from backbone.telemetry import configure_logs

    configure_logs("error")
    app, key, content = await ours()
    moving = app.state.moving
    if kind == "bare":
        app = await bare(content)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has a flag, not an event)
        await asyncio.sleep(0.01)
    beside = asyncio.create_task(moving()) if kind == "ours" else None
    print(server.servers[0].sockets[0].getsockname()[1], key, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        kilobytes = int(Path("/proc/self/statm").read_text().split()[1]) * 4
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(process_time(), kilobytes / 1_024, peak / 1_024, flush=True)
    if beside is not None:
        beside.cancel()
    task.cancel()
    os._exit(0)


class Server:
    """A server process and its counters."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, "-m", "bench.mcp", "serve", kind]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        port, self.key = self._line()
        self.port = int(port)

    def _line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def used(self) -> tuple[float, float]:
        """(processor seconds, resident megabytes) so far."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        cpu, memory, _ = map(float, self._line())
        return cpu, memory

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


# The load


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """One HTTP answer with a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError((head + body).decode(errors="replace")[:400])
    return body


async def call(server: Server, count: int) -> bytes:
    """So many calls over some connections; returns one answer."""
    sent = request(server.port, "tools/call", QUESTION, server.key, "get_volume_profile")

    async def some(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = b""
        for _ in range(number):
            writer.write(sent)
            body = await read_answer(reader)
        writer.close()
        return body

    return (await asyncio.gather(*(some(count // CONNECTIONS) for _ in range(CONNECTIONS))))[0]


def rate(server: Server, count: int) -> float:
    """Calls a second of the server's processor time."""
    before, _ = server.used()
    asyncio.run(call(server, count))
    return count / (server.used()[0] - before)


async def listened(server: Server, seconds: float) -> tuple[float, float, int]:
    """(processor seconds, megabytes more than before, updates) with STREAMS open streams."""
    _, empty = server.used()
    sent = request(server.port, "subscriptions/listen", LISTEN, server.key)
    counts = [0] * STREAMS
    gate = asyncio.Semaphore(50)

    async def listen(place: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            await reader.readuntil(b"\n\r\n")
        while line := await reader.readline():
            counts[place] += b"notifications/resources/updated" in line
        writer.close()

    tasks = [asyncio.create_task(listen(place)) for place in range(STREAMS)]
    while min(counts) < 2:  # noqa: ASYNC110 (every stream is open and told)
        await asyncio.sleep(0.05)
    cpu, _ = server.used()
    already = sum(counts)
    await asyncio.sleep(seconds)
    after, memory = server.used()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return after - cpu, memory - empty, sum(counts) - already


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate the servers; then the subscriptions on ours."""
    count = QUICK_CALLS if quick else CALLS
    servers = {kind: Server(kind) for kind in ("ours", "bare")}
    try:
        contents = {}
        for kind, server in servers.items():
            body = json.loads(asyncio.run(call(server, CONNECTIONS)))
            contents[kind] = body["result"]["structuredContent"]
            rate(server, count // 2)
        same = contents["ours"].keys() == contents["bare"].keys()
        rates: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(REPEATS):
            for kind, server in servers.items():
                rates[kind].append(rate(server, count))
        seconds = QUICK_SECONDS if quick else SECONDS
        cpu, memory, updates = asyncio.run(listened(servers["ours"], seconds))
    finally:
        for server in servers.values():
            server.close()
    middle = {kind: statistics.median(found) for kind, found in rates.items()}
    core = 100 * cpu * STREAMS / max(1, updates)
    goals = [
        times(
            "modern calls/s/core / bare SDK tool", "1/s", middle["ours"], middle["bare"], GOAL_RATIO
        ),
        Goal(f"{STREAMS} subscriptions at 1 update/s, core", "%", core, GOAL_CORE_PCT),
        Goal(f"{STREAMS} subscriptions, memory", "MB", memory, GOAL_MB),
    ]
    told = {"updates": updates, "seconds": seconds, "cpu_s": cpu}
    return goals, {"rates": rates, "same_fields": same, "told": told, "load": os.getloadavg()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2]))
    else:
        found, more = measured(quick="--quick" in sys.argv)
        show(found)
        write("bench_mcp", found, **more)
        sys.exit(0 if all(one.met for one in found) else 1)
