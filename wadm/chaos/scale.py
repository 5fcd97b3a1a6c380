"""`make chaos SCALE=1`: the house on many processes, each role killed in turn while trades flow.

Two collectors a venue, three processors, two servers behind nginx, three brokers, a store that all
share. At the end every minute equals the tape. A processor comes and another goes meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from backbone.bus.base import TRADES
from backbone.settings import Settings
from backbone.store import STORES
from orderflow.timeframe import MINUTE_MS, floor_ms
from simulator.columns import EVENT
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tapes.synthetic import Market
from wadm.chaos.asking import Asking
from wadm.chaos.crew import NODES, Crew, crew
from wadm.chaos.dense import dense_tape, whole_minutes_ms
from wadm.chaos.house import START_MS
from wadm.chaos.killing import cpu_s
from wadm.chaos.verdict import Outcome, compare

PARTITIONS = 6
BOUNDS_S = {"processor": 5.0, "collector": 5.0, "server": 5.0, "leader": 10.0, "broker": 10.0}
"""What clients see, with the age that every answer has without a fault; `leader` is the part of
`broker` until another one leads the trades."""
READY_S, LONGEST_S, SETTLE_S = 120.0, 60.0, 180.0
CALM_S = 4.0
LOOK_S = 0.25
SYMBOLS_EACH = 4
"""Two venues with two markets each list every symbol."""
ROLES = ("processor", "collector", "broker", "server")
FIRST = (
    *("collect-binance-a", "collect-binance-b", "collect-bybit-a", "collect-bybit-b"),
    *("process-a", "process-b", "process-c", "serve-a", "serve-b"),
)


class Figures(msgspec.Struct):
    """What is written to build/chaos-scale.json."""

    instruments: int
    wanted_per_s: float
    rate_per_s: float = 0.0
    rounds: int = 0
    good: bool = False
    minutes: int = 0
    trades: int = 0
    lost: int = 0
    double: int = 0
    differing: int = 0
    undeclared: int = 0
    unproven: int = 0
    declared: int = 0
    wrong_by_symbol: list[str] = []
    takeover_s: dict[str, list[float]] = {}
    bounds_s: dict[str, float] = msgspec.field(default_factory=lambda: dict(BOUNDS_S))
    answers: dict[str, int] = {}
    server_errors: int = 0
    unanswered: int = 0
    too_young: list[str] = []
    processor_time_s: dict[str, float] = {}
    load_average: list[float] = []
    missed: list[str] = []
    took_s: float = 0.0


def markets_of(instruments: int, rate: float) -> list[Market]:
    """So many instruments, a rate in all that falls off with the place as on real venues."""
    symbols = [f"S{place:03}USDT" for place in range(max(1, instruments // SYMBOLS_EACH))]
    weights = [1 / (place + 5) for place in range(len(symbols))]
    scale = rate / (sum(weights) * SYMBOLS_EACH)
    kinds = ("binance:spot", "binance:perp", "bybit:perp", "bybit:spot")
    return [
        Market(f"{kind}:{symbol}", "0.1", "0.001", 64_000.0, weight * scale, 0.05)
        for symbol, weight in zip(symbols, weights, strict=True)
        for kind in kinds
    ]


class Run:
    """One run under way."""

    def __init__(self, figures: Figures, sim: Simulator, made: Crew, seed: int) -> None:
        self.figures = figures
        self.sim = sim
        self.crew = made
        self.draw = random.Random(seed)
        self.names = [track.instrument.name for track in sim.tracks]
        self.asking: Asking

    async def start(self) -> None:
        """Everything, and wait until every instrument is live."""
        for node in NODES:
            await self.crew.start(node)
        bus = self.crew.bus()
        async with asyncio.timeout(READY_S):
            await bus.stream(TRADES)
        await bus.close()
        for name in ("process-a", "process-b", "process-c", "serve-a", "serve-b"):
            await self.crew.start(name)
        port = await self.crew.start_edge("serve-a", "serve-b")
        for name in FIRST[:4]:
            await self.crew.start(name)
        print("everything is started", flush=True)
        url = f"https://localhost:{port}"
        ca_file = str(self.crew.folder / "ca.pem")
        self.asking = Asking(url, ca_file, self.sim.clock_ms, self.names)
        await asyncio.wait_for(self.sim.started.wait(), READY_S)
        await self._current("start", self.sim.clock_ms(), READY_S)
        print("every instrument is live", flush=True)
        self.asking.statuses.clear()
        self.asking.failed = 0

    async def _current(self, what: str, moment_ms: int, longest_s: float) -> float | None:
        """Seconds until clients see every instrument beyond a moment of exchange time."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < longest_s:
            await self.asking.look()
            if not self.asking.behind(moment_ms, self.names):
                return time.monotonic() - began_s
            await asyncio.sleep(LOOK_S)
        behind = self.asking.behind(moment_ms, self.names)
        self.figures.missed.append(
            f"{what}: {len(behind)} behind after {longest_s} s: {behind[:3]}"
        )
        return None

    async def fault(self, role: str, number: int) -> None:
        """Kill one of a role at a random moment, measure, and start it again."""
        await asyncio.sleep(self.draw.uniform(0.5, CALM_S))
        name = await self._victim(role, number)
        moment_ms = self.sim.clock_ms()
        await self.crew.kill(name)
        leading = asyncio.create_task(self._other_leader(name)) if role == "broker" else None
        took_s = await self._current(f"{role} {name} killed", moment_ms, LONGEST_S)
        self._took(role, took_s)
        if leading is not None:
            self._took("leader", await leading)
        print(f"killed {name}: {took_s and round(took_s, 2)} s", flush=True)
        await self.crew.start(name)
        await self._current(f"{name} started again", self.sim.clock_ms(), LONGEST_S)

    def _took(self, what: str, took_s: float | None) -> None:
        if took_s is not None:
            self.figures.takeover_s.setdefault(what, []).append(round(took_s, 2))

    async def _other_leader(self, before: str) -> float:
        """Seconds until another broker leads the trades."""
        began_s = time.monotonic()
        while await self._leader() in (before, ""):  # noqa: ASYNC110 (only asking shows it)
            await asyncio.sleep(LOOK_S)
        return time.monotonic() - began_s

    async def _leader(self) -> str:
        """The broker that leads the trades."""
        bus = self.crew.bus()
        info = await bus.stream(TRADES, fresh=True)
        await bus.close()
        return "" if info is None or info.cluster is None else info.cluster.leader or ""

    async def _victim(self, role: str, number: int) -> str:
        if role == "broker":
            return await self._leader() or NODES[0]
        kind = {"processor": "process", "collector": "collect", "server": "serve"}[role]
        running = sorted(name for name in self.crew.processes if name.startswith(kind))
        if role == "collector":
            venue = ("binance", "bybit")[number % 2]
            running = [name for name in running if venue in name]
        return self.draw.choice(running)

    async def play(self, rounds: int, from_ms: int) -> int:
        """All faults; the exchange time from `from_ms` to which every minute is to be compared."""
        asking = asyncio.create_task(self.asking.run())
        try:
            for number in range(rounds):
                for role in ROLES:
                    await self.fault(role, number)
            await self.crew.start("process-d")
            await self._current("a processor joined", self.sim.clock_ms() + 3_000, LONGEST_S)
            await self.crew.stop("process-a")
            await self._current("a processor left", self.sim.clock_ms(), LONGEST_S)
            cut_ms = floor_ms(self.sim.clock_ms(), MINUTE_MS) + MINUTE_MS
            cut_ms = max(cut_ms, from_ms + MINUTE_MS)
            settled_ms = cut_ms + MINUTE_MS // 2
            await self._current("the end", settled_ms, SETTLE_S)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await self.asking.client.aclose()
        self.figures.missed += [f"{name} ended by itself" for name in self.crew.dead()]
        return cut_ms


