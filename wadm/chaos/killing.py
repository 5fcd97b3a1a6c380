"""The kill loop: the real command, real sockets, SIGKILL at random moments while trades flow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from backbone.settings import Settings
from backbone.store import STORES
from orderflow.timeframe import MINUTE_MS
from simulator.faults import FaultPlan
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.chaos.house import ROWS, START_MS
from wadm.chaos.verdict import Outcome, compare

SECONDS_PER_KILL = 4.5
LONGEST_START_S = 30.0
SETTLE_S = 180.0
FIRST_LIFE_S = 8.0
"""The first life lasts until something is stored: what was never seen can't be lost."""
FAULTS = ("drop", "duplicate", "swap", "malformed", "ADL", "BT", "ZERO", "close", "abort")


MARKETS = (
    Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 150.0, 0.05),
    Market("binance:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 8.0, 0.05),
    Market("bybit:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 15.0, 0.05),
)
"""Binance spot takes most of the rate; USD-M pages weigh five times as much."""


def speed_for(rate: float, seed: int) -> float:
    """How fast the market must be played for so many records a second."""
    probe = synthetic_tape(START_MS, seed=seed, markets=MARKETS, end_ms=START_MS + MINUTE_MS - 1)
    usual = sum(len(track.counted) for track in probe.tracks) / 60
    return max(1.0, rate / usual)


@contextlib.asynccontextmanager
async def system(folder: Path, urls: dict[str, str], port: int) -> AsyncIterator[Any]:
    """`wadm up` in a process of its own, pointed at the simulator."""
    settings = {
        "data_dir": str(folder),
        "port": str(port),
        "symbols": "BTCUSDT",
        "row_sizes": ROWS,
        "clock_poll_s": "1",
        "backfill": "0",
        "log_level": "error",
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
            try:
                await asyncio.wait_for(process.wait(), LONGEST_START_S)
            except TimeoutError:
                process.kill()


class Watcher:
    """Asks one life of the system how it is."""

    def __init__(self, client: httpx2.AsyncClient, port: int) -> None:
        self.client = client
        self.base = f"http://127.0.0.1:{port}"

    async def streams(self) -> list[dict[str, Any]]:
        """Stream lines of /status; none while nothing answers."""
        try:
            answer = await self.client.get(self.base + "/status")
        except httpx2.HTTPError:
            return []
        found: list[dict[str, Any]] = answer.json()["streams"] if answer.status_code == 200 else []
        return found

    async def until(self, condition: Any, longest_s: float) -> float | None:
        """Seconds until the streams meet a condition; None when they did not in time."""
        began = time.monotonic()
        while time.monotonic() - began < longest_s:
            if condition(await self.streams()):
                return time.monotonic() - began
            await asyncio.sleep(0.05)
        return None


def serving(lines: list[dict[str, Any]]) -> bool:
    """Answers, and live trades are applied."""
    return any(line["state"] in ("live", "repairing") for line in lines)


def exact(lines: list[dict[str, Any]]) -> bool:
    """No open hole on any stream that counts its trades."""
    counted = [line for line in lines if line["instrument"].startswith("binance")]
    return len(counted) > 1 and all(
        line["gaps_open"] == 0 and line["state"] == "live" for line in counted
    )


async def kill_loop(folder: Path, kills: int, rate: float, seed: int) -> Outcome:
    """Kill `kills` times while `rate` trades a second flow with faults, then compare."""
    draw = random.Random(seed)
    outcome = Outcome(seed)
    speed = speed_for(rate, seed)
    minutes = int((kills + 6) * SECONDS_PER_KILL * speed / 60) + 2
    end_ms = START_MS + minutes * MINUTE_MS - 1
    tape = synthetic_tape(START_MS, seed=seed, markets=MARKETS, end_ms=end_ms)
    faults = FaultPlan.seeded(seed, 0.0005, FAULTS)
    async with (
        Simulator([tape], speed=speed, faults=faults, start_after=3) as sim,
        httpx2.AsyncClient(timeout=5) as client,
    ):
        port = _free_port()
        watcher = Watcher(client, port)
        urls = {name: url for name, url in sim.urls.items() if "archive" not in name}
        async with system(folder, urls, port):
            await watcher.until(exact, LONGEST_START_S)
            await asyncio.sleep(FIRST_LIFE_S)
        while outcome.kills < kills and sim.clock_ms() < end_ms - 2 * MINUTE_MS:
            async with system(folder, urls, port) as process:
                await _one_life(watcher, draw, outcome)
                process.kill()
                outcome.kills += 1
        faults.calm()
        async with system(folder, urls, port):
            await asyncio.wait_for(sim.finished.wait(), minutes * 60 / speed + SETTLE_S)
            through_ms = end_ms - end_ms % MINUTE_MS

            def whole(lines: list[dict[str, Any]]) -> bool:
                return exact(lines) and all(_ms(line) > through_ms + 90_000 for line in lines)

            outcome.unsettled = await watcher.until(whole, SETTLE_S) is None
            await asyncio.sleep(SECONDS_PER_KILL)
    outcome.seen = dict(faults.fired)
    played = sum(len(track.counted) for track in tape.tracks)
    outcome.rate_per_s = round(played / (minutes * 60) * speed)
    store = STORES["sqlite"](Settings(data_dir=str(folder)), "live")
    await store.open("live")
    try:
        await compare(store, tape, outcome)
    finally:
        await store.close()
    return outcome


async def _one_life(watcher: Watcher, draw: random.Random, outcome: Outcome) -> None:
    """From the start of the process to the moment of its death."""
    took_s = await watcher.until(serving, LONGEST_START_S)
    if took_s is None:
        outcome.notes.append("did not serve again")
        outcome.unsettled = True
        return
    outcome.serving_s.append(round(took_s, 2))
    if draw.random() < 0.2:
        exact_s = await watcher.until(exact, LONGEST_START_S)
        outcome.exact_s.append(round(took_s + (exact_s or LONGEST_START_S), 2))
    await asyncio.sleep(draw.uniform(0.0, 1.6))


def _ms(line: dict[str, Any]) -> int:
    from datetime import datetime

    text = line["watermark"]
    return 0 if text is None else int(datetime.fromisoformat(text).timestamp() * 1_000)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
