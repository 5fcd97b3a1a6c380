"""Malformed requests by the thousand against a server of its own: no 5xx, no traceback, no leak.

`make attack` sends 100,000 (ATTACK_REQUESTS) and writes build/attack.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from damaged import request
from served_process import SCRIPT, Served, served

REQUESTS = int(os.environ.get("ATTACK_REQUESTS", "800"))
EXAMPLES = max(2, REQUESTS // 1_000)
"""Of schemathesis, for each operation."""
FULL = 50_000
PHASES = "examples,coverage,fuzzing" if REQUESTS >= FULL else "examples,fuzzing"
WARM = 0.1
"""Part of the requests after which memory is measured for the first time."""
MOST_GROWTH = 0.05
WORKERS = 8
INSIDE = (b"Traceback", b"site-packages", b'File "', b"mcp_server/")
pytestmark = pytest.mark.timeout(3_000)


async def sent(port: int, data: bytes, *, whole: bool = True) -> bytes:
    """One connection, one request, all that came back within a while; what is not whole is ended
    by closing our half."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(data)
        await writer.drain()
        if not whole:
            await asyncio.sleep(0.02)
            writer.write_eof()
        async with asyncio.timeout(20):
            while part := await reader.read(1 << 16):
                answer += part
    writer.transport.abort()
    return answer


async def closed_session(server: Served, answer: bytes) -> None:
    """Sessions that a message happened to open are not left to their idle limit."""
    name = b"mcp-session-id: "
    if name in answer:
        session = answer.partition(name)[2].split(b"\r\n", 1)[0].decode()
        head = f"DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {server.key}\r\n"
        end = f"Mcp-Session-Id: {session}\r\nConnection: close\r\n\r\n"
        await sent(server.port, (head + end).encode())


async def attacked(server: Served, count: int, seed: int) -> Counter[str]:
    """Send them; statuses by first digit, as seen from outside."""
    seen: Counter[str] = Counter()

    async def worker(number: int) -> None:
        draw = random.Random(seed * 1_000 + number)
        for _ in range(number, count, WORKERS):
            data, whole = request(draw, server.key)
            answer = await sent(server.port, data, whole=whole)
            assert not any(word in answer for word in INSIDE), (data, answer)
            seen[answer[9:12].decode("latin-1") if answer else "none"] += 1
            await closed_session(server, answer)

    await asyncio.gather(*(worker(number) for number in range(WORKERS)))
    return seen


def schemathesis(server: Served) -> None:
    """Its own command, with wrong and right values, for every operation of the document."""
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        pytest.skip("schemathesis is not installed")
    done = subprocess.run(
        [
            *(command, "run", f"http://127.0.0.1:{server.port}/openapi.json", "--mode", "all"),
            *("--max-examples", str(EXAMPLES), "--seed", "5", "--no-shrink", "--no-color"),
            *("--phases", PHASES, "--suppress-health-check", "all"),
            *("--checks", "not_a_server_error"),
            *("--exclude-path-regex", "wait|health|readyz|stream"),
            *("--header", f"X-API-Key: {server.key}", "--generation-database", "none"),
            *("--request-timeout", "60", "--max-time", "600", "--warnings", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPT.parents[1],
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]


async def test_malformed_requests(tmp_path: Path, root: Path) -> None:
    """Values, framing, bytes and messages that are wrong in every way: answers below 500 that show
    nothing of the inside, none of the server's log is a traceback, its memory stays what it was."""
    async with served(tmp_path) as server:
        if "ATTACK_REQUESTS" in os.environ:
            await asyncio.to_thread(schemathesis, server)
        warm = int(REQUESTS * WARM)
        seen = await attacked(server, warm, 1)
        before = server.rss_kb()
        seen += await attacked(server, REQUESTS - warm, 2)
        after = server.rss_kb()
        answered = await server.ended()
    growth = after / before - 1
    log = (tmp_path / "server.log").read_text()
    told = {
        "requests": sum(answered.values()),
        "raw_requests": REQUESTS,
        "answered": dict(sorted(answered.items())),
        "seen_outside": dict(sorted(seen.items())),
        "rss_kb": [before, after],
        "growth": round(growth, 4),
        "tracebacks": log.count("Traceback"),
    }
    print(json.dumps(told))
    if REQUESTS >= FULL:
        (root / "build").mkdir(exist_ok=True)
        (root / "build/attack.json").write_text(json.dumps(told, indent=1))
        assert growth < MOST_GROWTH, told
    assert [line for line in answered if line.startswith("other 5")] == [], told
    assert [code for code in seen if code.startswith("5")] in ([], ["503"]), told
    assert answered.get("other 200", 0) > REQUESTS / 50, told
    assert told["tracebacks"] == 0, log[-3_000:]
