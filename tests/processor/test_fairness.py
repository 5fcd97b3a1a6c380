"""A burst in one symbol waits its turn: every other symbol goes on as if there were none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from spot_support import announced

from backbone.bus.base import TRADES
from backbone.bus.memory import MemoryBus
from backbone.settings import Settings
from backbone.store.memory import MemoryStore
from orderflow.mixed import MixedTrades
from orderflow.trade import Connected, Disconnect, TradeBatch, Watermark
from processor.service import ProcessorService
from processor.waiting import HEAVY, MOST_BEHIND, Waiting

START_MS = 1_735_689_600_000
LOUD = "somewhere:spot:LOUDUSDT"
QUIET = [f"somewhere:spot:Q{number:02}USDT" for number in range(40)]
BURST = 50_000
PER_MESSAGE = 1_000
WAIT_S = 90.0


def trades(name: str, first: int, count: int, at_ms: int, kind: str) -> TradeBatch | MixedTrades:
    """`count` trades of one millisecond, ids from `first`."""
    keys = list(range(first, first + count))
    rows = ([at_ms] * count, [1_000] * count, [5] * count, [1] * count)
    if kind == "batch":
        return TradeBatch(name, keys, *rows)
    columns = [np.array(row, dtype=np.int64) for row in (keys, *rows, [1] * count, keys, keys)]
    return MixedTrades([name], [0], [0, count], *columns)


class Watched(ProcessorService):
    """Notes what is applied and what is closed, in this order.

    Time stands still and every look finds a tick due: what counts are turns and never seconds.
    """

    tick_ms = 0
    perf_s = staticmethod(lambda: 0.0)

    def watch(self) -> list[tuple[str, str, int]]:
        noted: list[tuple[str, str, int]] = []
        handle, advance = self.engine.handle, self.engine.advance_one

        def handled(event: Any) -> None:
            if isinstance(event, TradeBatch):
                noted.append(("trades", event.instrument, len(event)))
            elif isinstance(event, MixedTrades):
                noted.extend(("trades", name, count) for name, count in event.sizes())
            handle(event)

        def advanced(name: str, now_ms: int, mono_ms: int) -> Any:
            results = advance(name, now_ms, mono_ms)
            noted.extend(("minute", name, 1) for _ in results.minutes)
            return results

        self.engine.handle = handled  # type: ignore[method-assign]
        self.engine.advance_one = advanced  # type: ignore[method-assign]
        return noted


async def until(condition: Callable[[], bool]) -> None:
    """Turn after turn."""
    while not condition():  # noqa: ASYNC110 (turns are what is counted)
        await asyncio.sleep(0)


async def played(kind: str) -> tuple[list[tuple[str, str, int]], Watched]:
    """A burst, and behind it in the bus one trade and a closed minute of everybody else."""
    bus = MemoryBus(capacity=10 * BURST)
    service = Watched(Settings(), bus, MemoryStore(), "simulated", lambda: 1_000_000)
    noted = service.watch()
    running = asyncio.create_task(service.run())
    try:
        async with asyncio.timeout(WAIT_S):
            await until(lambda: service.view.restored)
            names = [LOUD, *QUIET]
            await bus.publish(TRADES, [announced(name) for name in names])
            await bus.publish(TRADES, [Connected(names, "c", START_MS)])
            begin = [trades(name, 1, 1, START_MS + 1, kind) for name in names]
            await bus.publish(TRADES, [*begin, Watermark(names, START_MS + 1, "c")])
            await until(lambda: len(noted) >= len(names))
            noted.clear()
            for first in range(2, BURST + 2, PER_MESSAGE):
                await bus.publish(TRADES, [trades(LOUD, first, PER_MESSAGE, START_MS + 2, kind)])
            await bus.publish(TRADES, [trades(n, 2, 1, START_MS + 3, kind) for n in QUIET])
            await bus.publish(TRADES, [Watermark(names, START_MS + 70_000, "c")])
            await until(lambda: service.engine.streams[LOUD].closed_minutes > 0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.close()
    return noted, service


@pytest.fixture(autouse=True)
def every_tick_tells_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still, so rounds follow each other without a pause."""
    monkeypatch.setattr("processor.service.ROUND_MS_PER_STREAM", 0)


@pytest.mark.parametrize("kind", ["batch", "burst"])
async def test_a_burst_of_one_symbol_delays_no_other(kind: str) -> None:
    """50,000 trades at once of one symbol: at most two turns of them are applied before the trade
    and the closed minute of every other symbol that came behind them, and none of them is lost."""
    noted, service = await played(kind)
    loud = 0
    before: dict[tuple[str, str], int] = {}
    for what, name, count in noted:
        if name == LOUD and what == "trades":
            loud += count
        elif name != LOUD:
            before.setdefault((what, name), loud)
    assert loud == BURST
    assert len(before) == 2 * len(QUIET)
    assert max(before.values()) <= 2 * HEAVY
    stream = service.engine.streams[LOUD]
    assert stream.ledger.counts.applied == BURST + 1
    (minute,) = [bar for start, bar in stream.minutes.items() if start == START_MS]
    assert minute.bar(stream.instrument).flow.trades == BURST + 1
    closing = [
        place for place, (what, name, _) in enumerate(noted) if (what, name) == ("minute", LOUD)
    ]
    last = max(
        place for place, (what, name, _) in enumerate(noted) if name == LOUD and what == "trades"
    )
    assert min(closing) > last


async def test_who_asks_for_the_burst_gets_all_of_it() -> None:
    """A question about the symbol itself, or a word about its connection, applies what waits."""
    service = Watched(Settings(), MemoryBus(), MemoryStore(), "simulated", lambda: 1_000_000)
    await service._apply([announced(LOUD), Connected([LOUD], "c", START_MS)])
    batches = [
        trades(LOUD, f, PER_MESSAGE, START_MS, "batch") for f in range(1, BURST, PER_MESSAGE)
    ]
    for batch in batches:
        service._waiting.add(batch)
    assert LOUD in service._waiting.behind
    assert service.view.stream(LOUD).applied == BURST
    for first in range(BURST + 1, 2 * BURST, PER_MESSAGE):
        service._waiting.add(trades(LOUD, first, PER_MESSAGE, START_MS, "batch"))
    assert LOUD in service._waiting.behind
    await service._apply([Disconnect([LOUD], "c", START_MS, "x")])
    assert service.engine.streams[LOUD].ledger.counts.applied == 2 * BURST


@pytest.mark.parametrize("kind", ["batch", "burst"])
def test_what_is_behind_is_bounded(kind: str) -> None:
    """However long a burst lasts, no more than so much of it waits in memory."""
    waiting = Waiting()
    applied = 0
    for first in range(1, 400_000, PER_MESSAGE):
        due = waiting.add(trades(LOUD, first, PER_MESSAGE, START_MS, kind))
        applied += sum(map(len, due))
        if first % 20_000 == 1:
            waiting.begin_turn()
            while some := waiting.take_some():
                applied += sum(map(len, some))
        assert waiting.size(LOUD) <= MOST_BEHIND + 131_072
    while some := waiting.take_some():
        applied += sum(map(len, some))
    assert LOUD in waiting.behind
    assert waiting.size(LOUD) <= MOST_BEHIND
    while piece := waiting.take_heavy():
        assert sum(map(len, piece)) <= HEAVY
        applied += sum(map(len, piece))
    assert applied == 400_000
