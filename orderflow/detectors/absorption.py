"""Absorption: much aggression that moves price little, or can't get past a row."""

from __future__ import annotations

from orderflow.detectors.claims import claim
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.indicators.absorption import absorption_after, absorption_at_extreme


def find_effort(look: Look) -> list[Finding]:
    """Against the bars before; the side is that of the absorbed aggressors."""
    found = absorption_after(look.bar.flow, [bar.flow for bar in look.before])
    if found.held is not True:
        return []
    return [claim(look, found, look.price(look.bar.flow.close_ticks))]


def find_extreme(look: Look) -> list[Finding]:
    """The first stack of each side that price closed behind."""
    claims: dict[str | None, Finding] = {}
    for found in absorption_at_extreme(look.bar):
        if found.held is True and found.side not in claims:
            end = look.bar.flow.high_ticks if found.side == "buy" else look.bar.flow.low_ticks
            claims[found.side] = claim(look, found, look.price(end))
    return list(claims.values())


EFFORT = Rule(
    kind="absorption",
    version=1,
    timeframes=("1m", "5m", "15m"),
    find=find_effort,
    meaning=(
        "Size of delta at or above p90 and move at or below p25 of at least 20 earlier bars; side "
        "= the aggressors that were absorbed."
    ),
    depth=DEPTH,
)
EXTREME = Rule(
    kind="absorption_at_extreme",
    version=1,
    timeframes=("5m", "15m"),
    find=find_extreme,
    meaning=(
        "A stack of 3 imbalances within 2 rows of the bar's extreme that price closed behind; side "
        "= the aggressors that were absorbed."
    ),
)
