"""A loopback venue that sends made frames as fast as the reader takes, or (Binance only) paced.

`python -m bench.blast COUNT RATE [binance|bybit [SYMBOLS STAMPS]]` prints two ports: TLS WebSocket,
and REST; RATE 0 is a blast. STAMPS is the file of `bench/stamps.py`.
The first `WARM` trades come at once; the others when the reader asks REST for `/go`, so that what a
reader does once, at its start, is measured of nobody. What is paced may come over several
connections, each with the symbols it asked for. `/ask?PORT&RATE&KEY` lets `bench/asking.py` ask a
reader while it is paced, and `/figures` says what was sent and found.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import sys
import tempfile
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

from bench.asking import Asker
from bench.pacing import Pace
from bench.stamps import Stamps
from bench.tape import FILLS, NAMES, START_MS, SYMBOLS, bybit_frames, frames
from simulator.wire.session import framed
from wadm import loops

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


def rest(path: str, symbols: list[str]) -> object:
    """Just enough REST to be listed."""
    if path.startswith("/v5/"):
        return {"retCode": 0, "retMsg": "OK", "result": bybit_rest(path), "time": START_MS}
    if "exchangeInfo" in path:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ]
        row = {"status": "TRADING", "quoteAsset": "USDT", "filters": filters}
        return {"symbols": [{"symbol": s, "baseAsset": s[:-4], **row} for s in symbols]}
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

    def __init__(
        self, count: int, rate: float, venue: str, symbols: int = len(SYMBOLS), stamps: str = ""
    ) -> None:
        self.count, self.symbols = count, NAMES[:symbols]
        self.go = asyncio.Event()
        self.pace: Pace | None = None
        self.asker: Asker | None = None
        self._works: list[asyncio.Task[None]] = []
        if rate:
            path = Path(stamps or tempfile.mkstemp()[1])
            self.pace = Pace(count, rate, symbols, Stamps(path, fresh=not stamps))
            if not stamps:
                path.unlink()
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
        told = self._told(request.path)
        body = msgspec.json.encode(rest(request.path, self.symbols) if told is None else told)
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json"})
        return Response(HTTPStatus.OK, "OK", headers, body)

    def _told(self, path: str) -> object | None:
        """The bench's own questions; None for the venue's."""
        word, _, rest_of = path.partition("?")
        if word == "/go":
            if self.asker is not None and self.pace is not None:
                self.pace.heard = self.asker.heard
            self.go.set()
        elif word == "/ask" and self.pace is not None:
            port, rate, key = rest_of.split("&")
            self.asker = Asker(self.pace, int(port), int(rate), key)
            self._works.append(asyncio.create_task(self.asker.run()))
        elif word == "/figures" and self.pace is not None:
            asked = {} if self.asker is None else self.asker.figures()
            return {"sent": self.pace.figures(), "asked": asked}
        return None if word not in {"/go", "/ask"} else {}

    async def serve(self, connection: ServerConnection) -> None:
        """Everything, then silence, to whoever asked for the trades of every symbol."""
        request = connection.request
        topics = request.path.partition("streams=")[2].split("/") if request else []
        wanted = _trades(topics)
        sending: asyncio.Task[None] | None = None
        if self.pace is not None:
            self._deal(self.pace, connection, topics)
        elif len(wanted) == len(SYMBOLS):
            sending = asyncio.create_task(self._send(connection))
        while True:
            try:
                message = await connection.recv()
            except ConnectionClosed:
                return
            if sending is not None:
                continue  # an answer between two slices would be in the middle of a frame
            asked = msgspec.json.decode(message)
            topics = asked.get("params") or asked.get("args") or []
            wanted |= _trades(topics)
            await connection.send(msgspec.json.encode(_granted(asked)))
            if self.pace is not None:
                self._deal(self.pace, connection, topics)
            elif len(wanted) == len(SYMBOLS):
                sending = asyncio.create_task(self._send(connection))

    def _deal(self, pace: Pace, connection: ServerConnection, topics: Iterable[str]) -> None:
        """These symbols go to this connection from now on."""
        for topic in topics:
            symbol, _, kind = topic.partition("@")
            place = NAMES.index(symbol.upper())
            if kind == "aggTrade":
                pace.writers[place] = connection.transport.write
            else:
                pace.candles_wanted.add(place)
        if not self._works:
            self._works.append(asyncio.create_task(self._paced(pace)))

    async def _paced(self, pace: Pace) -> None:
        await pace.start()
        await pace.run(WARM, last=False)
        await self.go.wait()
        await pace.run(self.count - WARM, last=True)

    async def _send(self, connection: ServerConnection) -> None:
        for part in self.parts:
            for start in range(0, len(part), SLICE_BYTES):
                connection.transport.write(part[start : start + SLICE_BYTES])
                await _drained(connection)
            await self.go.wait()
        await connection.wait_closed()


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
    symbols = int(sys.argv[4]) if len(sys.argv) > 4 else len(SYMBOLS)
    sender = Sender(int(sys.argv[1]), float(sys.argv[2]), venue, symbols, *sys.argv[5:6])
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
    # A blast goes on the loop that its figures so far were taken with.
    (loops.run if float(sys.argv[2]) else asyncio.run)(main())