async def run_scale(folder: Path, rounds: int, instruments: int, rate: float, seed: int) -> Figures:
    """Play, kill, compare."""
    figures = Figures(instruments, rate, rounds=rounds)
    markets = markets_of(instruments, rate)
    length_s = READY_S + rounds * len(ROLES) * (LONGEST_S / 2) + 2 * SETTLE_S
    tape = dense_tape(markets, START_MS, whole_minutes_ms(length_s), seed)
    symbols = sorted({market.name.rpartition(":")[2] for market in markets})
    async with Simulator([tape], speed=1.0, start_after=len(markets), limits=Limits()) as sim:
        settings = {
            "symbols": ",".join(symbols),
            "row_sizes": ",".join(f"{symbol}=10" for symbol in symbols),
            "store": "sqlite",
            "data_dir": str(folder / "store"),
            "derivatives": "off",
            "backfill": "0",
            "clock_poll_s": "1",
            "log_level": "warning",
            "requests_per_minute": "1000000",
            **{name: url for name, url in sim.urls.items() if "archive" not in name},
        }
        async with crew(folder, PARTITIONS, settings) as made:
            run = Run(figures, sim, made, seed)
            await run.start()
            from_ms = floor_ms(sim.clock_ms(), MINUTE_MS) + MINUTE_MS
            cut_ms = await run.play(rounds, from_ms)
            times = {name: cpu_s(process.pid) for name, process in made.processes.items()}
            figures.processor_time_s = times | {"simulator and clients": round(time.process_time())}
            for name in ("process-b", "process-c", "process-d"):
                await made.stop(name)
        _asked(figures, run.asking)
    played = sum(int((t.counted.column(EVENT) < cut_ms).sum()) for t in tape.tracks)
    figures.rate_per_s = round(played * 1_000 / (cut_ms - START_MS))
    await _compared(figures, folder, tape, (from_ms, cut_ms), seed)
    return figures


