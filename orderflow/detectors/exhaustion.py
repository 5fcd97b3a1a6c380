"""Exhaustion: the aggressors that made the bar's extreme run out while they make it."""

from __future__ import annotations

from orderflow.detectors.claims import claim
from orderflow.detectors.rule import Finding, Look, Rule
from orderflow.event import Direction
from orderflow.indicators.exhaustion import exhaustion

SIDES: tuple[Direction, ...] = ("buy", "sell")


def find(look: Look) -> list[Finding]:
    """Buyers at the high, sellers at the low."""
    claims = []
    for side in SIDES:
        found = exhaustion(look.bar, side)
        if found.held is True:
            flow = look.bar.flow
            end = flow.high_ticks if side == "buy" else flow.low_ticks
            claims.append(claim(look, found, look.price(end)))
    return claims


RULE = Rule(
    kind="exhaustion",
    version=1,
    timeframes=("5m", "15m", "1h"),
    find=find,
    meaning=(
        "Aggressive volume does not grow over the last 3 rows to the extreme, ends at a third or "
        "less, and delta closes off its own extreme; side = the aggressors that ran out."
    ),
)
