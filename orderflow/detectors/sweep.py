"""Sweep: more volume swept through three or more prices in one millisecond than before."""

from __future__ import annotations

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.event import Direction
from orderflow.series import series

LEAST_BARS = 20


def find(look: Look) -> list[Finding]:
    """Each side's swept volume against the most of any earlier bar."""
    if len(look.before) < LEAST_BARS:
        return []
    *before, bar = series([*(old.flow for old in look.before), look.bar.flow])
    claims = []
    sides: tuple[tuple[Direction, str], ...] = (
        ("buy", "sweep_buy_lots"),
        ("sell", "sweep_sell_lots"),
    )
    for side, name in sides:
        swept = getattr(bar, name)
        most = max(getattr(old, name) for old in before)
        if swept > most:
            end = bar.high_ticks if side == "buy" else bar.low_ticks
            evidence = {
                "sweeps_of_both_sides": bar.sweeps,
                "swept_volume": f"{swept * bar.lot_size:f}",
                "most_before": f"{most * bar.lot_size:f}",
                "volume": f"{bar.volume_lots * bar.lot_size:f}",
                "bars_before": len(before),
            }
            price = None if end is None else end * bar.tick_size
            claims.append(Finding(side, price, evidence | steps(look), compared=len(before)))
    return claims


RULE = Rule(
    kind="sweep",
    version=1,
    timeframes=("1m",),
    find=find,
    meaning=(
        "One aggressor's prints of a single millisecond through at least 3 prices moved more "
        "volume than in any of the 20 to 60 complete minutes before; price = the bar's extreme."
    ),
    depth=DEPTH,
)
