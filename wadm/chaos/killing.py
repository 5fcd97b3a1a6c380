"""The kill loop: the real command, real sockets, SIGKILL at random moments while trades flow.

The market plays in real time (`pace` 1), so that a second of downtime costs as many trades as it
would cost for real. It ends with the last kill; what began later is not compared. SIGINT ends it
after the life it is in, and everything until then is compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from backbone.settings import Settings
from backbone.store import STORES
from orderflow.timeframe import MINUTE_MS, floor_ms
from simulator.columns import EVENT
from simulator.faults import FaultPlan
from simulator.service import Simulator
from simulator.tapes.synthetic import Market
from wadm.chaos.dense import dense_tape, whole_minutes_ms
from wadm.chaos.house import ROWS, START_MS
from wadm.chaos.ports import free_port
from wadm.chaos.verdict import Outcome, compare
from wadm.chaos.watching import Proof, Statements, Watcher, exact, serving

LONGEST_KILL_S, LONGEST_IN_ALL_S = 12.0, 900.0
"""The tape is long enough for lives of this length, in a short loop for longer ones; what is left
of it is not played."""
LONGEST_START_S = 40.0
LONGEST_EXACT_S = 20.0
TAIL_S = 150.0
SETTLE_S = 240.0
FIRST_LIFE_S = 8.0
"""The first life lasts until something is stored: what was never seen can't be lost."""
MEASURED_SHARE = 0.2
"""Lives that are let live until the hole of their predecessor's death is closed."""
FAULTS = ("drop", "duplicate", "swap", "malformed", "ADL", "BT", "ZERO", "close", "abort")
FAULT_SHARE = 0.0005
MARKETS = (
    Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 150.0, 0.05),
    Market("binance:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 8.0, 0.05),
    Market("bybit:perp:BTCUSDT", "0.1", "0.001", 64_000.0, 15.0, 0.05),
    Market("bybit:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 0.5, 0.05),
)
"""Shares of the rate: Binance spot takes most of it, for USD-M pages weigh five times as much."""


def markets_for(rate: float) -> list[Market]:
    """The markets with so many records a second in all."""
    scale = rate / sum(market.orders_per_s for market in MARKETS)
    return [replace(market, orders_per_s=market.orders_per_s * scale) for market in MARKETS]


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
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def cpu_s(pid: int) -> float:
    """Processor seconds a process has used; what a busy machine can't stretch. 0 where unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 2)


class Loop:
    """One kill loop under way."""

    def __init__(self, sim: Simulator, watcher: Watcher, seed: int, pace: float) -> None:
        self.sim = sim
        self.pace = pace
        self.watcher = watcher
        self.draw = random.Random(seed)
        self.outcome = Outcome(seed, process=True)
        self.is_over = False

    def end(self) -> None:
        """No further life begins."""
        self.is_over = True

    async def run(self, folder: Path, port: int, kills: int, last_ms: int) -> int:
        """Live, die, live again; the exchange time before which everything is to be compared."""
        sim, watcher, outcome = self.sim, self.watcher, self.outcome
        urls = {name: url for name, url in sim.urls.items() if "archive" not in name}
        async with system(folder, urls, port):
            await watcher.until(exact, LONGEST_START_S)
            await asyncio.sleep(FIRST_LIFE_S)
        statements = Statements(watcher, sim.clock_ms, self.pace)
        stating = asyncio.create_task(statements.run())
        try:
            while outcome.kills < kills and sim.clock_ms() < last_ms and not self.is_over:
                async with system(folder, urls, port) as process:
                    await self.life(process)
            sim.faults.calm()
            cut_ms = floor_ms(sim.clock_ms(), MINUTE_MS) + MINUTE_MS
            settled_ms = cut_ms + MINUTE_MS

            def whole(lines: list[dict[str, Any]]) -> bool:
                past = sim.clock_ms() > settled_ms and statements.complete(cut_ms)
                return past and exact(lines)

            async with system(folder, urls, port):
                outcome.unsettled |= await watcher.until(whole, SETTLE_S) is None
        finally:
            stating.cancel()
            await asyncio.gather(stating, return_exceptions=True)
        outcome.late = statements.late(cut_ms)
        outcome.stated_worst_ms = statements.worst_ms()
        return cut_ms

    async def life(self, process: Any) -> None:
        """From the start of the process to the moment of its death."""
        outcome, died_ms = self.outcome, self.sim.clock_ms()
        took_s = await self.watcher.until(serving, LONGEST_START_S)
        if took_s is None:
            outcome.notes.append(f"life {outcome.kills} did not serve again")
            outcome.unsettled = True
            return
        outcome.serving_s.append(round(took_s, 2))
        outcome.serving_cpu_s.append(cpu_s(process.pid))
        if self.draw.random() < MEASURED_SHARE or outcome.kills == 0:
            proof = Proof(self.watcher, max(START_MS, died_ms - MINUTE_MS), self.sim.clock_ms())
            more_s = await proof.until_exact(LONGEST_EXACT_S)
            if more_s is None:
                outcome.notes.append(f"life {outcome.kills} was not exact in time: {proof.missing}")
            outcome.exact_s.append(round(took_s + (more_s or LONGEST_EXACT_S), 2))
            outcome.exact_cpu_s.append(cpu_s(process.pid))
        await asyncio.sleep(self.draw.uniform(0.0, 1.6))
        process.kill()
        await process.wait()
        outcome.kills += 1
        print(f"kill {outcome.kills}: served after {took_s:.2f} s", flush=True)


async def kill_loop(
    folder: Path, kills: int, rate: float, seed: int, *, pace: float = 1.0
) -> Outcome:
    """Kill `kills` times while `rate` trades a second flow with faults, then compare."""
    lives_s = max(kills * LONGEST_KILL_S, LONGEST_IN_ALL_S / pace)
    length_s = (FIRST_LIFE_S * 3 + lives_s + TAIL_S) * pace
    length_ms = whole_minutes_ms(length_s)
    tape = dense_tape(markets_for(rate / pace), START_MS, length_ms, seed)
    faults = FaultPlan.seeded(seed, FAULT_SHARE, FAULTS)
    port = free_port()
    async with (
        Simulator([tape], speed=pace, faults=faults, start_after=len(MARKETS)) as sim,
        httpx2.AsyncClient(timeout=5) as client,
    ):
        loop = Loop(sim, Watcher(client, port), seed, pace)
        last_ms = START_MS + length_ms - int(TAIL_S * pace * 1_000)
        with _until_asked_to_end(loop):
            cut_ms = await loop.run(folder, port, kills, last_ms)
    outcome = loop.outcome
    outcome.seen = dict(faults.fired)
    played = sum(int((t.counted.column(EVENT) < cut_ms).sum()) for t in tape.tracks)
    outcome.rate_per_s = round(played * 1_000 * pace / (cut_ms - START_MS))
    store = STORES["sqlite"](Settings(data_dir=str(folder)), "live")
    await store.open("live")
    try:
        await compare(store, tape, outcome, until_ms=cut_ms)
    finally:
        await store.close()
    return outcome


@contextlib.contextmanager
def _until_asked_to_end(loop: Loop) -> Iterator[None]:
    """SIGINT ends the loop early, where this thread may hear it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    running = asyncio.get_running_loop()
    running.add_signal_handler(signal.SIGINT, loop.end)
    try:
        yield
    finally:
        running.remove_signal_handler(signal.SIGINT)
