"""The real command in a process of its own, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

WAIT_S = 150.0


@asynccontextmanager
async def wadm_up(
    folder: Path,
    urls: dict[str, str],
    port: int,
    environ: dict[str, str] | None = None,
    stop_s: float = 60.0,
) -> AsyncIterator[Any]:
    """`wadm up` for Binance's BTCUSDT, pointed at a simulator."""
    settings = {
        "data_dir": str(folder),
        "port": str(port),
        "symbols": "BTCUSDT",
        "venues": "binance",
        "clock_poll_s": "1",
        **urls,
    }
    named = {f"WADM_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "wadm",
        "up",
        env={**os.environ, **named, **(environ or {})},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), stop_s)


async def stream_lines(client: httpx2.AsyncClient, port: int) -> list[dict[str, Any]]:
    """Streams of /status; none while nothing answers."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/status")
    except httpx2.HTTPError:
        return []
    lines: list[dict[str, Any]] = answer.json().get("streams", [])
    return lines


async def wait_for(
    client: httpx2.AsyncClient, port: int, count: int, wait_s: float = WAIT_S
) -> None:
    """Until so many trades are applied."""
    async with asyncio.timeout(wait_s):
        while True:
            lines = await stream_lines(client, port)
            if sum(line["applied"] for line in lines) >= count:
                return
            await asyncio.sleep(0.05)


async def final_bars(
    client: httpx2.AsyncClient,
    port: int,
    names: Sequence[str],
    span: dict[str, str],
    count: int,
    wait_s: float = WAIT_S,
) -> list[tuple[str, str]]:
    """(name and start, content hash) of every minute, once so many are there and final."""
    bars: list[dict[str, Any]] = []
    async with asyncio.timeout(wait_s):
        while True:
            bars = [bar for name in names for bar in await _bars(client, port, name, span)]
            if len(bars) == count and all(bar["final"] for bar in bars):
                return [(f"{b['name']} {b['period_start']}", b["content_hash"]) for b in bars]
            await asyncio.sleep(0.1)


async def _bars(
    client: httpx2.AsyncClient, port: int, name: str, span: dict[str, str]
) -> list[dict[str, Any]]:
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/footprint/{name}", params=span)
    except httpx2.HTTPError:
        return []
    return [{"name": name, **bar} for bar in answer.json().get("bars", [])]
