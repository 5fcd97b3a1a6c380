"""Studies of value: per window, session and composite, and the levels it left behind."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from orderflow import footprint
from orderflow.answers import share
from orderflow.footprint import FootprintBar, Rows
from orderflow.indicators import naked_levels
from orderflow.indicators.composite import composite
from orderflow.indicators.developing import developing
from orderflow.indicators.nodes import nodes
from orderflow.indicators.shape import shape
from orderflow.indicators.value_migration import migration
from orderflow.indicators.volume_profile import profile
from orderflow.studies.calendar import Closing, closings
from orderflow.studies.study import (
    NO_BARS,
    NO_TRADES,
    Options,
    Row,
    Scale,
    Studied,
    number,
    scale_of,
)
from orderflow.timeframe import DAY_MS, floor_ms
from orderflow.wanted import iso

LEVELS = ("poc", "vah", "val")


def levels(rows: Rows, scale: Scale) -> Row:
    """POC and value area of rows: the low prices of their rows; None without volume."""
    found = profile(rows)
    row: Row = dict.fromkeys((*LEVELS, "va_pct"))
    if found is None:
        return row
    return {
        "poc": scale.row(found.poc_row),
        "vah": scale.row(found.vah_row),
        "val": scale.row(found.val_row),
        "va_pct": share(found.value_area_lots, found.total_lots),
    }


def window_row(bar: FootprintBar) -> Row:
    """One window in a row: its ends, candle, volume, delta, value and shape."""
    flow, scale = bar.flow, scale_of(bar)
    figure = shape(bar.rows)
    return {
        "period_start": iso(flow.start_ms),
        "period_end": iso(flow.end_ms),
        "open": scale.price(flow.open_ticks),
        "high": scale.price(flow.high_ticks),
        "low": scale.price(flow.low_ticks),
        "close": scale.price(flow.close_ticks),
        "volume": scale.size(flow.volume_lots),
        "delta": scale.size(flow.delta_lots),
        **levels(bar.rows, scale),
        "row_size": bar.row_size,
        "shape": None if figure is None else figure.name,
    }


def find_developing(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """The profile so far after each bar since the anchor, or since the last 00:00 UTC."""
    if not bars:
        return Studied(reason=NO_BARS)
    newest = bars[-1].flow.start_ms
    anchor = floor_ms(newest, DAY_MS) if options.anchor_ms is None else options.anchor_ms
    since = [bar for bar in bars if bar.flow.start_ms >= anchor]
    points = developing(since)
    items = [
        {
            "at": iso(point.end_ms),
            "poc": scale_of(bars[0]).row(point.poc_row),
            "vah": scale_of(bars[0]).row(point.vah_row),
            "val": scale_of(bars[0]).row(point.val_row),
            "volume": scale_of(bars[0]).size(point.total_lots),
        }
        for point in points
    ]
    covered = since[0].flow.start_ms if since else None
    facts: Row = {
        "anchor": iso(anchor),
        "since": None if covered is None else iso(covered),
        "row_size": bars[0].row_size,
    }
    return Studied(facts, items, None if items else NO_TRADES)


def find_sessions(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """One row per session that the bars touch; the open one and torn ones say so."""
    found = closings(bars, options.session)
    items = [_session_row(one) for one in found if one.bar is not None][-options.windows :]
    return Studied({"session": options.session}, items, None if items else NO_BARS)


def _session_row(one: Closing) -> Row:
    if one.bar is None:
        return {}
    whole = one.covered_ms == one.window.length_ms
    ends = {"period_start": iso(one.window.start_ms), "period_end": iso(one.window.end_ms)}
    return (
        window_row(one.bar)
        | ends
        | {
            "over": one.over,
            "whole": whole,
            "covered": number(Decimal(one.covered_ms) / one.window.length_ms),
        }
    )


def find_composite(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """One profile of the newest sessions that are over."""
    over = [one for one in closings(bars, options.session) if one.over and one.bar is not None]
    chosen = [one.bar for one in over[-options.windows :] if one.bar is not None]
    if not chosen:
        return Studied({"session": options.session}, [], "no session of this time is over")
    whole = composite(chosen)
    scale = Scale(whole.tick_size, whole.lot_size, whole.row_size)
    facts = levels(whole.rows, scale) | {
        "session": options.session,
        "windows": len(whole.windows),
        "first": iso(whole.windows[0].start_ms),
        "last_end": iso(whole.windows[-1].end_ms),
        "volume": scale.size(whole.total_lots),
        "row_size": whole.row_size,
        **shape_facts(whole.rows, scale),
    }
    return Studied(facts, node_rows(whole.rows, scale), None)


def find_migration(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Value of each window against the one before it, both on one grid."""
    items: list[Row] = []
    for before, after in pairwise(bars):
        was, now = profile(before.rows), profile(after.rows)
        if was is None or now is None:
            continue
        moved = migration(was, now)
        scale = scale_of(after)
        items.append(
            {
                "period_start": iso(after.flow.start_ms),
                "period_end": iso(after.flow.end_ms),
                "relation": moved.relation,
                "overlap": number(moved.overlap),
                "poc_shift": scale.row(moved.poc_shift_rows),
                "vah_shift": scale.row(moved.vah_shift_rows),
                "val_shift": scale.row(moved.val_shift_rows),
            }
        )
    return Studied({}, items, None if items else "two neighbouring windows with trades are needed")