def _asked(figures: Figures, asking: Asking) -> None:
    figures.answers = {str(status): count for status, count in sorted(asking.statuses.items())}
    figures.server_errors, figures.unanswered = asking.server_errors, asking.failed
    figures.too_young = asking.too_young[:20]


async def _compared(
    figures: Figures, folder: Path, tape: Any, span_ms: tuple[int, int], seed: int
) -> None:
    """Every final minute of every symbol against the tape."""
    store = STORES["sqlite"](Settings(data_dir=str(folder / "store")), "simulated")
    await store.open("simulated")
    outcome = Outcome(seed, process=True)
    try:
        await compare(store, tape, outcome, from_ms=span_ms[0], until_ms=span_ms[1])
    finally:
        await store.close()
    for name in ("minutes", "trades", "lost", "double", "differing", "undeclared", "unproven"):
        setattr(figures, name, getattr(outcome, name))
    figures.declared = outcome.declared
    figures.wrong_by_symbol = outcome.notes[:50]


def judge(figures: Figures) -> list[str]:
    """What was not met, each with its figure."""
    missed = list(figures.missed)
    counted = ("lost", "double", "differing", "undeclared", "unproven", "server_errors")
    counts = {name: getattr(figures, name) for name in counted}
    missed += [f"{name}: {count}" for name, count in counts.items() if count]
    if figures.too_young:
        missed.append(f"answers younger than they are: {len(figures.too_young)}")
    if not figures.minutes:
        missed.append("no minute was compared")
    for role, bound_s in BOUNDS_S.items():
        found = figures.takeover_s.get(role, [])
        if len(found) < figures.rounds or max(found, default=0.0) >= bound_s:
            missed.append(f"take-over of a {role}: {found} s, bound {bound_s} s")
    return missed


def scale(out: Path, *, quick: bool, rate: float, instruments: int, seed: int) -> int:
    """Run, write, say; 1 when something was not met."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        playing = run_scale(Path(folder), 1 if quick else 2, instruments, rate, seed)
        figures = asyncio.run(playing)
    figures.took_s = round(time.monotonic() - began_s, 1)
    figures.load_average = [round(load, 1) for load in os.getloadavg()]
    figures.missed = judge(figures)
    figures.good = not figures.missed
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    print(
        f"{figures.rate_per_s} trades/s, load {figures.load_average}, {figures.takeover_s} -> {out}"
    )
    for text in figures.missed:
        print(f"not met: {text}")
    return 0 if figures.good else 1
