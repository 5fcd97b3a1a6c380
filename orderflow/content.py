"""Canonical content of a bar and its SHA-256: what "identical" means everywhere.

Identity, served numbers, trade id range and row size enter; revision, times of publishing and
states do not, nor does anything that depends on how trades were delivered (records, aggregate ids,
trade times).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators.order_flow import served_extremes

WIDE = Context(prec=80)


def bar_hash(instruments: Sequence[str], timeframe: str, bar: FootprintBar) -> str:
    """SHA-256 (hex) of a footprint bar of these instruments."""
    lot = bar.flow.lot_size
    rows = [
        [row, _text(buy * lot), _text(sell * lot), trades]
        for row, (buy, sell, trades) in sorted(bar.rows.items())
    ]
    sizes = [
        [number, _text(buy * lot), _text(sell * lot), buys, sells]
        for number, (buy, sell, buys, sells) in sorted(bar.sizes.items())
    ]
    tick = bar.flow.tick_size
    prints = [
        [item.event_ms, _text(item.price_ticks * tick), _text(item.qty_lots * lot), item.side]
        for item in bar.largest
    ]
    content = _flow_content(bar.flow) | {"row_size": _text(bar.row_size), "rows": rows}
    content |= {"sizes": sizes, "largest": prints}
    return digest({"instruments": sorted(instruments), "timeframe": timeframe} | content)


def flow_hash(instruments: Sequence[str], period: str, bar: FlowBar) -> str:
    """SHA-256 (hex) of a flow bar of these instruments."""
    content = {"instruments": sorted(instruments), "timeframe": period}
    return digest(content | _flow_content(bar))


def digest(content: dict[str, Any]) -> str:
    """SHA-256 (hex) of plain data in canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _flow_content(bar: FlowBar) -> dict[str, Any]:
    least, most = served_extremes(bar)
    prices = {
        name: _steps(getattr(bar, f"{name}_ticks"), bar.tick_size)
        for name in ("open", "high", "low", "close")
    }
    return prices | {
        "start_ms": bar.start_ms,
        "end_ms": bar.end_ms,
        "buy": _steps(bar.buy_lots, bar.lot_size),
        "sell": _steps(bar.sell_lots, bar.lot_size),
        "buy_quote": _text(bar.quote(bar.buy_quote)),
        "sell_quote": _text(bar.quote(bar.sell_quote)),
        "buy_trades": bar.buy_trades,
        "sell_trades": bar.sell_trades,
        "min_delta": _steps(least, bar.lot_size),
        "max_delta": _steps(most, bar.lot_size),
        "squares": _text(_squares(bar)),
        "cot_high": _steps(bar.cot_high_lots, bar.lot_size),
        "cot_low": _steps(bar.cot_low_lots, bar.lot_size),
        "sweeps": bar.sweeps,
        "sweep_buy": _steps(bar.sweep_buy_lots, bar.lot_size),
        "sweep_sell": _steps(bar.sweep_sell_lots, bar.lot_size),
        "first_id": bar.first_id,
        "last_id": bar.last_id,
    }


def _squares(bar: FlowBar) -> Decimal:
    """Sum of price^2 x quantity; wider than the 28 digits of ordinary decimals."""
    unit = WIDE.multiply(WIDE.multiply(bar.tick_size, bar.tick_size), bar.lot_size)
    return WIDE.multiply(Decimal(bar.square_quote), unit)


def _steps(steps: int | None, size: Decimal) -> str | None:
    return None if steps is None else _text(steps * size)


def _text(value: Decimal) -> str:
    """One spelling per number, whatever steps it was counted in."""
    return f"{value.normalize(WIDE):f}" if value else "0"
