"""Wrong keys from many addresses through nginx, against a server with the real cost of a hash.

`make attack` tries 1,000 (ATTACK_KEYS) and writes build/attack_keys.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from edge_support import Edge, edge
from served_process import Served, served

from backbone.keys.text import KeyText, new_key

KEYS = int(os.environ.get("ATTACK_KEYS", "40"))
FULL = 1_000
EACH = 8
"""Wrong keys of an address: fewer than it may try in a minute, so that every one costs a hash."""
AT_ONCE = 24
VALID_S = 0.02
PATH = "/volume_profile/BTCUSDT?timeframe=1h&detail=summary"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]


async def tried(made: Edge, context: ssl.SSLContext, key: str, number: int) -> str:
    """The status one key gets, from an address of its own among many."""
    address = f"127.1.{number // EACH // 250}.{number // EACH % 250 + 1}"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", made.https, ssl=context, server_hostname="localhost", local_addr=(address, 0)
    )
    lines = [f"GET {PATH} HTTP/1.1", "Host: localhost", f"X-API-Key: {key}", "Connection: close"]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        async with asyncio.timeout(300):
            return (await reader.readline()).split()[1].decode()
    finally:
        writer.transport.abort()


async def attack(made: Edge, known_id: str) -> Counter[str]:
    """Every second key has an id that exists."""
    context = made.tls()
    statuses: Counter[str] = Counter()
    left = list(range(KEYS))

    async def worker() -> None:
        while left:
            number = left.pop()
            wrong = KeyText(known_id if number % 2 else new_key().id, new_key().secret)
            statuses[await tried(made, context, wrong.text, number)] += 1

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return statuses


async def valid(client: httpx2.AsyncClient, until: asyncio.Event) -> list[float]:
    """Seconds that a good key waited, sorted."""
    times = []
    while not until.is_set():
        began = time.perf_counter()
        answer = await client.get(PATH)
        times.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(VALID_S)
    return sorted(times)


async def measured(client: httpx2.AsyncClient, server: Served, work: Any) -> dict[str, Any]:
    """p50 and p99 of good requests, and busy cores of the server, while the work goes on."""
    until = asyncio.Event()
    asking = asyncio.create_task(valid(client, until))
    cpu_s, began = server.cpu_s(), time.monotonic()
    result = await work
    took = time.monotonic() - began
    cores = (server.cpu_s() - cpu_s) / took
    until.set()
    times = await asking
    return {
        "result": result,
        "seconds": round(took, 2),
        "cores": round(cores, 3),
        "p50_ms": round(times[len(times) // 2] * 1e3, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2),
        "requests": len(times),
    }


async def test_wrong_keys(tmp_path: Path, root: Path) -> None:
    """None gets in; the server spends at most one core on them; good keys are served meanwhile."""
    async with served(tmp_path) as server:
        known_id = server.key[5:17]
        plans = tmp_path / "plans.map"
        plans.write_text(f"{known_id} fast;\n")
        async with edge(tmp_path / "edge", server.port, EDGE_PLANS=str(plans)) as made:
            headers = {"X-API-Key": server.key}
            client = httpx2.AsyncClient(
                base_url=made.url, verify=made.tls(), headers=headers, timeout=120
            )
            async with client:
                assert (await client.get(PATH)).status_code == 200
                quiet = await measured(client, server, asyncio.sleep(20 if KEYS >= FULL else 2))
                attacked = await measured(client, server, attack(made, known_id))
    statuses = attacked["result"]
    ratio = attacked["p99_ms"] / quiet["p99_ms"]
    told = {
        "keys": KEYS,
        "statuses": statuses,
        "accepted": statuses.get("200", 0),
        "quiet": quiet,
        "attacked": attacked,
        "p99_ratio": round(ratio, 2),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(told))
    assert sum(statuses.values()) == KEYS
    assert set(statuses) <= {"401", "429", "503"}
    if KEYS >= FULL:
        (root / "build").mkdir(exist_ok=True)
        (root / "build/attack_keys.json").write_text(json.dumps(told, indent=1))
        assert attacked["cores"] <= 1 + quiet["cores"], told
