"""up, demo and simulate: the long-running commands.

The simulator is imported by those who play: a live server that starts again does not wait for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from backbone.clock import wall_ms
from backbone.settings import Settings
from backbone.store import LIVE
from wadm.compose import SIMULATED, System, opened_store, run_until_stopped, until_signal

CLOCK_POLL_S = 1.0
if TYPE_CHECKING:
    from simulator.tape import Tape

PORTS = ("binance_spot", "binance_usdm", "bybit", "archive")
"""The simulated hosts in the order of their ports."""


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
    _check_alerts(settings)
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


def _check_alerts(settings: Settings) -> None:
    """A file of alerts that is wrong is refused before anything starts."""
    if settings.alerts_file:
        from wadm.alerting import check_file

        check_file(Path(settings.alerts_file))


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
    notes.print(f"[bold]WADM[/] {source}: {base}/  MCP: {base}/mcp", highlight=False)


async def demo(settings: Settings, notes: Console) -> None:
    """The synthetic market, through the real sockets of a simulator in this process."""
    from simulator.clock import parse_speed
    from simulator.service import Simulator
    from simulator.tapes.synthetic import synthetic_tape

    _check_alerts(settings)
    speed = parse_speed(settings.demo_speed)
    async with Simulator([synthetic_tape(wall_ms())], speed=speed) as simulator:
        changed: dict[str, Any] = {
            "venues": "binance,bybit",
            "clock_poll_s": CLOCK_POLL_S,
            # A market that begins now has no history to bring.
            "backfill": "0",
        }
        simulated = dataclasses.replace(settings, **(changed | simulator.urls))
        async with opened_store(simulated, SIMULATED) as store:
            _announce(simulated, notes, "[bold yellow]SIMULATED[/]")
            await run_until_stopped(System(simulated, store, SIMULATED))


async def simulate(playing: Playing, out: Console) -> None:
    """Play until stopped."""
    from simulator.clock import parse_speed
    from simulator.service import Simulator

    tapes = _tapes(playing)
    ports = {name: playing.port + place for place, name in enumerate(PORTS)} if playing.port else {}
    everyone = len({name for tape in tapes for name in tape.instruments}) if playing.tapes else 0
    speed = parse_speed(playing.speed)
    async with Simulator(tapes, speed=speed, ports=ports, start_after=everyone) as simulator:
        for name, url in simulator.urls.items():
            out.print(f"export WADM_{name.upper()}={url}", highlight=False)
        await until_signal()


def _tapes(playing: Playing) -> list[Tape]:
    from simulator.tape import Tape
    from simulator.tapes import open_tapes
    from simulator.tapes.convert import as_instrument
    from simulator.tapes.synthetic import synthetic_tape

    if not playing.tapes:
        return [synthetic_tape(wall_ms(), seed=playing.seed, rate=playing.rate)]
    tapes = open_tapes(playing.tapes)
    if not playing.as_bybit:
        return tapes
    symbols = {track.instrument.symbol: track for tape in tapes for track in tape.tracks}
    return tapes + [
        as_instrument(Tape((track,)), f"bybit:{market}:{symbol}")
        for symbol, track in symbols.items()
        for market in ("spot", "perp")
    ]
