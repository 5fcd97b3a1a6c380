"""This system, socket to stored bar, on one pinned core; prints one JSON line."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from typing import Any

import httpx2

from backbone.settings import read_settings
from backbone.telemetry import configure_logs
from bench.blast import SYMBOLS
from wadm.compose import SIMULATED, System, opened_store, spare_the_collector


async def run(ports: list[int], count: int, *, paced: bool) -> dict[str, Any]:
    """Collect everything; paced runs also ask the server how old its newest trade is."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(
            {},
            symbols=",".join(SYMBOLS),
            venues="binance",
            markets="spot",
            data_dir=folder,
            port=0,
            binance_spot_ws_url=f"wss://127.0.0.1:{ports[0]}",
            binance_spot_rest_url=f"http://127.0.0.1:{ports[1]}",
        )
        async with opened_store(settings, SIMULATED) as store:
            system = System(settings, store, SIMULATED)
            async with system.running():
                spare_the_collector()
                return await measure(system, count, paced=paced)


async def measure(system: System, count: int, *, paced: bool) -> dict[str, Any]:
    """Time from the first applied trade to the last."""
    streams = system.processor.engine.streams

    def applied() -> int:
        return sum(stream.ledger.counts.applied for stream in streams.values())

    while applied() == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    began, cpu, first = time.perf_counter(), time.process_time(), applied()
    ages: list[float] = []
    system.stall.worst_ms()
    async with httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{system.port}/order_flow/{SYMBOLS[0]}"
        while applied() < count:
            await asyncio.sleep(0.02)
            if paced:
                answer = await client.get(url, params={"period": "5s", "detail": "summary"})
                newest = streams[f"binance:spot:{SYMBOLS[0]}"].last_event_ms
                if answer.status_code == 200:
                    ages.append(time.time_ns() / 1e6 - newest)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    ages.sort()
    return {
        "trades": applied() - first,
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
        "p50_ms": ages[len(ages) // 2] if ages else None,
        "p99_ms": ages[int(len(ages) * 0.99)] if ages else None,
        "stall_ms": system.stall.worst_ms(),
        "gaps": sum(len(s.evidence.open_holes()) + s.lost_gaps for s in streams.values()),
    }


def main() -> None:
    """PORT REST_PORT COUNT paced|blast."""
    os.sched_setaffinity(0, {0})
    configure_logs("error")
    ports, count, paced = (
        [int(sys.argv[1]), int(sys.argv[2])],
        int(sys.argv[3]),
        sys.argv[4] == "paced",
    )
    try:
        import uvloop

        result = uvloop.run(run(ports, count, paced=paced))
    except ImportError:
        result = asyncio.run(run(ports, count, paced=paced))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
