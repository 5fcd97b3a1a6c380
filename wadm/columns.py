"""Columns of an offline computation: one function per indicator, from a closed window."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from orderflow.answers import share
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.indicators import order_flow, volume_profile
from orderflow.indicators.cot import cot
from orderflow.indicators.developing import Developing, DevelopingPoint
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances
from orderflow.indicators.nodes import nodes
from orderflow.indicators.shape import shape
from orderflow.indicators.stacked_imbalance import stacked_imbalances
from orderflow.indicators.value_migration import Migration, migration
from orderflow.indicators.volume_profile import Profile, profile
from orderflow.indicators.vwap import vwap
from orderflow.timeframe import DAY_MS, floor_ms

Row = dict[str, Any]
"""Column to value: Decimal, int, str, bool or None."""


class Running:
    """What carries over from window to window: cumulative delta and the developing profile since
    00:00 UTC, and the value area of the window before."""

    def __init__(self) -> None:
        self.day_ms = -1
        self.delta = Decimal(0)
        self.developing_day_ms = -1
        self.developing = Developing()
        self.before: tuple[Decimal, Profile] | None = None

    def developed(self, bar: FootprintBar) -> DevelopingPoint | None:
        """The day's profile at the end of this window."""
        day = floor_ms(bar.flow.start_ms, DAY_MS)
        if day != self.developing_day_ms:
            self.developing_day_ms, self.developing = day, Developing()
        return self.developing.add(bar)

    def moved(self, bar: FootprintBar) -> Migration | None:
        """Value against the window before; None where either has none or rows differ."""
        found, before = profile(bar.rows), self.before
        self.before = None if found is None else (bar.row_size, found)
        if found is None or before is None or before[0] != bar.row_size:
            return None
        return migration(before[1], found)

    def add(self, bar: FootprintBar) -> Decimal:
        """Cumulative delta at the end of this window."""
        day = floor_ms(bar.flow.start_ms, DAY_MS)
        if day != self.day_ms:
            self.day_ms, self.delta = day, Decimal(0)
        self.delta += bar.flow.delta_lots * bar.flow.lot_size
        return self.delta


def flow_columns(bar: FootprintBar, running: Running) -> Row:
    """Candle, volumes, delta and its extremes; None where nothing traded."""
    flow = bar.flow
    lot, tick = flow.lot_size, flow.tick_size
    least, most = order_flow.served_extremes(flow)
    found: Row = {
        name: None if ticks is None else ticks * tick
        for name, ticks in (
            ("open", flow.open_ticks),
            ("high", flow.high_ticks),
            ("low", flow.low_ticks),
            ("close", flow.close_ticks),
        )
    }
    return found | {
        "volume": flow.volume_lots * lot,
        "buy_volume": flow.buy_lots * lot,
        "sell_volume": flow.sell_lots * lot,
        "quote_volume": flow.quote(flow.buy_quote + flow.sell_quote),
        "buy_quote_volume": flow.quote(flow.buy_quote),
        "trades": flow.trades,
        "delta": flow.delta_lots * lot,
        "min_delta": None if least is None else least * lot,
        "max_delta": None if most is None else most * lot,
        "first_id": flow.first_id,
        "last_id": flow.last_id,
    }


def ratio_columns(bar: FootprintBar, running: Running) -> Row:
    """The three spellings of imbalance, and delta in percent."""
    flow = bar.flow
    found = order_flow.imbalance(flow.buy_lots, flow.sell_lots)
    return {
        "delta_pct": share(flow.delta_lots, flow.volume_lots),
        "imbalance": found.imbalance,
        "buy_ratio": found.buy_ratio,
        "imbalance_ratio": found.imbalance_ratio,
    }


def profile_columns(bar: FootprintBar, running: Running) -> Row:
    """Point of control and value area: the low prices of their rows."""
    found = volume_profile.profile(bar.rows)
    size = bar.row_size
    row: Row = {"poc": None, "vah": None, "val": None, "va_pct": None, "row_size": size}
    if found is None:
        return row
    return row | {
        "poc": plain(found.poc_row * size),
        "vah": plain(found.vah_row * size),
        "val": plain(found.val_row * size),
        "va_pct": share(found.value_area_lots, found.total_lots),
    }


