"""What the profile cards give for the six trades of docs/indicators.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from six_trades import SIX_TRADES, bar_of, listed, one_a_bar, six_places, whole

from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import (
    composite,
    day_type,
    developing,
    market_profile,
    naked_levels,
    nodes,
    profile_algebra,
    sessions,
    shape,
    value_migration,
    volume_profile,
    vwap,
)
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window

Numbers = dict[str, str]
NEW_YEAR_MS = 1_735_689_600_000


def run(found: tuple[int, int] | None) -> str:
    return "none" if found is None else f"{found[0]}..{found[1]}"


def two_days() -> list[FootprintBar]:
    return [bar_of(SIX_TRADES[:3]), bar_of(SIX_TRADES[3:], DAY_MS, 4)]


def of_nodes() -> Numbers:
    found = nodes.nodes(whole().rows, smooth_rows=1)
    high = [f"{node.row} (strength {node.strength})" for node in found if node.kind == "hvn"]
    return {"hvn": listed(high), "lvn": listed([n.row for n in found if n.kind == "lvn"])}


def of_shape() -> Numbers:
    found = shape.shape(whole().rows, least_rows=4)
    assert found is not None
    thirds = (found.lower_lots, found.middle_lots, found.upper_lots)
    return {
        "shape": found.name,
        "poc_third": found.poc_third,
        "thirds_lots": " ".join(map(str, thirds)),
    }


def of_developing() -> Numbers:
    points = developing.developing(one_a_bar())
    return {
        "poc": " ".join(str(point.poc_row) for point in points),
        "val": " ".join(str(point.val_row) for point in points),
        "vah": " ".join(str(point.vah_row) for point in points),
    }


def of_sessions() -> Numbers:
    bars = [
        bar_of([trade], NEW_YEAR_MS + k * 4 * HOUR_MS, k + 1) for k, trade in enumerate(SIX_TRADES)
    ]
    numbers = {}
    for name in ("asia", "europe", "us"):
        window = sessions.last_closed(sessions.parse_session(name), NEW_YEAR_MS + DAY_MS)
        hours = [f"{at // HOUR_MS % 24:02}:00" for at in (window.start_ms, window.end_ms)]
        numbers[name] = f"{'-'.join(hours)} UTC, volume {volume(bars, window)}"
    day = sessions.previous_day(NEW_YEAR_MS + DAY_MS)
    return numbers | {"previous day at 2025-01-02": f"volume {volume(bars, day)}"}


def volume(bars: list[FootprintBar], window: Window) -> int:
    bar = sessions.bar_of_window(bars, window)
    assert bar is not None
    return bar.flow.volume_lots


def of_composite() -> Numbers:
    days = two_days()
    found = composite.composite(days)
    profile = volume_profile.profile(found.rows)
    assert profile is not None
    return {
        "windows": str(len(found.windows)),
        "total_volume": str(found.total_lots),
        "poc": str(profile.poc_row),
        "without the first": str(composite.removed(found, days[0]).total_lots),
    }


def of_naked_levels() -> Numbers:
    poc = volume_profile.point_of_control({r: b + s for r, (b, s, _) in whole().rows.items()})
    ledger = naked_levels.closed(
        naked_levels.EMPTY, [naked_levels.row_level("poc", "day", poc, 1, DAY_MS)]
    )
    numbers = {}
    for place, (low, high) in enumerate(((103, 104), (102, 103), (99, 100))):
        start = DAY_MS + place * HOUR_MS
        bar = FlowBar(start, start + HOUR_MS, Decimal(1), Decimal(1))
        traded = msgspec.structs.replace(bar, low_ticks=low, high_ticks=high, records=2)
        ledger = naked_levels.passed(ledger, traded)
        numbers[f"after bar {place + 1}"] = "touched" if ledger.touches else "naked"
    return numbers


def of_value_migration() -> Numbers:
    before, after = (volume_profile.profile(bar.rows) for bar in two_days())
    assert before is not None
    assert after is not None
    found = value_migration.migration(before, after)
    return {
        "previous value area": run((before.val_row, before.vah_row)),
        "value area": run((after.val_row, after.vah_row)),
        "relation": found.relation,
        "overlap": str(found.overlap),
        "poc_shift_rows": str(found.poc_shift_rows),
    }


def of_profile_algebra() -> Numbers:
    buys, sells = (bar_of([t for t in SIX_TRADES if t[2] is side]).rows for side in (True, False))
    found = profile_algebra.compare(buys, sells)
    assert found is not None
    return {
        "overlap": str(found.overlap),
        "total_variation": str(found.total_variation),
        "largest_gap": str(found.largest_gap),
        "transport_rows": str(found.transport_rows),
        "poc_shift_rows": str(found.poc_shift_rows),
    }


def of_vwap() -> Numbers:
    found = vwap.vwap(whole().flow)
    assert found is not None
    later = vwap.anchored([bar.flow for bar in one_a_bar()], 2 * MINUTE_MS)
    lower, upper = found.band(1)
    return {
        "vwap": six_places(found.price),
        "sigma": six_places(found.sigma),
        "upper 1": six_places(upper),
        "lower 1": six_places(lower),
        "anchored vwap": six_places(later[-1].price),
    }


def of_market_profile() -> Numbers:
    bars = [bar.flow for bar in one_a_bar(market_profile.BRACKET_MS)]
    found = market_profile.read(market_profile.time_profile(bars, 0, row_ticks=1))
    assert found is not None
    high, low = found.high, found.low
    return {
        "tpo": " ".join(f"{row}:{count}" for row, count in found.counts.items()),
        "poc": str(found.poc_row),
        "initial_balance": run(found.balance),
        "single_prints": listed([run(one) for one in found.single_prints]),
        "high": f"tail {run(high.tail)}{', excess' if high.excess else ''}",
        "low": "poor" if low.poor else "not poor",
    }


def of_day_type() -> Numbers:
    bars = [bar.flow for bar in one_a_bar(market_profile.BRACKET_MS)]
    profile = market_profile.read(market_profile.time_profile(bars, 0, row_ticks=1))
    assert profile is not None
    found = day_type.day_type(profile, SIX_TRADES[-1][0])
    assert found is not None
    return {
        "day_type": found.name,
        "above_balance_rows": str(found.above_balance_rows),
        "below_balance_rows": str(found.below_balance_rows),
        "close_position": str(found.close_position),
    }


COMPUTED: dict[str, Callable[[], Numbers]] = {
    "nodes": of_nodes,
    "shape": of_shape,
    "developing": of_developing,
    "sessions": of_sessions,
    "composite": of_composite,
    "naked_levels": of_naked_levels,
    "value_migration": of_value_migration,
    "profile_algebra": of_profile_algebra,
    "vwap": of_vwap,
    "market_profile": of_market_profile,
    "day_type": of_day_type,
}
