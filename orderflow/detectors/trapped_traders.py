"""Trapped traders: a stack in the outer third of a bar that closes beyond it the other way."""

from __future__ import annotations

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import Finding, Look, Rule
from orderflow.event import Direction
from orderflow.indicators.trapped_traders import trapped_traders

SIDES: tuple[Direction, ...] = ("buy", "sell")


def find(look: Look) -> list[Finding]:
    """One claim per side, with every trapped stack."""
    trapped = trapped_traders(look.bar)
    claims = []
    for side in SIDES:
        own = [stack for stack in trapped if stack.side == side]
        if not own:
            continue
        worst = max(own, key=lambda stack: (stack.lots, stack.low_row))
        body = {
            "stacks": [
                {
                    "from": f"{look.row_price(stack.low_row):f}",
                    "to": f"{look.row_price(stack.high_row):f}",
                    "volume": look.size(stack.lots),
                }
                for stack in own
            ],
            "close_row": f"{look.row_price(worst.close_row):f}",
        }
        row = worst.low_row if side == "buy" else worst.high_row
        claims.append(Finding(side, look.row_price(row), body | steps(look)))
    return claims


RULE = Rule(
    kind="trapped_traders",
    version=1,
    timeframes=("5m", "15m", "1h"),
    find=find,
    meaning=(
        "A stack of imbalances in the outer third of the bar, and a close beyond it the other way; "
        "side = the aggressors whose prices the close has left, price = the row they would need."
    ),
)
