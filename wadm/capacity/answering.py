"""What an answer costs a server: new, known already, and by MCP, behind a key and its budget.

The client is a raw socket in the same process, a few microseconds that are counted with the rest.
"""

from __future__ import annotations

import asyncio
import json
from time import process_time

from backbone.keys.book import KeyBook, Terms
from backbone.settings import read_settings
from mcp_server.app import build_app, build_server
from mcp_server.queries import Queries
from wadm.capacity.market import NAMES, Market

CALLS, WARM = 200, 10
SYMBOL = NAMES[0]
PATH = f"/volume_profile/{SYMBOL}?timeframe=1h"
REVISION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
META = {
    f"{PREFIX}protocolVersion": REVISION,
    f"{PREFIX}clientCapabilities": {},
    f"{PREFIX}clientInfo": {"name": "capacity", "version": "1"},
}
TOOL = "get_volume_profile"
CALL = {"name": TOOL, "arguments": {"symbol": SYMBOL}, "_meta": META}
BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL})


async def answer_costs(market: Market, calls: int = CALLS) -> dict[str, float]:
    """A running server over the market's live view."""
    settings = read_settings({}, port=0, keys="required", key_cost=4)
    key, _ = await KeyBook(market.store, "capacity").create("c", 4, Terms(per_minute=10**9))
    queries = Queries(market.service.view, market.store, list)
    server = build_server(build_app(queries, settings, lambda: (b"", "text/plain")), settings)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has a flag)
        await asyncio.sleep(0.01)
    try:
        port = int(server.servers[0].sockets[0].getsockname()[1])
        asking = Asking(market, port, key.text)
        return await asking.measured(calls)
    finally:
        server.close_streams()
        server.should_exit = True
        await serving


class Asking:
    """One keep-alive connection."""

    def __init__(self, market: Market, port: int, key: str) -> None:
        self.market = market
        self.port = port
        shared = f"Host: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n"
        self.rest = f"GET {PATH} HTTP/1.1\r\n{shared}\r\n".encode()
        lines = [
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            f"MCP-Protocol-Version: {REVISION}",
            "Mcp-Method: tools/call",
            f"Mcp-Name: {TOOL}",
            f"Content-Length: {len(BODY)}",
        ]
        head = f"POST /mcp HTTP/1.1\r\n{shared}" + "\r\n".join([*lines, "", ""])
        self.mcp = head.encode() + BODY.encode()

    async def measured(self, calls: int) -> dict[str, float]:
        """Microseconds of processor time each, after some calls that warm up."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await self._us(self.rest, WARM, is_new=True)
            await self._us(self.mcp, WARM, is_new=True)
            new = await self._us(self.rest, calls, is_new=True)
            known = await self._us(self.rest, calls, is_new=False)
            mcp = await self._us(self.mcp, calls, is_new=True)
            size = await self._ask(self.rest)
        finally:
            self.writer.close()
            await self.writer.wait_closed()
        return {
            "rest_us_per_new_answer": new,
            "rest_us_per_known_answer": known,
            "mcp_us_per_call": mcp,
            "answer_bytes": float(size),
        }

    async def _us(self, request: bytes, count: int, *, is_new: bool) -> float:
        began = process_time()
        for _ in range(count):
            if is_new:
                self.market.service.engine.version += 1
            await self._ask(request)
        return (process_time() - began) * 1e6 / count

    async def _ask(self, request: bytes) -> int:
        """One answer's bytes; AssertionError when it was refused."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        assert " 200 " in head.split("\r\n", 1)[0], head  # noqa: S101 (a broken measurement)
        length = next(
            int(line.partition(":")[2])
            for line in head.split("\r\n")
            if line.lower().startswith("content-length:")
        )
        await self.reader.readexactly(length)
        return length
