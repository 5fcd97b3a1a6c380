"""Cursor test: readers whose connections are cut again and again while the market moves.

Every reader keeps what a client keeps, its newest cursor and the newest state, and is cut wherever
it is. Told twice: a message whose cursor it had. Lost: it ends in another state than the server,
or was told to begin anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from bench.goals import Goal

AT_ONCE = 20
WAIT_S = 60.0
CHANGES = ("upsert", "final", "revision")


class CutReader:
    """What one client keeps over its connections."""

    def __init__(self, port: int, query: str) -> None:
        self.trades = self.twice = self.resets = self.cuts = 0
        self._port, self._query = port, query
        self._cursor: str | None = None
        self._known: set[str] = set()

    async def cut(self, count: int) -> None:
        """So many connections, each cut after one to three messages."""
        for _ in range(count):
            async with self._connection() as lines:
                for _ in range(1 + self.cuts % 3):
                    self._take(await _message(lines))
            self.cuts += 1

    async def finish(self) -> None:
        """Read until nothing is left but silence."""
        async with self._connection() as lines:
            while (message := await _message(lines))["type"] != "heartbeat":
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        self._cursor = message.get("cursor", self._cursor)
        if message["type"] == "reset":
            self.resets += 1
        elif message["type"] == "snapshot" and message["items"]:
            self.trades = message["items"][-1]["data"]["total_trades"]
        elif message["type"] in CHANGES:
            self.twice += message["cursor"] in self._known
            self._known.add(message["cursor"])
            self.trades = message["data"]["total_trades"]

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncio.StreamReader]:
        """The lines of one connection, which is cut without a word."""
        place = "" if self._cursor is None else f"&cursor={self._cursor}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(
            f"GET /stream?{self._query}&heartbeat_s=1{place} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{self._port}\r\n\r\n".encode()
        )
        try:
            yield reader
        finally:
            writer.transport.abort()


async def _message(lines: asyncio.StreamReader) -> dict[str, Any]:
    """The next message; ConnectionError at the end of the stream."""
    async with asyncio.timeout(WAIT_S):
        while line := await lines.readline():
            if line.startswith(b"data: "):
                found: dict[str, Any] = json.loads(line[6:])
                return found
    raise ConnectionError("the server closed the stream")


async def cut_readers(port: int, query: str, count: int) -> list[CutReader]:
    """`count` forced reconnects, shared by readers beside each other."""
    readers = [CutReader(port, query) for _ in range(AT_ONCE)]
    await asyncio.gather(*(reader.cut(count // AT_ONCE) for reader in readers))
    return readers


async def judged(readers: list[CutReader], made: int) -> list[Goal]:
    """Nothing twice, nothing lost, once the market stands still after `made` trades."""
    await asyncio.gather(*(reader.finish() for reader in readers))
    cuts = sum(reader.cuts for reader in readers)
    lost = sum(reader.resets + (reader.trades != made) for reader in readers)
    return [
        Goal("forced reconnects", "", cuts, cuts, "least"),
        Goal("lost over them", "", lost, 0),
        Goal("told twice over them", "", sum(reader.twice for reader in readers), 0),
    ]
