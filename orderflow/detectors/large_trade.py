"""Large trade: a print larger than every print of the bars before."""

from __future__ import annotations

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.footprint import on_one_grid
from orderflow.grid import plain

LEAST_BARS = 20


def find(look: Look) -> list[Finding]:
    """The bar's largest print by notional against the largest of each earlier bar."""
    if len(look.before) < LEAST_BARS or not look.bar.largest:
        return []
    *before, bar = on_one_grid([*look.before, look.bar])
    largest = bar.largest[0]
    turnover = largest.price_ticks * largest.qty_lots
    earlier = max(
        (old.largest[0].price_ticks * old.largest[0].qty_lots for old in before if old.largest),
        default=0,
    )
    if turnover <= earlier:
        return []
    flow = bar.flow
    evidence = {
        "event_ms": largest.event_ms,
        "quantity": f"{plain(largest.qty_lots * flow.lot_size):f}",
        "notional": f"{plain(flow.quote(turnover)):f}",
        "largest_before": f"{plain(flow.quote(earlier)):f}",
        "bars_before": len(before),
    }
    return [
        Finding(
            "buy" if largest.side else "sell",
            plain(largest.price_ticks * flow.tick_size),
            evidence | steps(look),
            compared=len(before),
        )
    ]


RULE = Rule(
    kind="large_trade",
    version=1,
    timeframes=("1m",),
    find=find,
    meaning=(
        "The minute's largest print by notional is larger than every print of the 20 to 60 "
        "complete minutes before; side = its aggressor. A threshold that follows the market."
    ),
    depth=DEPTH,
)
