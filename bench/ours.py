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
from bench.blast import WARM
from bench.tape import SYMBOLS
from processor.stream import Stream
from wadm import loops
from wadm.compose import SIMULATED, System, opened_store, spare_the_collector

PROBE_S = 0.001
SETTLED_S = 4.0


class Probe:
    """The longest turn of the event loop: wall time, and the loop thread's own work in it.

    On a busy machine the first contains the time that others had the core; the second does not.
    """

    def __init__(self) -> None:
        self.wall_s = self.work_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        wall, work = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(PROBE_S)
            now, used = time.perf_counter(), time.thread_time()
            self.wall_s = max(self.wall_s, now - wall - PROBE_S)
            self.work_s = max(self.work_s, used - work)
            wall, work = now, used

    async def begin(self) -> None:
        """Start over, behind the turn that is under way."""
        await asyncio.sleep(10 * PROBE_S)
        self.worst()

    def worst(self) -> dict[str, float]:
        """Both in milliseconds, and start over."""
        found = {"stall_ms": self.wall_s * 1e3, "stall_work_ms": self.work_s * 1e3}
        self.wall_s = self.work_s = 0.0
        return found


def venue_settings(venue: str, ports: list[int]) -> dict[str, str]:
    """Where the venue is; of Bybit one connection, because its peer keeps one."""
    ws, rest = f"wss://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
    if venue == "bybit":
        market = {"markets": "perp", "derivatives": "off", "instance": "bench"}
        return {"venues": venue, **market, "bybit_ws_url": ws, "bybit_rest_url": rest}
    market = {"markets": "spot", "binance_spot_ws_url": ws, "binance_spot_rest_url": rest}
    return {"venues": venue, **market}


async def run(ports: list[int], count: int, venue: str, *, paced: bool) -> dict[str, Any]:
    """Collect everything; paced runs also ask the server how old its newest trade is."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(
            {},
            symbols=",".join(SYMBOLS),
            data_dir=folder,
            port=0,
            **venue_settings(venue, ports),
        )
        async with opened_store(settings, SIMULATED) as store:
            system = System(settings, store, SIMULATED)
            probe = Probe()
            probing = asyncio.create_task(probe.run())
            async with system.running(), httpx2.AsyncClient() as client:
                await settled(system)
                spare_the_collector()
                idle = await _idle(probe)
                await client.get(f"http://127.0.0.1:{ports[1]}/go")
                found = await measure(system, client, probe, count, paced=paced)
            probing.cancel()
            return found | {f"idle_{name}": value for name, value in idle.items()}


async def settled(system: System) -> None:
    """The warm part was applied and what was asked of the venue at the start was answered.

    Not longer than `SETTLED_S`: while nothing comes the clock goes on, and so do the questions.
    """
    while _applied(system) < WARM:  # noqa: ASYNC110 (the only sign there is)
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    until = time.monotonic() + SETTLED_S
    while any(s.repairs.book for s in _streams(system).values()):
        if time.monotonic() > until:
            return
        await asyncio.sleep(0.02)


async def _idle(probe: Probe) -> dict[str, float]:
    """The same probe while nothing comes in."""
    await probe.begin()
    await asyncio.sleep(0.5)
    return probe.worst()


def _streams(system: System) -> dict[str, Stream]:
    return system.processor.engine.streams


def _applied(system: System) -> int:
    return sum(stream.ledger.counts.applied for stream in _streams(system).values())


async def measure(
    system: System, client: httpx2.AsyncClient, probe: Probe, count: int, *, paced: bool
) -> dict[str, Any]:
    """From the first trade behind the warm ones to the last."""
    streams, first = _streams(system), _applied(system)
    ages: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    url = f"http://127.0.0.1:{system.port}/order_flow/{SYMBOLS[0]}"
    while _applied(system) < count:
        await asyncio.sleep(0.02)
        if any(feed.dropped for feed in system.feeds()):
            raise RuntimeError("the reader got too little of the core: trades were dropped")
        if paced:
            answer = await client.get(url, params={"period": "5s", "detail": "summary"})
            newest = streams[f"binance:spot:{SYMBOLS[0]}"].last_event_ms
            if answer.status_code == 200:
                ages.append(time.time_ns() / 1e6 - newest)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    ages.sort()
    return {
        "trades": _applied(system) - first,
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
        "p50_ms": ages[len(ages) // 2] if ages else None,
        "p99_ms": ages[int(len(ages) * 0.99)] if ages else None,
        **probe.worst(),
        "minutes": sum(stream.closed_minutes for stream in streams.values()),
        "gaps": sum(len(s.evidence.open_holes()) + s.lost_gaps for s in streams.values()),
    }


def main() -> None:
    """PORT REST_PORT COUNT paced|blast [binance|bybit]."""
    os.sched_setaffinity(0, {0})
    configure_logs("error")
    ports, count = [int(sys.argv[1]), int(sys.argv[2])], int(sys.argv[3])
    venue = sys.argv[5] if len(sys.argv) > 5 else "binance"
    print(json.dumps(loops.run(run(ports, count, venue, paced=sys.argv[4] == "paced"))))


if __name__ == "__main__":
    main()
