"""A loopback venue that sends made frames as fast as the reader takes, or (Binance only) paced.

`python -m bench.blast COUNT RATE [binance|bybit]` prints two ports: TLS WebSocket, and REST; RATE 0
is a blast.
The first `WARM` trades come at once; the others when the reader asks REST for `/go`, so that what a
reader does once, at its start, is measured of nobody.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bench.tape import FILLS, START_MS, SYMBOLS, bybit_frames, drawn, frames, halves
from simulator.wire.session import framed

SLICE_BYTES = 1 << 18
CERTIFICATE = Path("build/bench.pem")
WARM = 40_000
"""Trades before the clock starts."""


def certificate() -> Path:
    """A self-signed certificate for loopback."""
    if CERTIFICATE.exists():
        return CERTIFICATE
    CERTIFICATE.parent.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251 (a certificate lives in wall time)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    CERTIFICATE.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return CERTIFICATE


def rest(path: str) -> object:
    """Just enough REST to be listed."""
    if path.startswith("/v5/"):
        return {"retCode": 0, "retMsg": "OK", "result": bybit_rest(path), "time": START_MS}
    if "exchangeInfo" in path:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ]
        row = {"status": "TRADING", "quoteAsset": "USDT", "filters": filters}
        return {"symbols": [{"symbol": s, "baseAsset": s[:-4], **row} for s in SYMBOLS]}
    return {"serverTime": START_MS} if "time" in path else []


def bybit_rest(path: str) -> object:
    """The same of Bybit."""
    if "time" in path:
        return {"timeSecond": str(START_MS // 1_000), "timeNano": f"{START_MS}000000"}
    if "instruments-info" not in path or "category=spot" in path:
        return {"list": [], "nextPageCursor": ""}
    row = {
        "status": "Trading",
        "quoteCoin": "USDT",
        "contractType": "LinearPerpetual",
        "priceFilter": {"tickSize": "0.01"},
        "lotSizeFilter": {"qtyStep": "0.001"},
    }
    found = [{"symbol": symbol, "baseCoin": symbol[:-4], **row} for symbol in SYMBOLS]
    return {"list": found, "nextPageCursor": ""}


class Sender:
    """What is sent, and whether the reader is ready for the second part."""

    def __init__(self, count: int, rate: float, venue: str) -> None:
        self.rate = rate
        self.go = asyncio.Event()
        self.stamped = [halves(trade) for trade in drawn(count)] if rate else []
        texts, warm = (
            (bybit_frames(count), WARM // FILLS) if venue == "bybit" else (frames(count), WARM)
        )
        made = [] if rate else [framed(text) for text in texts]
        self.parts = [
            "".join(part).encode("latin-1") for part in (made[:warm], made[warm:]) if part
        ]

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """REST on the WebSocket's port."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        if request.path == "/go":
            self.go.set()
        body = msgspec.json.encode(rest(request.path))
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json"})
        return Response(HTTPStatus.OK, "OK", headers, body)

    async def serve(self, connection: ServerConnection) -> None:
        """Everything, then silence, to whoever asked for the trades of every symbol."""
        request = connection.request
        wanted = _trades(request.path.partition("streams=")[2].split("/") if request else [])
        sending: asyncio.Task[None] | None = None
        if len(wanted) == len(SYMBOLS):
            sending = asyncio.create_task(self._send(connection))
        while True:
            try:
                message = await connection.recv()
            except ConnectionClosed:
                return
            if sending is not None:
                continue  # an answer between two slices would be in the middle of a frame
            asked = msgspec.json.decode(message)
            wanted |= _trades(asked.get("params") or asked.get("args") or [])
            await connection.send(msgspec.json.encode(_granted(asked)))
            if len(wanted) == len(SYMBOLS):
                sending = asyncio.create_task(self._send(connection))

    async def _send(self, connection: ServerConnection) -> None:
        if self.rate:
            await self._pace(connection, self.stamped[:WARM])
            await self.go.wait()
            await self._pace(connection, self.stamped[WARM:])
        for part in self.parts:
            for start in range(0, len(part), SLICE_BYTES):
                connection.transport.write(part[start : start + SLICE_BYTES])
                await _drained(connection)
            await self.go.wait()
        await connection.wait_closed()

    async def _pace(self, connection: ServerConnection, parts: list[tuple[str, str]]) -> None:
        """`rate` frames a second, stamped with the time they are sent."""
        began, sent = time.monotonic(), 0
        while sent < len(parts):
            due = min(len(parts), int((time.monotonic() - began) * self.rate))
            now = str(time.time_ns() // 1_000_000)
            batch = [framed(f"{head}{now}{tail % now}") for head, tail in parts[sent:due]]
            if batch:
                connection.transport.write("".join(batch).encode("latin-1"))
            sent = due
            await asyncio.sleep(0.001)


def _trades(topics: Iterable[str]) -> set[str]:
    """Those topics that are trades, of either venue."""
    return {t for t in topics if t.endswith("@aggTrade") or t.startswith("publicTrade.")}


def _granted(asked: dict[str, Any]) -> dict[str, Any]:
    """What the venue says to a subscription."""
    if "op" not in asked:
        return {"result": None, "id": asked["id"]}
    said = {"success": True, "ret_msg": "", "op": asked["op"], "conn_id": "bench"}
    return said | {"req_id": asked.get("req_id", "")}


async def _drained(connection: ServerConnection) -> None:
    """Wait for the reader."""
    while connection.transport.get_write_buffer_size() > SLICE_BYTES:  # noqa: ASYNC110
        await asyncio.sleep(0.0005)


async def main() -> None:
    """Serve until killed."""
    venue = sys.argv[3] if len(sys.argv) > 3 else "binance"
    sender = Sender(int(sys.argv[1]), float(sys.argv[2]), venue)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())
    options = {"process_request": sender.answer, "compression": None, "ping_interval": None}
    async with (
        serve(sender.serve, "127.0.0.1", 0, ssl=context, **options) as server,  # type: ignore[arg-type]
        serve(sender.serve, "127.0.0.1", 0, **options) as plain,  # type: ignore[arg-type]
    ):
        ports = (s.sockets[0].getsockname()[1] for s in (server, plain))
        print(*ports, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
