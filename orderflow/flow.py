"""FlowBar: the order flow of an interval, with its two merge operators.

`then(a, b)` joins consecutive intervals and is exact for every field.
`beside(a, b)` joins concurrent intervals (venues, markets) and is exact for sums, counts, high
and low; open and close go by (exchange time, instrument name); what depends on an order nobody
knows (delta extremes, delta at the high and low) becomes None.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from orderflow.errors import MergeError
from orderflow.instrument import common_step


class FlowBar(msgspec.Struct, gc=False, frozen=True):
    """Order flow of [start_ms, end_ms) in whole ticks and lots; empty when nothing traded.

    `buy_quote`, `sell_quote`: sum of price x quantity in tick x lot units, exact.
    `min_delta_lots`, `max_delta_lots`: extremes of the running delta after each trade, the start
    (0) not included; None when empty or when several streams were merged.
    `square_quote`: sum of price^2 x quantity in tick^2 x lot units, exact.
    `cot_high_lots`, `cot_low_lots`: running delta right after the last trade at the high / the low
    (commitment of traders); None when empty or when several streams were merged.
    `sweeps`: runs of prints of one aggressor in one millisecond that walk through at least three
    prices, and their volume by side.
    `buy_trades`, `sell_trades`: exchange trades (an aggregate counts all it holds); `records`:
    rows as delivered. Ids are None where the venue has no numeric ones.
    """

    start_ms: int
    end_ms: int
    tick_size: Decimal
    lot_size: Decimal
    buy_lots: int = 0
    sell_lots: int = 0
    buy_trades: int = 0
    sell_trades: int = 0
    buy_quote: int = 0
    sell_quote: int = 0
    records: int = 0
    open_ticks: int | None = None
    high_ticks: int | None = None
    low_ticks: int | None = None
    close_ticks: int | None = None
    min_delta_lots: int | None = None
    max_delta_lots: int | None = None
    first_ms: int | None = None
    last_ms: int | None = None
    first_name: str = ""
    last_name: str = ""
    first_id: int | None = None
    last_id: int | None = None
    square_quote: int = 0
    cot_high_lots: int | None = None
    cot_low_lots: int | None = None
    sweeps: int = 0
    sweep_buy_lots: int = 0
    sweep_sell_lots: int = 0

    @property
    def empty(self) -> bool:
        """True when nothing traded."""
        return self.records == 0

    @property
    def delta_lots(self) -> int:
        """Buy minus sell volume."""
        return self.buy_lots - self.sell_lots

    @property
    def volume_lots(self) -> int:
        """Buy plus sell volume."""
        return self.buy_lots + self.sell_lots

    @property
    def trades(self) -> int:
        """Exchange trades of both sides."""
        return self.buy_trades + self.sell_trades

    def quote(self, ticks_lots: int) -> Decimal:
        """A quote amount given in tick x lot units, as an exact decimal."""
        return Decimal(ticks_lots) * (self.tick_size * self.lot_size)

    def rescaled(self, tick_size: Decimal, lot_size: Decimal) -> FlowBar:
        """The same flow in finer steps; MergeError when a step is no whole divisor."""
        if tick_size == self.tick_size and lot_size == self.lot_size:
            return self
        ticks = whole_ratio(self.tick_size, tick_size)
        lots = whole_ratio(self.lot_size, lot_size)
        changed: dict[str, Any] = {"tick_size": tick_size, "lot_size": lot_size}
        for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
            changed[name] = _times(getattr(self, name), ticks)
        for name in LOT_FIELDS:
            changed[name] = _times(getattr(self, name), lots)
        for name in ("buy_quote", "sell_quote"):
            changed[name] = getattr(self, name) * ticks * lots
        changed["square_quote"] = self.square_quote * ticks * ticks * lots
        return msgspec.structs.replace(self, **changed)


LOT_FIELDS = (
    "buy_lots",
    "sell_lots",
    "min_delta_lots",
    "max_delta_lots",
    "cot_high_lots",
    "cot_low_lots",
    "sweep_buy_lots",
    "sweep_sell_lots",
)


def whole_ratio(coarse: Decimal, fine: Decimal) -> int:
    """How many fine steps make a coarse one; MergeError when it is no whole number."""
    ratio = coarse / fine
    whole = int(ratio)
    if ratio != whole or whole < 1:
        raise MergeError(f"{coarse} is no whole multiple of {fine}")
    return whole


def _times(value: int | None, factor: int) -> int | None:
    return None if value is None else value * factor


def on_one_scale(a: FlowBar, b: FlowBar) -> tuple[FlowBar, FlowBar]:
    """Both bars in the largest steps that fit both."""
    if a.tick_size == b.tick_size and a.lot_size == b.lot_size:
        return a, b
    tick = common_step([a.tick_size, b.tick_size])
    lot = common_step([a.lot_size, b.lot_size])
    return a.rescaled(tick, lot), b.rescaled(tick, lot)


def then(a: FlowBar, b: FlowBar) -> FlowBar:
    """`a` followed by `b`; exact for every field. MergeError when `b` starts before `a`."""
    if b.start_ms < a.start_ms:
        raise MergeError("bars must be given in time order")
    a, b = on_one_scale(a, b)
    start, end = a.start_ms, max(a.end_ms, b.end_ms)
    if a.empty:
        return msgspec.structs.replace(b, start_ms=start, end_ms=end)
    if b.empty:
        return msgspec.structs.replace(a, start_ms=start, end_ms=end)
    return _sums(
        a,
        b,
        (start, end),
        opening=a,
        closing=b,
        min_delta_lots=_extreme(min, a, b, "min_delta_lots"),
        max_delta_lots=_extreme(max, a, b, "max_delta_lots"),
        cot_high_lots=_at_extreme(
            a, b, "cot_high_lots", _ticks(b.high_ticks) >= _ticks(a.high_ticks)
        ),
        cot_low_lots=_at_extreme(a, b, "cot_low_lots", _ticks(b.low_ticks) <= _ticks(a.low_ticks)),
    )


def beside(a: FlowBar, b: FlowBar) -> FlowBar:
    """`a` and `b` at the same time on different streams; order-dependent fields become None."""
    a, b = on_one_scale(a, b)
    span = (min(a.start_ms, b.start_ms), max(a.end_ms, b.end_ms))
    if a.empty or b.empty:
        return msgspec.structs.replace(b if a.empty else a, start_ms=span[0], end_ms=span[1])
    opening = min((a, b), key=lambda bar: (bar.first_ms or 0, bar.first_name))
    closing = max((a, b), key=lambda bar: (bar.last_ms or 0, bar.last_name))
    merged = _sums(a, b, span, opening=opening, closing=closing)
    return msgspec.structs.replace(merged, first_id=None, last_id=None)


def _extreme(pick: Any, a: FlowBar, b: FlowBar, name: str) -> int | None:
    """Extreme of the running delta over both: those of `b` start from the delta of `a`."""
    first, second = getattr(a, name), getattr(b, name)
    if first is None or second is None:
        return None
    return int(pick(first, a.delta_lots + second))


def _at_extreme(a: FlowBar, b: FlowBar, name: str, in_b: bool) -> int | None:
    """Running delta at the last touch of an extreme that `b` reached last, or only `a` did."""
    if not in_b:
        value: int | None = getattr(a, name)
        return value
    later: int | None = getattr(b, name)
    return None if later is None else a.delta_lots + later


def _ticks(value: int | None) -> int:
    return value or 0


def _sums(  # noqa: PLR0913 (the order-dependent fields, by name)
    a: FlowBar,
    b: FlowBar,
    span: tuple[int, int],
    *,
    opening: FlowBar,
    closing: FlowBar,
    min_delta_lots: int | None = None,
    max_delta_lots: int | None = None,
    cot_high_lots: int | None = None,
    cot_low_lots: int | None = None,
) -> FlowBar:
    """Two non-empty bars of one scale as one."""
    return FlowBar(
        start_ms=span[0],
        end_ms=span[1],
        tick_size=a.tick_size,
        lot_size=a.lot_size,
        buy_lots=a.buy_lots + b.buy_lots,
        sell_lots=a.sell_lots + b.sell_lots,
        buy_trades=a.buy_trades + b.buy_trades,
        sell_trades=a.sell_trades + b.sell_trades,
        buy_quote=a.buy_quote + b.buy_quote,
        sell_quote=a.sell_quote + b.sell_quote,
        records=a.records + b.records,
        open_ticks=opening.open_ticks,
        high_ticks=max(_ticks(a.high_ticks), _ticks(b.high_ticks)),
        low_ticks=min(_ticks(a.low_ticks), _ticks(b.low_ticks)),
        close_ticks=closing.close_ticks,
        min_delta_lots=min_delta_lots,
        max_delta_lots=max_delta_lots,
        first_ms=opening.first_ms,
        last_ms=closing.last_ms,
        first_name=opening.first_name,
        last_name=closing.last_name,
        first_id=a.first_id,
        last_id=b.last_id,
        square_quote=a.square_quote + b.square_quote,
        cot_high_lots=cot_high_lots,
        cot_low_lots=cot_low_lots,
        sweeps=a.sweeps + b.sweeps,
        sweep_buy_lots=a.sweep_buy_lots + b.sweep_buy_lots,
        sweep_sell_lots=a.sweep_sell_lots + b.sweep_sell_lots,
    )
