"""A loopback Binance spot that sends pre-encoded frames as fast as the reader takes, or paced.

`python -m bench.blast COUNT RATE` prints two ports: TLS WebSocket, and REST.
RATE 0 is a blast. Frames are aggTrades of 100 symbols, Zipf distributed, ids consecutive.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import ssl
import sys
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from simulator.wire.session import framed

SYMBOLS = [f"C{number:03d}USDT" for number in range(100)]
SLICE_BYTES = 1 << 18
START_MS = 1_795_000_000_000
CERTIFICATE = Path("build/bench.pem")


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


def frames(count: int, *, stamped: bool) -> list[bytes | tuple[str, str]]:
    """Encoded frames; with `stamped`, heads and tails around a time to be filled in."""
    draw = random.Random(7)
    weights = [1 / (place + 1) for place in range(len(SYMBOLS))]
    chosen = draw.choices(range(len(SYMBOLS)), weights, k=count)
    ticks = [draw.randrange(10_000, 6_000_000) for _ in SYMBOLS]
    keys = [1_000] * len(SYMBOLS)
    at = START_MS
    made: list[bytes | tuple[str, str]] = []
    for place in chosen:
        symbol = SYMBOLS[place]
        ticks[place] = max(100, ticks[place] + draw.choice((-1, 0, 0, 0, 1)))
        keys[place] += 1
        at += draw.random() < 0.1
        key, price = keys[place], f"{ticks[place] // 100}.{ticks[place] % 100:02d}000000"
        size = f"{draw.randrange(1, 9)}.{draw.randrange(1_000):03d}00000"
        maker = "true" if draw.random() < 0.5 else "false"
        head = f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":'
        tail = (
            f',"s":"{symbol}","a":{key},"p":"{price}","q":"{size}","f":{key},"l":{key},"T":%s,'
            f'"m":{maker},"M":true}}}}'
        )
        if stamped:
            made.append((head, tail))
        else:
            made.append(framed(f"{head}{at + 1}{tail % at}").encode("latin-1"))
    return made


def rest(path: str) -> object:
    """Just enough REST to be listed."""
    if "exchangeInfo" in path:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ]
        row = {"status": "TRADING", "quoteAsset": "USDT", "filters": filters}
        return {"symbols": [{"symbol": s, "baseAsset": s[:-4], **row} for s in SYMBOLS]}
    return {"serverTime": START_MS} if "time" in path else []


def answer(connection: ServerConnection, request: Request) -> Response | None:
    """REST on the WebSocket's port."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return None
    body = msgspec.json.encode(rest(request.path))
    headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json"})
    return Response(HTTPStatus.OK, "OK", headers, body)


async def drained(connection: ServerConnection) -> None:
    """Wait for the reader."""
    while connection.transport.get_write_buffer_size() > SLICE_BYTES:  # noqa: ASYNC110
        await asyncio.sleep(0.0005)


async def blast(connection: ServerConnection, blob: bytes) -> None:
    """Everything, as fast as it is read, then silence."""
    for start in range(0, len(blob), SLICE_BYTES):
        connection.transport.write(blob[start : start + SLICE_BYTES])
        await drained(connection)
    await connection.wait_closed()


async def pace(
    connection: ServerConnection, parts: list[bytes | tuple[str, str]], rate: float
) -> None:
    """`rate` frames a second, stamped with the time they are sent."""
    began, sent = time.monotonic(), 0
    while sent < len(parts):
        due = min(len(parts), int((time.monotonic() - began) * rate))
        now = str(time.time_ns() // 1_000_000)
        batch = [framed(f"{p[0]}{now}{p[1] % now}") for p in parts[sent:due] if p]  # type: ignore[operator]
        if batch:
            connection.transport.write("".join(batch).encode("latin-1"))
        sent = due
        await asyncio.sleep(0.001)
    await connection.wait_closed()


async def main() -> None:
    """Serve until killed."""
    count, rate = int(sys.argv[1]), float(sys.argv[2])
    made = frames(count, stamped=rate > 0)
    blob = b"" if rate else b"".join(made)  # type: ignore[arg-type]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate())

    async def handler(connection: ServerConnection) -> None:
        await (pace(connection, made, rate) if rate else blast(connection, blob))

    async with (
        serve(
            handler, "127.0.0.1", 0, ssl=context, process_request=answer, compression=None
        ) as server,
        serve(handler, "127.0.0.1", 0, process_request=answer) as plain,
    ):
        ports = (s.sockets[0].getsockname()[1] for s in (server, plain))
        print(*ports, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
