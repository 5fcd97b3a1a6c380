"""Diagonal and stacked imbalance of a footprint: buying at a row against selling one row below.

Definition: the rule of flowsurface and of most footprint charts, on the dense grid (an empty row
is a zero opponent), with the ratio met by `>=` and in whole lots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from orderflow.footprint import Rows
from orderflow.indicators.card import Example, Parameter, RuleCard

RATIO = 3
STACK = 3
Side = Literal["buy", "sell"]

CARD = RuleCard(
    name="diagonal_imbalance",
    version=1,
    family="footprint",
    summary="Rows where buying overwhelms the selling one row below, or selling the buying above.",
    formula=(
        "buy imbalance at r: buy[r] >= ratio x sell[r-1]; sell imbalance at r: "
        "sell[r] >= ratio x buy[r+1]; own side >= minimum; stacked: 3 neighbours or more"
    ),
    units="rows of the footprint, volumes in lots",
    parameters=(
        Parameter("ratio", "3", "own / opponent", "how much larger the own side must be"),
        Parameter("minimum_lots", "1", "lots", "least volume of the own side"),
        Parameter("least", "3", "rows", "neighbouring rows that make a stack"),
    ),
    ties="equality counts; an empty opponent row is 0 and flagged",
    edges=(
        "The grid is dense: an empty row is a zero opponent, also at the extremes of the bar.",
        "Volumes decide, never counts of trades.",
        "The imbalance belongs to the row of the aggressor, not to the row it is compared with.",
    ),
    merging="Exact: computed again from the merged rows.",
    evidence="One-sided aggression at a price while the bar was made.",
    not_evidence="Support or resistance later; public tools disagree on ratio, rows and ties.",
    source="flowsurface (rule), NinjaTrader (ratio in percent)",
    example=Example(
        "The six trades in one bar, rows of 1.",
        (
            ("buy_rows", "100"),
            ("sell_rows", "103"),
            ("zero_opponent", "100, 103"),
            ("stacked", "none"),
        ),
    ),
)


class Imbalance(msgspec.Struct, frozen=True):
    """One row where a side overwhelms its diagonal opponent."""

    row: int
    side: Side
    own_lots: int
    opponent_lots: int

    @property
    def zero_opponent(self) -> bool:
        """True when nobody stood against it."""
        return self.opponent_lots == 0


def diagonal_imbalances(
    rows: Rows, *, ratio: int = RATIO, minimum_lots: int = 1
) -> list[Imbalance]:
    """Every imbalance, lowest row first."""
    found = []
    for row in sorted(rows):
        buy, sell, _ = rows[row]
        below, above = rows.get(row - 1, (0, 0, 0))[1], rows.get(row + 1, (0, 0, 0))[0]
        if buy >= minimum_lots and buy >= ratio * below:
            found.append(Imbalance(row, "buy", buy, below))
        if sell >= minimum_lots and sell >= ratio * above:
            found.append(Imbalance(row, "sell", sell, above))
    return found


def stacked(found: Sequence[Imbalance], side: Side, *, least: int = STACK) -> list[tuple[int, int]]:
    """Runs of at least `least` neighbouring rows of one side, as (lowest, highest)."""
    runs: list[tuple[int, int]] = []
    for row in sorted(i.row for i in found if i.side == side):
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return [(low, high) for low, high in runs if high - low + 1 >= least]
