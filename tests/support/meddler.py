"""A relay between nginx and the real server that does to answers what networks and bugs do."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import zlib
from collections.abc import AsyncIterator

FAULTS = ("503", "429", "slow", "cut", "cut gzip", "bomb", "huge", "wrong", "html", "nothing")
MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BOMB_MEBIBYTES, HUGE_MEBIBYTES = 60, 20
WAIT_S = 120.0


class Meddler:
    """`fault` is "" for whole answers; `shift_s` moves every time in them; `seen` counts."""

    def __init__(self) -> None:
        self.upstream = 0
        self.fault = ""
        self.shift_s = 0
        self.seen = 0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Meddler]:
        """Listens on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._open):
                writer.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.seen += 1
            if self.fault:
                await self._hurt(self.fault, writer)
            else:
                await self._relay(head, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone
        finally:
            self._open.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _relay(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """One request to the real server; without one listening, what a proxy gets: nothing."""
        reader, upstream = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            lines = [
                line
                for line in head.split(b"\r\n")[:-2]
                if not line.lower().startswith((b"connection:", b"accept-encoding:"))
            ]
            upstream.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
            whole = await reader.read(-1)
            writer.write(MOMENT.sub(self._shifted, whole) if self.shift_s else whole)
            await writer.drain()
        finally:
            upstream.close()
            with contextlib.suppress(OSError):
                await upstream.wait_closed()

    def _shifted(self, found: re.Match[bytes]) -> bytes:
        moment = dt.datetime.fromisoformat(found[0].decode()) + dt.timedelta(seconds=self.shift_s)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03d}Z".encode()

    async def _hurt(self, fault: str, writer: asyncio.StreamWriter) -> None:
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        if fault in {"503", "429"}:
            status = b"503 Service Unavailable" if fault == "503" else b"429 Too Many Requests"
            writer.write(b"HTTP/1.1 " + status + b"\r\nRetry-After: 1\r\nContent-Length: 6\r\n\r\n")
            writer.write(b"<html>")
        elif fault == "slow":
            writer.write(start + b"Content-Length: 100000\r\n\r\n")
            for _ in range(int(WAIT_S / 0.2)):
                writer.write(b"[")
                await writer.drain()
                await asyncio.sleep(0.2)
        elif fault == "cut":
            writer.write(start + b'Content-Length: 5000\r\n\r\n{"symbol": "BTC')
        elif fault == "cut gzip":
            body = zlib.compress(b'{"symbol": "BTCUSDT"}' * 99, wbits=31)[:-9]
            writer.write(start + b"Content-Encoding: gzip\r\n" + _length(body) + body)
        elif fault == "bomb":
            writer.write(start + b"Content-Encoding: gzip\r\n\r\n")
            await self._zeros(writer, BOMB_MEBIBYTES, zlib.compressobj(9, wbits=31))
        elif fault == "huge":
            writer.write(start + b"\r\n")
            await self._zeros(writer, HUGE_MEBIBYTES, None)
        elif fault == "wrong":
            writer.write(start + _length(b'{"symbol": 5}') + b'{"symbol": 5}')
        elif fault == "html":
            writer.write(start + _length(b"<html>log in</html>") + b"<html>log in</html>")
        await writer.drain()

    async def _zeros(self, writer: asyncio.StreamWriter, count: int, packed: object) -> None:
        piece = b"0" * (1 << 20)
        for _ in range(count):
            writer.write(packed.compress(piece) if packed is not None else piece)  # type: ignore[attr-defined]
            await writer.drain()
        if packed is not None:
            writer.write(packed.flush())  # type: ignore[attr-defined]


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body)
