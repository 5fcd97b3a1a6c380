"""What a trade costs with more instruments, and what an answer costs with more clients.

Trades: the tape of `bench.engine` (50,000 a second, Zipf) over 10 and over 3,000 instruments, fed
through `Waiting` as the processor does, with its ticks: everything that waits is applied, and every
stream told the time, as seldom as the service does. A tick here follows tape time, so a slow
machine gets no larger piles. It stays within one minute: closing minutes is paid by the instrument
and minute, whatever trades there were.
Answers: the same 2,000 questions a second from 10 and from 1,000 keep-alive clients, by the
processor time of the server.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
from time import perf_counter, process_time
from typing import Any

from rich.table import Table

from bench.bursts import BURST, START_MS, TRADES_PER_S, engine, made
from bench.edge import Client, asked, connected
from bench.engine import WARM
from bench.goals import Goal, console
from bench.rest import on_another_core
from bench.rest_server import Server
from orderflow.mixed import MixedTrades
from processor.engine import Engine
from processor.service import ROUND_MS_PER_STREAM, TICK_MS
from processor.waiting import Waiting

FEW, MANY = 10, 3_000
FEW_CLIENTS, MANY_CLIENTS = 10, 1_000
GOAL = 1.3
COUNT, QUICK_COUNT = 1_500_000, 500_000
TICK_BURSTS = TRADES_PER_S * TICK_MS // 1_000 // BURST
RATE, PACE_S = 2_000, 0.005
SECONDS, QUICK_SECONDS = 10, 3
QUESTION = "/volume_profile/C00USDT?timeframe=1m&detail=summary"
"""The cheapest to make anew, which the server does five times a second whoever asks."""


# Instruments


class Costs:
    """Processor seconds of one run: trades applied, and time told."""

    def __init__(self) -> None:
        self.trades_s = self.time_s = 0.0

    @property
    def all_s(self) -> float:
        """Together."""
        return self.trades_s + self.time_s


def begun(instruments: int) -> Engine:
    """Streams that have closed everything before the tape."""
    fresh = engine(instruments)
    for stream in fresh.streams.values():
        stream.minutes.clear()
        stream.next_close_ms = stream.evicted_before_ms = START_MS
        stream.coverage.observed_from_ms = START_MS
    return fresh


def played(found: Engine, bursts: list[MixedTrades], first_ms: int) -> Costs:
    """Burst by burst, and a tick after every 100 ms of tape."""
    costs, waiting = Costs(), Waiting()
    names = list(found.streams)
    round_ms = max(TICK_MS, ROUND_MS_PER_STREAM * len(names))
    now_ms, told_ms = first_ms, float(first_ms)
    for start in range(0, len(bursts), TICK_BURSTS):
        began = process_time()
        waiting.begin_turn()
        due = waiting.take_heavy()
        for burst in bursts[start : start + TICK_BURSTS]:
            due += waiting.add(burst)
        for trades in due:
            found.handle(trades)
        now_ms += TICK_MS
        due_now = now_ms - told_ms >= round_ms or start + TICK_BURSTS >= len(bursts)
        while due_now and (some := waiting.take_some()):
            for trades in some:
                found.handle(trades)
        applied = process_time()
        costs.trades_s += applied - began
        if due_now:
            told_ms = now_ms
            for name in names:
                found.advance_one(name, now_ms, now_ms)
            costs.time_s += process_time() - applied
    return costs


def fed(instruments: int, bursts: list[MixedTrades]) -> Costs:
    """A fresh engine, warm, then the tape; every trade must have arrived."""
    found = begun(instruments)
    warm_ms = WARM * BURST * 1_000 // TRADES_PER_S
    played(found, bursts[:WARM], START_MS)
    gc.collect()
    gc.disable()
    costs = played(found, bursts[WARM:], START_MS + warm_ms)
    gc.enable()
    applied = sum(stream.ledger.counts.applied for stream in found.streams.values())
    assert applied == len(bursts) * BURST + 2 * instruments, applied
    return costs


def by_instruments(count: int, rounds: int) -> tuple[Goal, dict[str, Any]]:
    """The same number of trades, few and many instruments in turn."""
    tapes = {instruments: made(count, instruments) for instruments in (FEW, MANY)}
    runs: dict[int, list[Costs]] = {instruments: [] for instruments in tapes}
    for number in range(rounds):
        console.print(f"growth: instruments, run {number + 1} of {rounds}, {count:,} trades")
        for instruments, bursts in tapes.items():
            runs[instruments].append(fed(instruments, bursts))
    paid = count - WARM * BURST
    table = Table("instruments", "ns/trade", "of that trades", "of that time told")
    ns: dict[int, dict[str, float]] = {}
    for instruments, found in runs.items():
        ns[instruments] = {
            part: statistics.median(getattr(costs, part) for costs in found) / paid * 1e9
            for part in ("all_s", "trades_s", "time_s")
        }
        table.add_row(f"{instruments:,}", *(f"{each:,.0f}" for each in ns[instruments].values()))
    console.print(table)
    name = f"engine: a trade of {MANY:,} instruments / of {FEW}"
    return at_most(name, "ns", ns[MANY]["all_s"], ns[FEW]["all_s"]), {"ns_per_trade": ns}


# Clients


class Asking:
    """Keep-alive clients that ask in turn at one rate, however many they are."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.request = asked(QUESTION, server.key)
        self.idle: asyncio.Queue[Client] = asyncio.Queue()
        self.clients: list[Client] = []
        self.good = 0

    def done(self, client: Client, status: int) -> None:
        """One answer."""
        assert status == 200, status
        self.good += 1
        client.due = 0.0
        self.idle.put_nowait(client)

    async def open(self, count: int) -> None:
        """Each client asks once: an answered connection may rest for five seconds."""
        for _ in range(count):
            client = await connected(self.server.port, None, self.done, "127.0.0.1")
            self.clients.append(client)
            client.ask(self.request, 1.0)
        await self.answered(count)

    async def answered(self, count: int) -> None:
        """Wait until so many have come, half a minute at most."""
        async with asyncio.timeout(30):
            while self.good < count:  # noqa: ASYNC110 (answers come by callback)
                await asyncio.sleep(0.005)

    async def ask(self, seconds: float) -> None:
        """At the rate; who has rested longest asks next."""
        sent, before, began = 0, self.good, perf_counter()
        while sent < RATE * seconds:
            due = min(RATE * seconds, (perf_counter() - began) * RATE)
            while sent < due:
                (await self.idle.get()).ask(self.request, 1.0)
                sent += 1
            await asyncio.sleep(PACE_S)
        await self.answered(before + sent)

    def close(self) -> None:
        """At the end."""
        for client in self.clients:
            client.due = 0.0
            if client.transport is not None:
                client.transport.abort()


