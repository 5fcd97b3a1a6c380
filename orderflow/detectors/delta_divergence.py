"""Delta divergence: price made a further pivot, cumulative delta did not; known once confirmed."""

from __future__ import annotations

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.indicators.delta_divergence import LEFT, RIGHT, delta_divergences


def find(look: Look) -> list[Finding]:
    """Divergences that this bar confirmed; a bearish one is `sell`, a bullish one `buy`."""
    if len(look.before) < LEFT + RIGHT:
        return []
    end = look.bar.flow.end_ms
    bars = [*(bar.flow for bar in look.before), look.bar.flow]
    claims = []
    for found in delta_divergences(bars, reach=len(bars)):
        if found.confirmed_ms == end:
            body = {
                "pivot": found.kind,
                "first_price": str(look.price(found.first_ticks)),
                "second_price": str(look.price(found.second_ticks)),
                "cvd_change": look.size(found.cvd_change_lots),
                "left_bars": LEFT,
                "right_bars": RIGHT,
            }
            claims.append(
                Finding(
                    "sell" if found.kind == "bearish" else "buy",
                    look.price(found.second_ticks),
                    body | steps(look),
                    compared=len(look.before),
                    pivots=(found.first_ms, found.second_ms),
                )
            )
    return claims


RULE = Rule(
    kind="delta_divergence",
    version=1,
    timeframes=("5m", "15m"),
    find=find,
    meaning=(
        "Of two neighbouring pivots (20 bars before, 5 after) price went further and cumulative "
        "delta did not; sell = at highs, buy = at lows; known when the 5th bar after has closed."
    ),
    depth=DEPTH,
)
