"""Columns of an offline computation: one function per indicator, from a closed window."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from orderflow.answers import share
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.indicators import order_flow, volume_profile
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances
from orderflow.indicators.stacked_imbalance import stacked_imbalances
from orderflow.timeframe import DAY_MS, floor_ms

Row = dict[str, Any]
"""Column to value: Decimal, int, str, bool or None."""


class Running:
    """What carries over from window to window: cumulative delta since 00:00 UTC."""

    def __init__(self) -> None:
        self.day_ms = -1
        self.delta = Decimal(0)

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


COLUMNS: dict[str, Callable[[FootprintBar, Running], Row]] = {
    "flow": flow_columns,
    "ratios": ratio_columns,
    "profile": profile_columns,
    "imbalances": imbalance_columns,
    "cvd": cvd_columns,
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
