"""Which TLS versions and cipher suites a server takes, asked with hand-made ClientHellos.

No TLS library is asked: it would refuse to offer what is weak. Every suite number there is (65,536)
is offered to each version in batches; what the server chooses is noted and offered no more, until
it chooses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct

VERSIONS = {"SSLv3": 0x0300, "TLSv1.0": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303}
GROUPS = (29, 23, 24, 25, 30, 256, 257)
SIGNATURES = (
    0x0403,
    0x0503,
    0x0603,
    0x0804,
    0x0805,
    0x0806,
    0x0401,
    0x0501,
    0x0601,
    0x0201,
    0x0203,
)
HANDSHAKE, HELLO = 22, 2
BATCH = 8_192
WAIT_S = 60.0


def client_hello(version: int, suites: list[int], name: str, compression: bytes = b"\0") -> bytes:
    """One record: this version at most, these suites, our name."""
    host = name.encode()
    extensions = [
        (0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host),
        (10, _list(GROUPS)),
        (11, b"\1\0"),
        (13, _list(SIGNATURES)),
    ]
    if version == 0x0300:
        extensions = []
    packed = b"".join(struct.pack(">HH", kind, len(data)) + data for kind, data in extensions)
    body = struct.pack(">H", version) + secrets.token_bytes(32) + b"\0" + _list(suites)
    body += bytes([len(compression)]) + compression + struct.pack(">H", len(packed)) + packed
    message = b"\1" + len(body).to_bytes(3, "big") + body
    # A handshake message may be longer than a record.
    records = [message[i : i + 16_000] for i in range(0, len(message), 16_000)]
    return b"".join(
        bytes([HANDSHAKE]) + struct.pack(">HH", 0x0301, len(part)) + part for part in records
    )


def _list(numbers: tuple[int, ...] | list[int]) -> bytes:
    return struct.pack(f">H{len(numbers)}H", 2 * len(numbers), *numbers)


async def chosen(port: int, data: bytes) -> tuple[int, int] | None:
    """(version, suite) of the ServerHello; None for an alert or a closed connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(WAIT_S):
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[3:5], "big"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    if head[0] != HANDSHAKE or body[0] != HELLO:
        return None
    version, session = int.from_bytes(body[4:6], "big"), body[38]
    return version, int.from_bytes(body[39 + session : 41 + session], "big")


async def accepted(port: int, version: int, name: str) -> list[int]:
    """Every suite that the server takes at exactly this version, in its order of choice."""
    found: list[int] = []
    for start in range(0, 0x10000, BATCH):
        # 0x00FF and 0x5600 are signals, and GREASE values are nothing.
        offered = [n for n in range(start, start + BATCH) if n not in {0x00FF, 0x5600}]
        while (answer := await chosen(port, client_hello(version, offered, name))) is not None:
            assert answer[0] == version
            assert answer[1] in offered
            found.append(answer[1])
            offered.remove(answer[1])
    return found


async def takes_sslv2(port: int) -> bool:
    """An SSLv2 hello gets a server hello of its own kind."""
    hello = b"\1\0\2\0\3\0\0\0\x10\1\0\x80" + secrets.token_bytes(16)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(struct.pack(">H", 0x8000 | len(hello)) + hello)
        async with asyncio.timeout(WAIT_S):
            answer = await reader.read(3)
    except ConnectionError:
        return False
    finally:
        writer.transport.abort()
    return len(answer) == 3 and answer[2] == 4
