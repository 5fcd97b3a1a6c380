"""Closed minutes from the store into memory: the last day, then hours that windows begin in.

A thousand days of minutes take minutes to read, so whole hours are read before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from backbone.clock import wall_ms
from backbone.store.base import FLOW_BARS, FOOTPRINTS, Query, Record, Store
from orderflow.completeness import Quality
from orderflow.encoding import bar_from_body, flow_from_body
from orderflow.errors import StoreError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.timeframe import HOUR_MS, MINUTE_MS, floor_ms
from processor.block import Piece
from processor.history import CELLS_KEPT_MS, KEPT_MS
from processor.stream import Stream

CHUNK = 240
AGAIN_S = 1.0
PER_TURN = 20


async def load_hours(store: Store, stream: Stream, end_ms: int) -> None:
    """The whole hours of a stream's last day before `end_ms`, then the minutes of the hour that is
    not over, without 5 s bars: enough to answer for the day until `load_day` brings every minute.
    """
    name, hour = stream.instrument.name, floor_ms(end_ms, HOUR_MS)
    for record in await _records(store, FOOTPRINTS, name, "1h", (hour - KEPT_MS, hour)):
        stream.history.put_sum(*bar_from_body(record.body))
        await asyncio.sleep(0)
    await load_span(store, stream, (hour, end_ms), end_ms)


async def load_day(store: Store, stream: Stream, end_ms: int) -> None:
    """A stream's last day before `end_ms`, newest first, with the 5 s bars of the last two hours.

    What is in memory already is newer and stays. Whole hours at once, for sums are replaced whole.
    """
    oldest, newest = end_ms - KEPT_MS, end_ms
    while end_ms > oldest:
        start = max(oldest, floor_ms(end_ms - 1, HOUR_MS) - CHUNK * MINUTE_MS + HOUR_MS)
        await load_span(store, stream, (start, end_ms), max(start, newest - CELLS_KEPT_MS))
        stream.history.tidy(newest)
        end_ms = start
        await asyncio.sleep(0)


async def load_span(store: Store, stream: Stream, span: tuple[int, int], fine_ms: int) -> None:
    """At most CHUNK closed minutes that are not in memory, with their 5 s bars from `fine_ms`."""
    name, history = stream.instrument.name, stream.history
    cells: dict[int, Record] = {}
    if fine_ms < span[1]:
        found = await _records(store, FLOW_BARS, name, "5s", (fine_ms, span[1]))
        cells = {record.start_ms: record for record in found}
    hours: dict[int, list[tuple[FootprintBar, Quality, list[FlowBar]]]] = {}
    for place, record in enumerate(await _records(store, FOOTPRINTS, name, "1m", span)):
        if not history.awaits(record.start_ms):
            continue
        bar, quality = bar_from_body(record.body)
        of_minute = cells.get(record.start_ms)
        steps = {key: record.body[key] for key in ("tick_size", "lot_size", "quality")}
        flows = () if of_minute is None else of_minute.body["bars"]
        fine = [flow_from_body({**steps, "flow": flow})[0] for flow in flows]
        hours.setdefault(floor_ms(record.start_ms, HOUR_MS), []).append((bar, quality, fine))
        if place % PER_TURN == PER_TURN - 1:
            await asyncio.sleep(0)
    for hour, minutes in hours.items():
        history.restore(hour, minutes)
        await asyncio.sleep(0)


async def fill_wanted(store: Store, streams: Iterable[Stream]) -> None:
    """Hours whose minutes a window asked for."""
    for stream in list(streams):
        for hour in sorted(stream.history.wanted):
            name = stream.instrument.name
            records = await _records(store, FOOTPRINTS, name, "1m", (hour, hour + HOUR_MS))
            pieces: list[Piece] = [bar_from_body(record.body) for record in records]
            stream.history.fill(hour, pieces)
            await asyncio.sleep(0)


async def _records(
    store: Store, collection: str, name: str, timeframe: str, span: tuple[int, int]
) -> Sequence[Record]:
    """Records of a stream, as soon as the store answers."""
    query = Query(collection, name, timeframe, *span, wall_ms(), CHUNK)
    while True:
        try:
            return await store.query(query)
        except StoreError:
            await asyncio.sleep(AGAIN_S)
