"""This system under paced trades, on one pinned core; prints one JSON line.

`python -m bench.steady WS_PORT REST_PORT SYMBOLS STAMPS ASKS`, so many questions a second. With
questions every trade that reaches the processor is looked at twice: when it was delivered, from
which moment on whoever asks for its instrument gets it (what waits is applied before anybody
looks), and when it was applied, which by itself happens with the next tick of 100 ms. Without any
neither is looked at, so that nothing of this is in the processor time. At the end every symbol is
recounted.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

from backbone.keys.book import KeyBook, Terms
from backbone.settings import read_settings
from backbone.store.base import Store
from backbone.telemetry import configure_logs
from bench.ours import Probe, _applied, _streams, settled, venue_settings
from bench.stamps import Lateness, Stamps
from bench.tape import NAMES
from collectors import budget
from orderflow.mixed import MixedTrades
from orderflow.timeframe import DAY_MS, MINUTE_MS, Window, floor_ms
from orderflow.trade import TradeBatch
from processor.engine import Engine
from processor.settling import Settling
from wadm import loops
from wadm.compose import SIMULATED, System, opened_store, spare_the_collector

IDLE_S = 3.0
LATE_S = 10.0
"""What did not come so long after the last trade was sent is lost."""
LONGEST_S = 900.0
ENOUGH_PER_MINUTE = 10_000_000


class Watched:
    """When trades were delivered and applied, after they were written."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self.delivered, self.applied = Lateness(), Lateness()

    def begin(self) -> None:
        """See every trade from here on."""
        add, handle, watched = Settling.add, Engine.handle, self

        def seen_add(settling: Settling, trades: Any) -> None:
            watched.delivered.since(watched._stamps, trades.event_ms)
            add(settling, trades)

        def seen_handle(engine: Engine, event: Any) -> None:
            handle(engine, event)
            if isinstance(event, TradeBatch | MixedTrades):
                watched.applied.since(watched._stamps, event.event_ms)

        Settling.add = seen_add  # type: ignore[method-assign]
        Engine.handle = seen_handle  # type: ignore[method-assign]


async def turns(seconds: float) -> Lateness:
    """How late an event loop that has nothing else to do wakes up from a millisecond's sleep."""
    found, until = Lateness(), time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic_ns()
        await asyncio.sleep(0.001)
        found.add(time.monotonic_ns() - began - 1_000_000)
    return found


async def key_of(store: Store) -> str:
    """A key that may ask as often as it likes: with one in the store every question needs one."""
    terms = Terms(per_minute=ENOUGH_PER_MINUTE)
    text, _ = await KeyBook(store, "bench").create("bench", 4, terms)
    return str(text.text)


async def run(ports: list[int], symbols: int, path: str, asks: int) -> Any:
    """Collect everything, asked or not, until the sender is done."""
    stamps = Stamps(Path(path))
    watched = Watched(stamps)
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(
            {},
            symbols=",".join(NAMES[:symbols]),
            data_dir=folder,
            port=0,
            backfill="0",
            **venue_settings("binance", ports),
        )
        async with opened_store(settings, SIMULATED) as store:
            key = await key_of(store)
            system = System(settings, store, SIMULATED)
            probe = Probe()
            probing = asyncio.create_task(probe.run())
            sender = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[1]}", timeout=30)
            async with system.running(), sender:
                await settled(system)
                spare_the_collector()
                idle = await _idle(system, sender, probe, key, asks)
                if asks:
                    watched.begin()
                await sender.get("/go")
                found = await _measured(system, probe, stamps)
                told = (await sender.get("/figures")).json()
                found |= recounted(system, told["sent"], symbols)
            probing.cancel()
    late = {"delivered": watched.delivered.figures(), "applied": watched.applied.figures()}
    return found | idle | late | {"asked": told["asked"]}


async def _idle(
    system: System, sender: httpx2.AsyncClient, probe: Probe, key: str, asks: int
) -> dict[str, Any]:
    """The loop with nothing to do, then the questions while no trade comes."""
    await probe.begin()
    wakes = await turns(IDLE_S / 3)
    found = {f"idle_{name}": value for name, value in probe.worst().items()}
    if asks:
        await sender.get(f"/ask?{system.port}&{asks}&{key}")
        await asyncio.sleep(IDLE_S)
    return found | {"idle_wakes": wakes.figures()}


async def _measured(system: System, probe: Probe, stamps: Stamps) -> dict[str, Any]:
    await probe.begin()
    first, began, cpu = _applied(system), time.monotonic(), time.process_time()
    lag_s: float | None = None
    while time.monotonic() - began < LONGEST_S:
        await asyncio.sleep(0.02)
        if over_ns := stamps.over_ns:
            late_s = (time.monotonic_ns() - over_ns) / 1e9
            if _applied(system) >= stamps.total:
                lag_s = max(0.0, late_s)
                break
            if late_s > LATE_S:
                break
    wall_s, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "trades": _applied(system) - first,
        "wall_s": wall_s,
        "cpu_s": cpu,
        "lag_s": lag_s,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
        **probe.worst(),
        "ended": [c.causes for each in system.collectors for c in each.feeds if c.causes],
        "dropped": sum(feed.dropped for feed in system.feeds()),
        "minutes": sum(stream.closed_minutes for stream in _streams(system).values()),
        "gaps": sum(len(s.evidence.open_holes()) for s in _streams(system).values()),
    }


def recounted(system: System, sent: dict[str, Any], symbols: int) -> dict[str, Any]:
    """Trades and lots of every symbol as the engine has them, beside what was sent."""
    view, lost, wrong = system.processor.view, 0, []
    for place, name in enumerate(NAMES[:symbols]):
        instrument = f"binance:spot:{name}"
        now_ms = view.now_ms(instrument)
        end_ms = floor_ms(now_ms, MINUTE_MS) + 2 * MINUTE_MS
        part = view.flow(instrument, Window(end_ms - DAY_MS, end_ms), DAY_MS)
        flow = None if part is None else part.bar
        trades = 0 if flow is None else flow.buy_trades + flow.sell_trades
        lots = 0 if flow is None else flow.buy_lots + flow.sell_lots
        lost += max(0, sent["trades"][place] - trades)
        if (trades, lots) != (sent["trades"][place], sent["lots"][place]):
            wrong.append((name, trades, sent["trades"][place], lots, sent["lots"][place]))
    return {
        "lost": lost,
        "symbols_wrong": len(wrong),
        "wrong": wrong[:5],
        "sent": sum(sent["trades"]),
        "sent_s": sent["sent_s"],
    }


def main() -> None:
    """WS_PORT REST_PORT SYMBOLS STAMPS ASKS."""
    os.sched_setaffinity(0, {0})
    configure_logs("error")
    # Five hundred symbols are described at the start, which the shipped share of the venue's
    # budget stretches over minutes; nothing of it is measured.
    budget.EVERYDAY_SHARE = budget.REPAIR_SHARE = 100.0
    ports, symbols, asks = [int(w) for w in sys.argv[1:3]], int(sys.argv[3]), int(sys.argv[5])
    print(json.dumps(loops.run(run(ports, symbols, sys.argv[4], asks))))


if __name__ == "__main__":
    main()
