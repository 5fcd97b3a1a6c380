"""Stacked imbalance: three or more neighbouring rows where one side overwhelms its diagonal."""

from __future__ import annotations

from orderflow.detectors.rule import Finding, Look, Rule
from orderflow.indicators.diagonal_imbalance import (
    RATIO_PCT,
    Side,
    diagonal_imbalances,
    minimum_of,
)
from orderflow.indicators.stacked_imbalance import STACK, stacked_imbalances

SIDES: tuple[Side, ...] = ("buy", "sell")


def find(look: Look) -> list[Finding]:
    """One claim per side; rows count from the bar's median row volume up."""
    rows = look.bar.rows
    minimum = minimum_of(rows)
    found = diagonal_imbalances(rows, minimum_lots=minimum)
    stacks = stacked_imbalances(found)
    claims = []
    for side in SIDES:
        runs = [(stack.low_row, stack.high_row) for stack in stacks if stack.side == side]
        if not runs:
            continue
        low, high = max(runs, key=lambda run: (run[1] - run[0], -run[0]))
        evidence = {
            "stacks": [
                {
                    "from": f"{look.row_price(a):f}",
                    "to": f"{look.row_price(b):f}",
                    "rows": b - a + 1,
                }
                for a, b in runs
            ],
            "least_rows": STACK,
            "ratio": RATIO_PCT // 100,
            "minimum_volume": look.size(minimum),
            "zero_opponents": sum(i.zero_opponent for i in found if i.side == side),
            "row_size": f"{look.bar.row_size:f}",
        }
        claims.append(Finding(side, look.row_price(low if side == "buy" else high), evidence))
    return claims


RULE = Rule(
    kind="stacked_imbalance",
    version=1,
    timeframes=("1m", "5m", "15m"),
    find=find,
    meaning=(
        "At least 3 neighbouring rows hold 3 times the diagonal opponent's volume, each row at "
        "least the bar's median row; price is the first row of the longest stack."
    ),
)
