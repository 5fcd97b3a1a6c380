"""Results as store records: what is kept, in which collection, for how long. Pure."""

from __future__ import annotations

from typing import Any

from backbone.store.base import (
    DERIVATIVES,
    DISTRIBUTIONS,
    EVENTS,
    FLOW_BARS,
    FOOTPRINTS,
    ORDER_FLOW,
    VOLUME_PROFILE,
    Record,
)
from orderflow.derivatives import DerivativeMinute, minute_to_body
from orderflow.distribution import page_end, page_to_body, series_name
from orderflow.encoding import bar_to_body, flow_to_body
from orderflow.event import EVENT_SERIES, events_to_body
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.indicators import volume_profile
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, PERIODS
from processor.chronicle import Due
from processor.engine import WindowResult
from processor.hours import DuePage
from processor.stream import MinuteResult

FOOTPRINT_KEPT_MS = {
    "1m": 2 * DAY_MS,
    "5m": 7 * DAY_MS,
    "15m": 14 * DAY_MS,
    "30m": 14 * DAY_MS,
    "1h": 30 * DAY_MS,
    "4h": 60 * DAY_MS,
    "1d": 365 * DAY_MS,
}
PROFILE_KEPT_MS = {name: max(kept, 7 * DAY_MS) for name, kept in FOOTPRINT_KEPT_MS.items()}
FLOW_KEPT_MS = {"1m": DAY_MS, "5m": 3 * DAY_MS, "15m": 7 * DAY_MS, "1h": 30 * DAY_MS}
CELLS_KEPT_MS = 2 * HOUR_MS
REFRESH_KEPT_MS = DAY_MS
EVENTS_KEPT_MS = 30 * DAY_MS
DERIVATIVES_KEPT_MS = 30 * DAY_MS
DISTRIBUTIONS_KEPT_MS = 90 * DAY_MS
REFRESH = "refresh"
"""Timeframe name of the minute refresh: one record holds the rolling summary of every timeframe."""


def minute_records(result: MinuteResult, wall_ms: int) -> list[Record]:
    """The minute's footprint, its order flow and its 5 s bars."""
    start = result.bar.flow.start_ms
    cells = {"bars": [flow_to_body(cell, result.quality)["flow"] for cell in result.cells]}
    return [
        _record(FOOTPRINTS, result, "1m", start, bar_to_body(result.bar, result.quality), wall_ms),
        _record(
            ORDER_FLOW, result, "1m", start, flow_to_body(result.bar.flow, result.quality), wall_ms
        ),
        _record(FLOW_BARS, result, "5s", start, cells, wall_ms),
    ]


def window_records(result: WindowResult, wall_ms: int) -> list[Record]:
    """A closed window's footprint, its profile (every revision) and its order flow."""
    start, name = result.bar.flow.start_ms, result.timeframe
    body = bar_to_body(result.bar, result.quality)
    profile = body | {"profile": summary(result.bar), "content_hash": result.content_hash}
    records = [
        _record(FOOTPRINTS, result, name, start, body, wall_ms),
        _record(VOLUME_PROFILE, result, name, start, profile, wall_ms),
    ]
    if name in PERIODS:
        flow = flow_to_body(result.bar.flow, result.quality)
        records.append(_record(ORDER_FLOW, result, name, start, flow, wall_ms))
    return records


def refresh_record(
    instrument: str, minute_ms: int, bars: dict[str, FootprintBar], wall_ms: int
) -> Record:
    """The rolling profile summary of every timeframe at the end of a minute."""
    body: dict[str, Any] = {name: summary(bar) for name, bar in bars.items()}
    return Record(
        collection=VOLUME_PROFILE,
        instrument=instrument,
        timeframe=REFRESH,
        start_ms=minute_ms,
        revision=0,
        applied_through_ms=minute_ms,
        published_at_ms=wall_ms,
        expires_at_ms=wall_ms + REFRESH_KEPT_MS,
        body=body,
    )


def chronicle_records(due: Due, wall_ms: int) -> list[Record]:
    """Pages of events, one per minute, and of distributions, one per hour and revision."""
    records = [
        Record(
            collection=EVENTS,
            instrument=page.instrument,
            timeframe=EVENT_SERIES,
            start_ms=page.minute_ms,
            revision=page.revision,
            applied_through_ms=page.minute_ms + MINUTE_MS,
            published_at_ms=wall_ms,
            expires_at_ms=wall_ms + EVENTS_KEPT_MS,
            body=events_to_body(page.events),
        )
        for page in due.events
    ]
    return records + [page_record(hour, wall_ms) for hour in due.pages]


def page_record(hour: DuePage, wall_ms: int) -> Record:
    """The histograms of an hour of day."""
    start = hour.page.start_ms
    return Record(
        collection=DISTRIBUTIONS,
        instrument=hour.instrument,
        timeframe=series_name(hour.timeframe, start),
        start_ms=start,
        revision=hour.revision,
        applied_through_ms=page_end(start, hour.timeframe),
        published_at_ms=wall_ms,
        expires_at_ms=wall_ms + DISTRIBUTIONS_KEPT_MS,
        body=page_to_body(hour.page),
    )


def derivative_record(instrument: str, minute: DerivativeMinute, wall_ms: int) -> Record:
    """A closed minute of funding, open interest and liquidations."""
    end = minute.start_ms + MINUTE_MS
    return Record(
        collection=DERIVATIVES,
        instrument=instrument,
        timeframe="1m",
        start_ms=minute.start_ms,
        revision=0,
        applied_through_ms=end,
        published_at_ms=wall_ms,
        expires_at_ms=wall_ms + DERIVATIVES_KEPT_MS,
        body=minute_to_body(minute),
    )


def summary(bar: FootprintBar) -> dict[str, str] | None:
    """POC, value area and volume in decimal strings; None when nothing traded."""
    found = volume_profile.profile(bar.rows)
    if found is None:
        return None
    row, lot = bar.row_size, bar.flow.lot_size
    return {
        "poc": f"{plain(found.poc_row * row):f}",
        "vah": f"{plain(found.vah_row * row):f}",
        "val": f"{plain(found.val_row * row):f}",
        "row_size": f"{row:f}",
        "value_area_volume": f"{found.value_area_lots * lot:f}",
        "total_volume": f"{found.total_lots * lot:f}",
    }


KEPT_MS: dict[str, dict[str, int]] = {
    FOOTPRINTS: FOOTPRINT_KEPT_MS,
    VOLUME_PROFILE: PROFILE_KEPT_MS,
    ORDER_FLOW: FLOW_KEPT_MS,
    FLOW_BARS: {"5s": CELLS_KEPT_MS},
}


def _record(
    collection: str,
    result: MinuteResult | WindowResult,
    timeframe: str,
    start_ms: int,
    body: dict[str, Any],
    wall_ms: int,
) -> Record:
    return Record(
        collection=collection,
        instrument=result.instrument,
        timeframe=timeframe,
        start_ms=start_ms,
        revision=result.quality.revision,
        applied_through_ms=result.quality.applied_through_ms,
        published_at_ms=wall_ms,
        expires_at_ms=wall_ms + KEPT_MS[collection][timeframe],
        body=body,
    )
