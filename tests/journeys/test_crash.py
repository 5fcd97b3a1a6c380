"""kill -9 in mid-play, then start: final bars equal those of an undisturbed run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from journeys_support import journey

from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes import load_tape

SPEED = 20.0
SPAN = {"start": "2024-08-08T23:54:00Z", "end": "2024-08-09T00:00:00Z", "timeframe": "1m"}
MARKETS = ("spot", "perp")


@asynccontextmanager
async def wadm_up(folder: Path, urls: dict[str, str], port: int) -> AsyncIterator[Any]:
    """The real command in a process of its own, pointed at the simulator."""
    settings = {
        "data_dir": str(folder),
        "port": str(port),
        "symbols": "BTCUSDT",
        "venues": "binance",
        "clock_poll_s": "1",
        **urls,
    }
    environ = {f"WADM_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "wadm",
        "up",
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


async def applied(client: httpx2.AsyncClient, port: int) -> int:
    """Trades applied so far; 0 while nothing answers."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/status")
    except httpx2.HTTPError:
        return 0
    return sum(line["applied"] for line in answer.json()["streams"])


async def wait_for(client: httpx2.AsyncClient, port: int, count: int) -> None:
    async with asyncio.timeout(90):
        while await applied(client, port) < count:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.05)


async def asked(client: httpx2.AsyncClient, url: str) -> list[dict[str, Any]]:
    """Bars, or none while the server is not there yet."""
    try:
        answer = await client.get(url, params=SPAN)
    except httpx2.HTTPError:
        return []
    bars: list[dict[str, Any]] = answer.json().get("bars", [])
    return bars


async def final_bars(client: httpx2.AsyncClient, port: int) -> list[tuple[str, str]]:
    """(start, content hash) of every minute of both markets, once all of them are final."""
    async with asyncio.timeout(90):
        while True:
            bars: list[tuple[str, str]] = []
            final = True
            for market in MARKETS:
                url = f"http://127.0.0.1:{port}/footprint/binance:{market}:BTCUSDT"
                for bar in await asked(client, url):
                    final = final and bar["final"]
                    bars.append((f"{market} {bar['period_start']}", bar["content_hash"]))
            if final and len(bars) == 12:
                return bars
            await asyncio.sleep(0.1)


def tapes(shared: Path) -> list[Tape]:
    folder = shared / "data/hftbacktest"
    names = ("spot_btcusdt_20240808", "usdm_btcusdt_20240808")
    return [load_tape(folder / f"{name}.gz") for name in names]


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_killed_three_times(shared: Path, tmp_path: Path, unused_port: int) -> None:
    """The process is killed three times in mid-play; the last one finds every bar whole."""
    async with journey(tmp_path / "calm", tapes(shared)) as trip:
        await trip.until_played()
        calm = []
        for market in MARKETS:
            answer = await trip.get(f"/footprint/binance:{market}:BTCUSDT", **SPAN)
            calm += [(f"{market} {b['period_start']}", b["content_hash"]) for b in answer["bars"]]
    folder = tmp_path / "killed"
    async with (
        Simulator(tapes(shared), speed=SPEED, start_after=2) as simulator,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        for goal in (2_000, 6_000, 11_000):
            async with wadm_up(folder, simulator.urls, unused_port) as process:
                await wait_for(client, unused_port, goal)
                process.kill()
        async with wadm_up(folder, simulator.urls, unused_port):
            assert await final_bars(client, unused_port) == calm
            status = await client.get(f"http://127.0.0.1:{unused_port}/status")
            for line in status.json()["streams"]:
                assert line["gaps_lost"] == 0
                assert line["received"] == (
                    line["applied"] + line["duplicates"] + line["quarantined"]
                )