def shape_facts(rows: Rows, scale: Scale) -> Row:
    """The letter and everything that decided it."""
    seen = shape(rows)
    if seen is None:
        return {"shape": None}
    return {
        "shape": seen.name,
        "shapes": list(seen.holds),
        "poc_third": seen.poc_third,
        "lower_volume": scale.size(seen.lower_lots),
        "middle_volume": scale.size(seen.middle_lots),
        "upper_volume": scale.size(seen.upper_lots),
        "valley": scale.row(seen.valley_row),
        "valley_volume": scale.size(seen.valley_lots),
        "smaller_peak_volume": scale.size(seen.smaller_peak_lots),
        "value_rows": seen.value_rows,
        "range_rows": seen.range_rows,
    }


def node_rows(rows: Rows, scale: Scale) -> list[Row]:
    """HVN and LVN, lowest price first, with their prominence."""
    return [
        {
            "type": node.kind.upper(),
            "price": scale.row(node.row),
            "volume": scale.size(node.lots),
            "strength": number(node.strength),
        }
        for node in nodes(rows)
    ]


def find_shape(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Shape of everything in the stretch, with its evidence; its nodes as items."""
    if not bars:
        return Studied(reason=NO_BARS)
    whole = footprint.then(bars)
    scale = scale_of(whole)
    if whole.flow.empty:
        return Studied(reason=NO_TRADES)
    facts = levels(whole.rows, scale) | shape_facts(whole.rows, scale)
    return Studied(facts, node_rows(whole.rows, scale))


def find_naked(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """The ledger of untested levels of closed sessions, and the touches that took others off it.

    The bars of a session that is not whole make no level, and whatever traded tests.
    """
    if not bars:
        return Studied(reason=NO_BARS)
    scale = scale_of(bars[0])
    ledger = naked_levels.EMPTY
    due = [one for one in closings(bars, options.session) if one.over and one.bar is not None]
    for bar in bars:
        while due and due[0].window.end_ms <= bar.flow.start_ms:
            ledger = naked_levels.closed(ledger, _levels_of(due.pop(0), scale))
        ledger = naked_levels.passed(ledger, bar.flow)
    for one in due:
        ledger = naked_levels.closed(ledger, _levels_of(one, scale))
    items = [_level_row(level, scale, None) for level in ledger.untested]
    items += [_level_row(touch, scale, touch) for touch in ledger.touches]
    facts: Row = {
        "session": options.session,
        "untested": len(ledger.untested),
        "touched": len(ledger.touches),
        "since": iso(bars[0].flow.start_ms),
    }
    return Studied(facts, items, None if items else "no session of this time is over")


def _levels_of(one: Closing, scale: Scale) -> list[naked_levels.Level]:
    found = None if one.bar is None else profile(one.bar.rows)
    if found is None or one.covered_ms < one.window.length_ms:
        return []
    start = iso(one.window.start_ms)
    return [
        naked_levels.row_level(
            kind, start, getattr(found, f"{kind}_row"), scale.row_ticks, one.window.end_ms
        )
        for kind in LEVELS
    ]


def _level_row(
    level: naked_levels.Level | naked_levels.Touch, scale: Scale, touch: naked_levels.Touch | None
) -> Row:
    return {
        "kind": level.kind,
        "session_start": level.session,
        "price": scale.price(level.low_ticks),
        "price_high": scale.price(level.high_ticks),
        "since": iso(level.since_ms),
        "status": "untested" if touch is None else "touched",
        "touch_start": None if touch is None else iso(touch.start_ms),
        "touch_end": None if touch is None else iso(touch.end_ms),
    }
