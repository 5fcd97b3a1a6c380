"""A server over a market that moves when the test says so, and readers of its stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import httpx2

from backbone.settings import read_settings
from backbone.store.memory import MemoryStore
from mcp_server.app import build_app, build_server
from mcp_server.queries import Queries
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor.engine import Engine
from processor.live import ProcessorView

START_MS = 1_795_000_020_000
MINUTE_MS = 60_000
SYMBOLS = ("AAAUSDT", "BBBUSDT")
Message = dict[str, Any]


class Market:
    """Perpetuals of Binance that trade when told; the clock goes where it is put."""

    def __init__(self, symbols: tuple[str, ...] = SYMBOLS) -> None:
        self.now = START_MS
        self.engine = Engine({name: Decimal("0.05") for name in symbols})
        self.names = [f"binance:perp:{symbol}" for symbol in symbols]
        self.keys = dict.fromkeys(self.names, 0)
        for symbol in symbols:
            self.engine.handle(
                InstrumentChanged(
                    venue="binance",
                    market="perp",
                    symbol=symbol,
                    base=symbol[:-4],
                    quote="USDT",
                    tick_size=Decimal("0.01"),
                    lot_size=Decimal("0.001"),
                    sequence="consecutive",
                    last_price=Decimal(100),
                )
            )
        self.engine.handle(Connected(self.names, "test", 0))
        self.engine.handle(Watermark(self.names, START_MS, "test"))
        self.view = ProcessorView(self.engine, "simulated", lambda name: self.now)
        self.view.restored = True

    def trade(self, name: str, count: int = 1, at_ms: int | None = None) -> None:
        """Trades of one instrument now."""
        first = self.keys[name]
        keys = list(range(first, first + count))
        self.keys[name] = first + count
        self.engine.handle(
            TradeBatch(
                instrument=name,
                key=keys,
                event_ms=[self.now if at_ms is None else at_ms] * count,
                price_ticks=[10_000 + (key * 7) % 50 for key in keys],
                qty_lots=[1 + key % 9 for key in keys],
                side=[key % 2 for key in keys],
                seq=keys,
                n_trades=[1] * count,
                first_trade_id=keys,
                last_trade_id=keys,
            )
        )

    def pass_ms(self, span_ms: int) -> None:
        """Time goes on, and minutes close that are due."""
        self.now += span_ms
        self.engine.handle(Watermark(self.names, self.now, "test"))
        for name in self.names:
            self.engine.advance_one(name, self.now, self.now)


class Served:
    """A running server. `hub` looks when `look` is called, and by itself."""

    def __init__(self, market: Market, app: Any, server: Any, client: httpx2.AsyncClient) -> None:
        self.market = market
        self.app = app
        self.socket = server.servers[0].sockets[0]
        self.port = int(self.socket.getsockname()[1])
        self.client = client
        self.hub = app.state.hub

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, but not for ever."""
        async with asyncio.timeout(120):
            while not condition():  # noqa: ASYNC110 (any condition, bounded)
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def events(
        self, query: str, last: str | None = None, **headers: str
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """Messages of one connection; leaving cuts it."""
        if last is not None:
            headers = {**headers, "Last-Event-ID": last}
        address = f"{self.url}/stream?{query}"
        async with self.client.stream("GET", address, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            messages = messages_of(answer)
            try:
                yield messages
            finally:
                await messages.aclose()  # type: ignore[attr-defined]


async def messages_of(answer: httpx2.Response) -> AsyncIterator[Message]:
    """Server-sent events as a browser reads them; `id` beside what the message says."""
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            found[name] = value
            continue
        if "data" in found:
            message = json.loads(found["data"])
            assert message["type"] == found["event"]
            assert message.get("cursor") == found.get("id")
            yield message
        found = {}


@contextlib.asynccontextmanager
async def served(market: Market | None = None, **settings: Any) -> AsyncIterator[Served]:
    """A server of this process on a free port."""
    made = market or Market()
    store = MemoryStore()
    await store.open("simulated")
    chosen = read_settings({}, port=0, key_cost=4, **settings)
    app = build_app(Queries(made.view, store, list), chosen, lambda: (b"", "text/plain"))
    app.state.store = store
    server = build_server(app, chosen)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has a flag)
            await asyncio.sleep(0.01)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx2.AsyncClient(timeout=120, limits=limits) as client:
            yield Served(made, app, server, client)
    finally:
        server.close_streams()
        server.should_exit = True
        await serving
        await store.close()