async def answer_us(server: Server, clients: int, seconds: float) -> dict[str, float]:
    """The server's processor microseconds of an answer, and the rate that was kept."""
    asking = Asking(server)
    try:
        await asking.open(clients)
        already, cpu_s, began = asking.good, server.cpu_s(), perf_counter()
        await asking.ask(seconds)
        spent, count = server.cpu_s() - cpu_s, asking.good - already
        return {"us": spent / count * 1e6, "per_s": count / (perf_counter() - began)}
    finally:
        asking.close()


def by_clients(seconds: float, rounds: int) -> tuple[Goal, dict[str, Any]]:
    """The same rate from few and from many clients, in turn."""
    runs: dict[int, list[dict[str, float]]] = {FEW_CLIENTS: [], MANY_CLIENTS: []}
    with on_another_core():
        server = Server("ours")
        try:
            asyncio.run(answer_us(server, FEW_CLIENTS, 1))
            for number in range(rounds):
                console.print(f"growth: clients, run {number + 1} of {rounds}")
                for clients, found in runs.items():
                    found.append(asyncio.run(answer_us(server, clients, seconds)))
        finally:
            server.close()
    table = Table("clients", "us/answer", "answers/s (2,000 asked)")
    us = {clients: statistics.median(run["us"] for run in found) for clients, found in runs.items()}
    for clients, found in runs.items():
        kept = statistics.median(run["per_s"] for run in found)
        table.add_row(f"{clients:,}", f"{us[clients]:,.0f}", f"{kept:,.0f}")
    console.print(table)
    name = f"REST: an answer to {MANY_CLIENTS:,} clients / to {FEW_CLIENTS}"
    return at_most(name, "us", us[MANY_CLIENTS], us[FEW_CLIENTS]), {"clients": runs}


def at_most(name: str, unit: str, figure: float, baseline: float) -> Goal:
    """A cost beside the cost with few."""
    return Goal(name, unit, figure, GOAL, "most", baseline, figure / baseline)


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Both."""
    rounds = 1 if quick else 5
    trades, by_trade = by_instruments(QUICK_COUNT if quick else COUNT, rounds)
    answers, by_answer = by_clients(QUICK_SECONDS if quick else SECONDS, rounds)
    return [trades, answers], {**by_trade, **by_answer, "load": os.getloadavg()}
