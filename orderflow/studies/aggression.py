"""Studies of rows: who overwhelmed whom at a price, and what an extreme left behind."""

from __future__ import annotations

from collections.abc import Sequence

from orderflow.evidence import Evidence, Side
from orderflow.footprint import FootprintBar
from orderflow.indicators.absorption import absorption_after, absorption_at_extreme
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances, minimum_of
from orderflow.indicators.exhaustion import exhaustion
from orderflow.indicators.stacked_imbalance import stacked_imbalances
from orderflow.indicators.trapped_traders import trapped_traders
from orderflow.indicators.unfinished_auction import unfinished_ledger
from orderflow.studies.study import NO_BARS, Options, Row, Scale, Studied, scale_of
from orderflow.timeframe import MINUTE_MS
from orderflow.wanted import iso

SIDES: tuple[Side, ...] = ("buy", "sell")
DEPTH = 60
"""So many bars before it a bar is compared with."""


def _ends(bar: FootprintBar) -> Row:
    return {"period_start": iso(bar.flow.start_ms), "period_end": iso(bar.flow.end_ms)}


def evidence_row(found: Evidence, scale: Scale) -> Row:
    """Evidence in a row: what it covers, whether it held, and every check with its threshold."""
    return {
        "kind": found.kind,
        "side": found.side,
        "period_start": iso(found.start_ms),
        "period_end": iso(found.end_ms),
        "low": scale.price(found.low_ticks),
        "high": scale.price(found.high_ticks),
        "held": found.held,
        "failed": list(found.failed),
        "context_bars": found.context_bars,
        "checks": [
            {
                "name": one.name,
                "value": one.value,
                "relation": one.relation,
                "threshold": one.threshold,
                "held": one.held,
                "required": one.required,
            }
            for one in found.checks
        ],
        "numbers": dict(found.numbers),
    }


def steps(bars: Sequence[FootprintBar]) -> Row:
    """What ticks, lots and rows of the checks are worth."""
    if not bars:
        return {}
    scale = scale_of(bars[-1])
    return {
        "tick_size": scale.tick_size,
        "lot_size": scale.lot_size,
        "row_size": scale.row_size,
    }


def find_diagonal(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Every diagonal imbalance of every bar, with the rule it met."""
    items = []
    for bar in bars:
        scale = scale_of(bar)
        items += [
            _ends(bar)
            | {
                "price": scale.row(one.row),
                "side": one.side,
                "volume": scale.size(one.own_lots),
                "opponent_volume": scale.size(one.opponent_lots),
                "zero_opponent": one.zero_opponent,
                "minimum_volume": scale.size(minimum_of(bar.rows)),
            }
            for one in diagonal_imbalances(bar.rows)
        ]
    return Studied({"bars": len(bars), **steps(bars)}, items, None if bars else NO_BARS)


def find_stacked(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Every stack of at least three neighbouring imbalances."""
    items = []
    for bar in bars:
        scale = scale_of(bar)
        items += [
            _ends(bar)
            | {
                "side": one.side,
                "price": scale.row(one.low_row),
                "price_high": scale.row(one.high_row),
                "rows": one.rows,
                "volume": scale.size(one.own_lots),
                "opponent_volume": scale.size(one.opponent_lots),
                "zero_opponents": one.zero_opponents,
            }
            for one in stacked_imbalances(diagonal_imbalances(bar.rows))
        ]
    return Studied({"bars": len(bars), **steps(bars)}, items, None if bars else NO_BARS)


def find_unfinished(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Unfinished auctions of the stretch, and when a later bar finished them."""
    if not bars:
        return Studied(reason=NO_BARS)
    scale = scale_of(bars[0])
    items = [
        {
            "at_end": one.at,
            "price": scale.row(one.row),
            "buy_volume": scale.size(one.buy_lots),
            "sell_volume": scale.size(one.sell_lots),
            "formed": iso(one.formed_ms),
            "completed": None if one.completed_ms is None else iso(one.completed_ms),
        }
        for one in unfinished_ledger(bars)
    ]
    return Studied({"bars": len(bars), **steps(bars)}, items)


def find_trapped(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Stacks in the outer third that the close left on the wrong side."""
    items = []
    for bar in bars:
        scale = scale_of(bar)
        items += [
            _ends(bar)
            | {
                "side": one.side,
                "price": scale.row(one.low_row),
                "price_high": scale.row(one.high_row),
                "volume": scale.size(one.lots),
                "close": scale.price(one.close_ticks),
            }
            for one in trapped_traders(bar)
        ]
    return Studied({"bars": len(bars), **steps(bars)}, items, None if bars else NO_BARS)


def find_exhaustion(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Both extremes of every bar, held or not."""
    found = [evidence_row(exhaustion(bar, side), scale_of(bar)) for bar in bars for side in SIDES]
    return Studied(steps(bars), found, None if bars else NO_BARS)


def find_absorption(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Effort without movement against up to 60 bars before, and stacks price closed behind."""
    items = []
    for place, bar in enumerate(bars):
        scale = scale_of(bar)
        before = [old.flow for old in bars[max(0, place - DEPTH) : place]]
        items.append(evidence_row(absorption_after(bar.flow, before), scale))
        if bar.flow.end_ms - bar.flow.start_ms > MINUTE_MS:
            items += [evidence_row(one, scale) for one in absorption_at_extreme(bar)]
    return Studied(steps(bars), items, None if bars else NO_BARS)
