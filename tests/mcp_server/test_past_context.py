"""Context of history rows: what was known when the row was published, and nothing of later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import pytest
from closed_minutes import quality
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.clock import wall_ms
from backbone.store.base import Query, Record
from backbone.store.memory import MemoryStore
from mcp_server.context import AWAY, NOT_OVER, ranks_of
from mcp_server.past_context import PastContext
from orderflow.completeness import State
from orderflow.context_reports import ContextReport
from orderflow.distribution import (
    ALL_HOURS_DAYS,
    MEASURES,
    SAME_HOUR_DAYS,
    buckets,
    page_end,
    page_from_body,
    page_of,
    series_name,
)
from orderflow.errors import StoreError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.histogram import merge
from orderflow.instrument import Instrument, Market
from orderflow.parts import FootprintPart
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window
from processor.hours import DuePage
from processor.records import page_record

NAME = "somewhere:spot:ABCUSDT"
TICK, LOT = Decimal("0.1"), Decimal("0.001")
INSTRUMENT = Instrument("somewhere", Market.SPOT, "ABCUSDT", "ABC", "USDT", TICK, LOT)
DAY = 1_735_689_600_000
WALL = wall_ms() - 1_000
"""Publication times of these tests are before it, each a thousandth of a day apart."""
LENGTH = 5 * MINUTE_MS
Hours = Literal["same", "all"]


def flow(start: int, lots: int) -> FlowBar:
    return FlowBar(start, start + LENGTH, TICK, LOT, buy_lots=lots, buy_trades=1, records=1)


def published(at_ms: int) -> int:
    """Wall time at which something of this exchange time is published."""
    return WALL - (DAY + 200 * DAY_MS - at_ms) // 1_000


def row(start: int, lots: int, now_ms: int | None = None) -> FootprintPart:
    bar = FootprintBar(flow(start, lots), TICK, {})
    end = start + LENGTH
    now = end + 10_000 if now_ms is None else now_ms
    state = quality(bar, State.VERIFIED)
    return FootprintPart(
        INSTRUMENT, Window(start, end), bar, state, now, now, published(end + 2_000)
    )


def record(start: int, volumes: Sequence[int], at_ms: int, revision: int = 0) -> Record:
    """A page of the hour, as it was published at a time."""
    page = page_of(start, [buckets(flow(start, lots), LENGTH) for lots in volumes])
    return page_record(DuePage(NAME, "5m", page, revision), published(at_ms))


async def contexts(
    records: Sequence[Record], rows: Sequence[FootprintPart], hours: Hours = "same"
) -> list[ContextReport]:
    store = MemoryStore()
    await store.open("live")
    await store.put(list(records))
    return await PastContext(store).of([[part] for part in rows], "5m", hours, None)


def naive(records: Sequence[Record], part: FootprintPart, hours: Hours) -> ContextReport:
    """The definition, page by page."""
    start, days = part.window.start_ms, SAME_HOUR_DAYS if hours == "same" else ALL_HOURS_DAYS
    newest: dict[int, Record] = {}
    for one in sorted(records, key=lambda one: one.revision):
        if one.published_at_ms <= (part.published_ms or 0):
            newest[one.start_ms] = one
    pages = [
        page_from_body(at, one.body)
        for at, one in newest.items()
        if start - days * DAY_MS <= at and page_end(at, "5m") <= start
        if hours == "all" or one.timeframe == series_name("5m", start)
    ]
    known = {name: merge(page.histogram(name) for page in pages) for name in MEASURES}
    return ranks_of(part, "5m", known)  # type: ignore[return-value]


pages = st.lists(
    st.tuples(
        st.integers(0, 120), st.integers(12, 14), st.integers(1, 999), st.integers(0, 20 * 24)
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda one: one[:2],
)
"""(day, hour, volume, hours from the end of the page to its publication)."""
places = st.lists(
    st.tuples(st.integers(1, 130), st.integers(12, 14), st.integers(0, 11)),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=40)
@given(pages, places, st.sampled_from(["same", "all"]), st.integers(0, 59))
def test_no_row_reads_its_future(
    drawn: list[tuple[int, int, int, int]],
    found: list[tuple[int, int, int]],
    hours: Hours,
    revised: int,
) -> None:
    """Every row has the rank by definition, and the same one when all that is later, in exchange
    time or in time of publishing, is taken away; a later revision of an earlier page is later."""
    records = []
    for place, (day, hour, lots, late_hours) in enumerate(drawn):
        start = DAY + day * DAY_MS + hour * HOUR_MS
        at = start + HOUR_MS + late_hours * HOUR_MS
        records.append(record(start, [lots] * 12, at))
        if place >= revised:
            records.append(record(start, [lots + 7] * 11, at + 40 * HOUR_MS, revision=1))
    rows = [
        row(DAY + day * DAY_MS + hour * HOUR_MS + k * LENGTH, 500) for day, hour, k in sorted(found)
    ]
    answers = asyncio.run(contexts(records, rows, hours))
    for part, told in zip(rows, answers, strict=True):
        assert told.instruments[NAME] == naive(records, part, hours)
        past = [
            one
            for one in records
            if one.start_ms < part.window.start_ms
            and one.published_at_ms <= (part.published_ms or 0)
        ]
        (alone,) = asyncio.run(contexts(past, [part], hours))
        assert alone == told


async def test_an_open_window_has_a_reason() -> None:
    """A window that is not over has no percentile; one that is incomplete says its state."""
    start = DAY + 100 * DAY_MS + 13 * HOUR_MS
    records = [
        record(start - k * DAY_MS, [5] * 12, start - k * DAY_MS + HOUR_MS) for k in range(1, 4)
    ]
    (told,) = await contexts(records, [row(start, 5, now_ms=start + 60_000)])
    assert (told.instruments, told.reason) == ({}, NOT_OVER)
    (told,) = await contexts(records, [row(start, 5)])
    assert told.instruments[NAME].volume.n == 36
    assert told.instruments[NAME].volume.percentile == 50
    assert told.before == told.window


async def test_a_store_that_is_away() -> None:
    """Rows that are still in memory are answered, and say why they have no context."""

    class Away(MemoryStore):
        async def query(self, query: Query) -> list[Record]:
            raise StoreError("away")

    rows = [[row(DAY, 5)], [row(DAY + LENGTH, 6)]]
    told = await PastContext(Away()).of(rows, "5m", "same", None)
    assert [one.reason for one in told] == [AWAY, AWAY]


@pytest.mark.parametrize("as_of_hours", [1, 30])
async def test_as_of(as_of_hours: int) -> None:
    """With as_of the pages published by then count, whenever the row was published."""
    start = DAY + 100 * DAY_MS + 13 * HOUR_MS
    store = MemoryStore()
    await store.open("live")
    await store.put([record(start - DAY_MS, [5] * 30, start + 20 * HOUR_MS)])
    at = published(start + as_of_hours * HOUR_MS)
    (told,) = await PastContext(store).of([[row(start, 5)]], "5m", "same", at)
    assert told.instruments[NAME].volume.n == (30 if as_of_hours > 20 else 0)
