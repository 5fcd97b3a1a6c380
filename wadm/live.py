"""up, demo and simulate: the long-running commands."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from backbone.clock import wall_ms
from backbone.settings import Settings
from backbone.store import LIVE
from orderflow.errors import ConfigError
from simulator.clock import parse_speed
from simulator.service import Simulator
from simulator.tape import Tape, as_bybit
from simulator.tapes import load_tape
from simulator.tapes.synthetic import synthetic_market
from wadm.compose import SIMULATED, System, opened_store, run_until_stopped, until_signal

CLOCK_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Playing:
    """What `wadm simulate` is to play."""

    tapes: list[Path]
    speed: str
    as_bybit: bool
    seed: int
    rate: float
    port: int


async def up(settings: Settings, notes: Console, *, or_demo: bool) -> None:
    """Live venues only; with `or_demo` the demo when nothing is stored and nobody answers."""
    async with opened_store(settings, LIVE) as store:
        empty = not await store.load_checkpoints()
        system = System(settings, store, LIVE)
        if not (or_demo and empty):
            _announce(settings, notes, LIVE)
            await run_until_stopped(system)
            return
        if await _answers(system, settings, notes):
            return
    notes.rule("[bold yellow]no venue is reachable: running the DEMO, a SIMULATED market")
    notes.print("Nothing below is a real price. Restart to try the live venues again.")
    await demo(settings, notes)


async def _answers(system: System, settings: Settings, notes: Console) -> bool:
    """Run live if a venue answers in time; False when none does."""
    _announce(settings, notes, LIVE)
    running = asyncio.create_task(run_until_stopped(system))
    reached = asyncio.create_task(system.reached())
    try:
        await asyncio.wait(
            [running, reached],
            timeout=settings.demo_wait_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if reached.done() or running.done():
            await running
            return True
    finally:
        for task in (reached, running):
            task.cancel()
        await asyncio.gather(running, reached, return_exceptions=True)
    return False


def _announce(settings: Settings, notes: Console, source: str) -> None:
    base = f"http://{settings.host}:{settings.port}{settings.base_path}"
    notes.print(f"[bold]WADM[/] {source}: {base}/status  MCP: {base}/mcp", highlight=False)


async def demo(settings: Settings, notes: Console) -> None:
    """The synthetic market, through the real sockets of a simulator in this process."""
    speed = _speed(settings.demo_speed)
    async with Simulator(synthetic_market(wall_ms()), speed=speed, start_after=0) as simulator:
        changed: dict[str, Any] = {"venues": "binance,bybit", "clock_poll_s": CLOCK_POLL_S}
        simulated = dataclasses.replace(settings, **(changed | simulator.urls))
        async with opened_store(simulated, SIMULATED) as store:
            _announce(simulated, notes, "[bold yellow]SIMULATED[/]")
            await run_until_stopped(System(simulated, store, SIMULATED))


async def simulate(playing: Playing, out: Console) -> None:
    """Play until stopped."""
    tapes = _tapes(playing)
    ports = (0, 0, 0) if playing.port == 0 else tuple(range(playing.port, playing.port + 3))
    start_after = None if playing.tapes else 0
    async with Simulator(
        tapes, speed=_speed(playing.speed), ports=ports, start_after=start_after
    ) as simulator:
        for name, url in simulator.urls.items():
            out.print(f"export WADM_{name.upper()}={url}", highlight=False)
        spot, bybit = simulator.urls["binance_spot_rest_url"], simulator.urls["bybit_rest_url"]
        out.print(f"export WADM_BINANCE_ARCHIVE_URL={spot}", highlight=False)
        out.print(f"export WADM_BYBIT_ARCHIVE_URL={bybit}", highlight=False)
        await until_signal()


def _tapes(playing: Playing) -> list[Tape]:
    if not playing.tapes:
        return synthetic_market(wall_ms(), playing.seed, playing.rate)
    tapes = [load_tape(path) for path in playing.tapes]
    if playing.as_bybit:
        tapes += [as_bybit(tape, market) for tape in tapes[:] for market in ("spot", "perp")]
    return tapes


def _speed(text: str) -> float:
    try:
        return parse_speed(text)
    except ValueError:
        raise ConfigError("speed must be max or a positive number") from None
