"""Studies of the auction in time: initial balance, extremes, day type; profile algebra."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.footprint import FootprintBar
from orderflow.indicators import profile_algebra
from orderflow.indicators.day_type import day_type
from orderflow.indicators.market_profile import MarketProfile, Range, read, time_profile
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
from orderflow.studies.value import levels, node_rows, shape_facts
from orderflow.timeframe import Window
from orderflow.wanted import iso

TWO_WINDOWS = "other is missing: the second window as START/END"


def find_market_profile(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Initial balance, excess, poor extremes and TPO value of the newest session; single prints."""
    seen = _read(bars, options)
    if seen is None:
        return Studied({"session": options.session}, [], NO_BARS if not bars else NO_TRADES)
    one, found, scale = seen
    low, high = found.balance or (None, None)
    facts: Row = {
        **_ends(one, options),
        "tpo_poc": scale.row(found.poc_row),
        "tpo_vah": scale.row(found.vah_row),
        "tpo_val": scale.row(found.val_row),
        "tpos": sum(found.counts.values()),
        "initial_balance_low": scale.row(low),
        "initial_balance_high": scale.row(high),
        "initial_balance_final": found.balance_final,
        "range_above_balance": scale.row(found.above_balance_rows),
        "range_below_balance": scale.row(found.below_balance_rows),
        "high": scale.row(found.high.row),
        "excess_high": found.high.excess,
        "poor_high": found.high.poor,
        "low": scale.row(found.low.row),
        "excess_low": found.low.excess,
        "poor_low": found.low.poor,
        "row_size": scale.row_size,
    }
    items = [_run("single_prints", run, scale) for run in found.single_prints]
    for name, end in (("tail_low", found.low), ("tail_high", found.high)):
        if end.tail is not None:
            items.append(_run(name, end.tail, scale))
    return Studied(facts, items)


def find_day_type(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """The type of every session the bars touch, with what decided it."""
    items: list[Row] = []
    for one in closings(bars, options.session)[-options.windows :]:
        found = _profile_of(one, bars)
        if found is None or one.bar is None:
            continue
        scale = scale_of(one.bar)
        close = (one.bar.flow.close_ticks or 0) // scale.row_ticks
        kind = day_type(found, close)
        items.append(
            _ends(one, options)
            | {
                "day_type": None if kind is None else kind.name,
                "balance_rows": None if kind is None else kind.balance_rows,
                "range_rows": None if kind is None else kind.range_rows,
                "above_balance_rows": found.above_balance_rows,
                "below_balance_rows": found.below_balance_rows,
                "close_position": None if kind is None else number(kind.close_position),
                "initial_balance_final": found.balance_final,
            }
        )
    return Studied({"session": options.session}, items, None if items else NO_BARS)


def find_algebra(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Two windows merged, subtracted or compared; the second is `other`.

    Without `first` the first window is every bar to subtract from, else every bar not in `other`.
    """
    if options.other is None:
        raise ValidationError(TWO_WINDOWS)
    second = [bar for bar in bars if _starts_in(bar, options.other)]
    whole = options.operation == "subtract"
    first = [
        bar
        for bar in bars
        if (
            _starts_in(bar, options.first)
            if options.first is not None
            else whole or not _starts_in(bar, options.other)
        )
    ]
    if not first or not second:
        return Studied({"operation": options.operation}, [], NO_BARS)
    a, b = footprint.then(first), footprint.then(second)
    scale = scale_of(a)
    facts: Row = {"operation": options.operation, "row_size": scale.row_size}
    if options.operation == "compare":
        return Studied(facts | _compared(a, b, scale), _differences(a, b, scale), None)
    merging = options.operation == "merge"
    rows = (
        profile_algebra.merge([a.rows, b.rows])
        if merging
        else profile_algebra.subtract(a.rows, b.rows)
    )
    volume = sum(buy + sell for buy, sell, _ in rows.values())
    facts |= {"volume": scale.size(volume), **levels(rows, scale), **shape_facts(rows, scale)}
    return Studied(facts, node_rows(rows, scale), None if rows else NO_TRADES)


def _compared(a: FootprintBar, b: FootprintBar, scale: Scale) -> Row:
    found = profile_algebra.compare(a.rows, b.rows)
    if found is None:
        return {"overlap": None}
    return {
        "overlap": number(found.overlap),
        "total_variation": number(found.total_variation),
        "largest_gap": number(found.largest_gap),
        "largest_gap_price": scale.row(found.largest_gap_row),
        "transport": number(found.transport_rows),
        "transport_price": number(found.transport_rows * Fraction(scale.row_size)),
        "poc_shift": scale.row(found.poc_shift_rows),
        "value_overlap_rows": found.value_overlap_rows,
        "volume": scale.size(found.a_lots),
        "other_volume": scale.size(found.b_lots),
    }


def _differences(a: FootprintBar, b: FootprintBar, scale: Scale) -> list[Row]:
    return [
        {"price": scale.row(row), "volume": scale.size(volume), "delta": scale.size(delta)}
        for row, (volume, delta) in profile_algebra.delta_by_row(a.rows, b.rows).items()
    ]


def _starts_in(bar: FootprintBar, window: Window) -> bool:
    return window.start_ms <= bar.flow.start_ms < window.end_ms


def _read(
    bars: Sequence[FootprintBar], options: Options
) -> tuple[Closing, MarketProfile, Scale] | None:
    """The newest session that traded."""
    for one in reversed(closings(bars, options.session)):
        found = _profile_of(one, bars)
        if found is not None and one.bar is not None:
            return one, found, scale_of(one.bar)
    return None


def _profile_of(one: Closing, bars: Sequence[FootprintBar]) -> MarketProfile | None:
    inside = [bar for bar in bars if _starts_in(bar, one.window)]
    if one.bar is None or not inside:
        return None
    ticks = scale_of(one.bar).row_ticks
    brackets = time_profile([bar.flow for bar in inside], one.window.start_ms, row_ticks=ticks)
    return read(brackets)


def _ends(one: Closing, options: Options) -> Row:
    return {
        "session": options.session,
        "period_start": iso(one.window.start_ms),
        "period_end": iso(one.window.end_ms),
        "over": one.over,
        "whole": one.covered_ms == one.window.length_ms,
    }


def _run(kind: str, run: Range, scale: Scale) -> Row:
    return {"kind": kind, "price": scale.row(run[0]), "price_high": scale.row(run[1])}