def imbalance_columns(bar: FootprintBar, running: Running) -> Row:
    """How many diagonal imbalances and stacks of each side."""
    found = diagonal_imbalances(bar.rows)
    stacks = stacked_imbalances(found)
    return {
        f"{side}_{what}": sum(one.side == side for one in held)
        for side in ("buy", "sell")
        for what, held in (("imbalances", found), ("stacks", stacks))
    }


def cvd_columns(bar: FootprintBar, running: Running) -> Row:
    """Cumulative delta since 00:00 UTC, or since the first window."""
    return {"cvd": running.add(bar)}


def vwap_columns(bar: FootprintBar, running: Running) -> Row:
    """VWAP and its bands of one and two deviations."""
    found = vwap(bar.flow)
    names = ("vwap", "vwap_sigma", "vwap_lower_1", "vwap_upper_1", "vwap_lower_2", "vwap_upper_2")
    if found is None:
        return dict.fromkeys(names)
    values = (found.price, found.sigma, *found.band(1), *found.band(2))
    step = found.tick_size / 10**6
    return {name: value.quantize(step) for name, value in zip(names, values, strict=True)}


def shape_columns(bar: FootprintBar, running: Running) -> Row:
    """Shape of the profile, and its strongest high- and low-volume nodes."""
    found = shape(bar.rows)
    row: Row = {"shape": None if found is None else found.name}
    held = nodes(bar.rows)
    for kind in ("hvn", "lvn"):
        prices = [f"{plain(one.row * bar.row_size):f}" for one in held if one.kind == kind]
        row[kind] = " ".join(prices)
    return row


def developing_columns(bar: FootprintBar, running: Running) -> Row:
    """POC and value area of the UTC day as they stood at the end of the window."""
    point, size = running.developed(bar), bar.row_size
    names = ("poc_row", "vah_row", "val_row")
    return {
        f"developing_{name[:3]}": None if point is None else plain(getattr(point, name) * size)
        for name in names
    }


def migration_columns(bar: FootprintBar, running: Running) -> Row:
    """Value area against the window before."""
    found = running.moved(bar)
    return {
        "value_relation": None if found is None else found.relation,
        "value_overlap": None if found is None else found.overlap,
        "poc_shift_rows": None if found is None else found.poc_shift_rows,
    }


def cot_columns(bar: FootprintBar, running: Running) -> Row:
    """Delta at the last touch of high and low."""
    found, lot = cot(bar.flow), bar.flow.lot_size
    high, low = found.cot_high_lots, found.cot_low_lots
    return {
        "cot_high": None if high is None else high * lot,
        "cot_low": None if low is None else low * lot,
    }


def sweep_columns(bar: FootprintBar, running: Running) -> Row:
    """Same-millisecond sweeps of at least three levels."""
    flow = bar.flow
    return {
        "sweeps": flow.sweeps,
        "sweep_buy_volume": None
        if flow.sweep_buy_lots is None
        else flow.sweep_buy_lots * flow.lot_size,
        "sweep_sell_volume": None
        if flow.sweep_sell_lots is None
        else flow.sweep_sell_lots * flow.lot_size,
    }


COLUMNS: dict[str, Callable[[FootprintBar, Running], Row]] = {
    "flow": flow_columns,
    "ratios": ratio_columns,
    "profile": profile_columns,
    "imbalances": imbalance_columns,
    "cvd": cvd_columns,
    "vwap": vwap_columns,
    "shape": shape_columns,
    "developing": developing_columns,
    "migration": migration_columns,
    "cot": cot_columns,
    "sweeps": sweep_columns,
}
"""Every choice of `--indicators`; adding one is one function and one line here."""


def row_lines(bar: FootprintBar) -> list[Row]:
    """The window's volume at price, lowest row first."""
    lot = bar.flow.lot_size
    return [
        {
            "price": plain(row * bar.row_size),
            "buy_volume": buy * lot,
            "sell_volume": sell * lot,
            "trades": trades,
        }
        for row, (buy, sell, trades) in sorted(bar.rows.items())
    ]
