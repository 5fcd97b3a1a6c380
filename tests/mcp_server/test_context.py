"""Percentile context: the same hour of earlier days, published by now, never the window itself."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from backbone.clock import wall_ms
from backbone.store.memory import MemoryStore
from mcp_server.context import Context
from orderflow.context_reports import RankReport
from orderflow.distribution import Page, buckets, page_of
from orderflow.flow import FlowBar
from orderflow.symbols import Selection
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window, rolling
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor.engine import Engine
from processor.hours import DuePage
from processor.live import ProcessorView
from processor.records import page_record

DAY = 1_735_689_600_000
NOW = DAY + 13 * HOUR_MS + 50 * MINUTE_MS + 5_000
NAME = "somewhere:spot:ABCUSDT"
TICK, LOT = Decimal("0.1"), Decimal("0.001")
DAYS = 24


def view() -> ProcessorView:
    """Twenty closed minutes up to NOW, a trade of 100 lots every 30 s."""
    engine = Engine()
    engine.handle(
        InstrumentChanged(
            "somewhere", "spot", "ABCUSDT", "ABC", "USDT", TICK, LOT, last_price=Decimal(100)
        )
    )
    start = NOW - NOW % MINUTE_MS - 20 * MINUTE_MS
    engine.handle(Connected([NAME], "c", start))
    engine.handle(Watermark([NAME], start, "c"))
    times = list(range(start + 1_000, NOW, 30_000))
    count = len(times)
    keys = list(range(1, count + 1))
    engine.handle(TradeBatch(NAME, keys, times, [1_000] * count, [100] * count, [1] * count))
    engine.handle(Watermark([NAME], NOW, "c"))
    engine.advance(lambda name: NOW, 0)
    return ProcessorView(engine, "live", lambda name: NOW)


def page(start: int, volumes: list[int]) -> Page:
    bars = [
        FlowBar(start, start + 1, TICK, LOT, buy_lots=v, buy_trades=1, records=1) for v in volumes
    ]
    return page_of(start, [buckets(bar, 5 * MINUTE_MS) for bar in bars])


async def put(store: MemoryStore, found: Page, published_ms: int, revision: int = 0) -> None:
    await store.put([page_record(DuePage(NAME, "5m", found, revision), published_ms)])


async def volume(store: MemoryStore, hours: str, window: Window | None = None) -> RankReport:
    context = Context(view(), store)
    selection = Selection("ABCUSDT", "somewhere", "spot", tuple(context.live.instruments()))
    asked = rolling(NOW, 5 * MINUTE_MS) if window is None else window
    found = await context.of(selection, "5m", asked, "rolling", hours)  # type: ignore[arg-type]
    return found.instruments[NAME].volume


async def test_same_hour_of_earlier_days() -> None:
    """Bars of 13:00 of earlier days count; other hours, the window's own hour, and pages that are
    published later do not. The newest revision of now is read. The rank is pandas'."""
    store, wall = MemoryStore(), wall_ms()
    await store.open("live")
    series = []
    for back in range(1, DAYS + 1):
        volumes = [500 + 50 * back + k for k in range(12)]
        series += volumes
        start = DAY - back * DAY_MS + 13 * HOUR_MS
        await put(store, page(start, [1] * 12), wall - DAY_MS)
        await put(store, page(start, volumes), wall - HOUR_MS, revision=1)
        await put(store, page(start, [9_999] * 12), wall + HOUR_MS, revision=2)
        await put(store, page(start - HOUR_MS, [7] * 12), wall - HOUR_MS)
    await put(store, page(DAY + 13 * HOUR_MS, [3] * 12), wall - HOUR_MS)
    found = await volume(store, "same")
    assert (found.value, found.n, found.reason) == (Decimal("1.000"), 12 * DAYS, None)
    known = pd.Series(series)
    below, same = (known < 1_000).sum(), (known == 1_000).sum()
    assert found.at_least is not None
    assert found.at_most is not None
    assert found.at_least <= Decimal(int(below)) * 100 / len(known) + Decimal("0.01")
    assert found.at_most >= Decimal(int(below + same)) * 100 / len(known) - Decimal("0.01")
    assert found.percentile is not None
    assert found.at_least < found.percentile < found.at_most < found.at_least + 4


async def test_all_hours() -> None:
    """All hours of the last seven days, whole hours before the window only."""
    store, wall = MemoryStore(), wall_ms()
    await store.open("live")
    for back in range(1, 10 * 24):
        start = DAY + 13 * HOUR_MS - back * HOUR_MS
        await put(store, page(start, [500] * 12), wall - HOUR_MS)
    await put(store, page(DAY + 13 * HOUR_MS, [3] * 12), wall - HOUR_MS)
    found = await volume(store, "all")
    assert found.n == 12 * (7 * 24 - 1), "the hour that began before the seven days is out"
    assert found.percentile == 100


@pytest.mark.parametrize("bars", [0, 19])
async def test_too_few(bars: int) -> None:
    """Below the least n there is a reason instead of a percentile."""
    store = MemoryStore()
    await store.open("live")
    await put(store, page(DAY - DAY_MS + 13 * HOUR_MS, [5] * bars), wall_ms() - HOUR_MS)
    found = await volume(store, "same")
    assert (found.percentile, found.n) == (None, bars)
    assert found.reason == f"{bars} complete bars; at least 20 are needed"


async def test_an_incomplete_window() -> None:
    """A window that reaches back before the first observed minute has no percentile."""
    store = MemoryStore()
    await store.open("live")
    for back in range(1, 4):
        start = DAY - back * DAY_MS + 13 * HOUR_MS
        await put(store, page(start, [5] * 12), wall_ms() - HOUR_MS)
    context = Context(view(), store)
    selection = Selection("ABCUSDT", "somewhere", "spot", tuple(context.live.instruments()))
    found = await context.of(selection, "1h", rolling(NOW, HOUR_MS), "rolling", "same")
    assert found.instruments == {}
    assert found.reason is not None
