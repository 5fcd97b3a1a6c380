"""Prices that earlier windows left behind, from bars. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from orderflow import grid
from orderflow.facts import on_tick
from orderflow.footprint import FootprintBar, on_one_grid
from orderflow.indicators import naked_levels, volume_profile, vwap
from orderflow.level_reports import LevelReport
from orderflow.wanted import iso


class Named(NamedTuple):
    """A price, where it comes from, and since when it could be known (ms)."""

    name: str
    price: Decimal
    since_ms: int | None


def of_window(name: str, bar: FootprintBar, *, closed: bool = True) -> list[Named]:
    """High, low, POC and value area of one window."""
    flow = bar.flow
    found = volume_profile.profile(bar.rows)
    if found is None or flow.high_ticks is None or flow.low_ticks is None:
        return []
    since = flow.end_ms if closed else None
    tick = flow.tick_size
    prices = {
        "high": flow.high_ticks * tick,
        "low": flow.low_ticks * tick,
        "poc": found.poc_row * bar.row_size,
        "vah": found.vah_row * bar.row_size,
        "val": found.val_row * bar.row_size,
    }
    return [Named(f"{name}_{what}", grid.plain(price), since) for what, price in prices.items()]


def bands(name: str, bar: FootprintBar) -> list[Named]:
    """VWAP and its bands, to the nearest tick."""
    average = vwap.vwap(bar.flow)
    if average is None:
        return []
    tick = bar.flow.tick_size
    found = [Named(f"{name}_vwap", on_tick(average.price, tick), None)]
    for k in vwap.BANDS:
        lower, upper = average.band(k)
        found.append(Named(f"{name}_vwap_upper_{k}", on_tick(upper, tick), None))
        found.append(Named(f"{name}_vwap_lower_{k}", on_tick(lower, tick), None))
    return found


def balance(bar: FootprintBar) -> list[Named]:
    """Range of the first hour of the day."""
    flow = bar.flow
    if flow.high_ticks is None or flow.low_ticks is None:
        return []
    return [
        Named("initial_balance_high", flow.high_ticks * flow.tick_size, flow.end_ms),
        Named("initial_balance_low", flow.low_ticks * flow.tick_size, flow.end_ms),
    ]


def naked_pocs(days: Sequence[FootprintBar]) -> list[Named]:
    """POCs of earlier days that no later day has traded; the last bar may be open."""
    if not days:
        return []
    bars = on_one_grid(days)
    row_ticks = int(bars[0].row_size / bars[0].flow.tick_size)
    ledger = naked_levels.EMPTY
    for place, bar in enumerate(bars):
        ledger = naked_levels.passed(ledger, bar.flow)
        found = volume_profile.profile(bar.rows)
        if found is None or place == len(bars) - 1:
            continue
        level = naked_levels.row_level(
            "poc", iso(bar.flow.start_ms)[:10], found.poc_row, row_ticks, bar.flow.end_ms
        )
        ledger = naked_levels.closed(ledger, [level])
    tick = bars[0].flow.tick_size
    return [
        Named(f"naked_poc_{level.session}", level.low_ticks * tick, level.since_ms)
        for level in ledger.untested
    ]


def reported(levels: Iterable[Named], price: Decimal | None, tick: Decimal) -> list[LevelReport]:
    """Levels nearest first; without a price in the order of the levels."""
    found = []
    for level in levels:
        away = Decimal(0) if price is None else price - level.price
        found.append(
            LevelReport(
                name=level.name,
                price=level.price,
                distance=away,
                distance_ticks=int(away / tick),
                side="at" if away == 0 else "below" if away > 0 else "above",
                since=None if level.since_ms is None else iso(level.since_ms),
            )
        )
    return sorted(found, key=lambda item: (abs(item.distance), item.name))
