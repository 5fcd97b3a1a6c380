"""Diagonal imbalance of a footprint: buying at a row against selling one row below.

Definition: the rule of flowsurface and of most footprint charts, on the dense grid (an empty row
is a zero opponent), in lots and never in trade counts, with the ratio met by `>=` and each
imbalance reported at the row of its own side.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from orderflow.footprint import Rows
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.quantile import quantile

RATIO_PCT = 300
MINIMUM_PCT = 50
Side = Literal["buy", "sell"]
EMPTY = (0, 0, 0)

CARD = RuleCard(
    name="diagonal_imbalance",
    version=2,
    family="footprint",
    summary="Rows where buying overwhelms the selling one row below, or selling the buying above.",
    formula=(
        "buy imbalance at r: 100 x buy[r] >= ratio_pct x sell[r-1]; sell imbalance at r: "
        "100 x sell[r] >= ratio_pct x buy[r+1]; own side >= minimum_lots"
    ),
    units="rows of the footprint, volumes in lots",
    parameters=(
        Parameter("ratio_pct", "300", "percent", "how much larger the own side must be"),
        Parameter("minimum_lots", "median row", "lots", "least volume of the own side"),
    ),
    ties="equality counts; an empty opponent row is 0 and flagged",
    edges=(
        "The grid is dense: an empty row is a zero opponent, also at the extremes of the bar.",
        "Volumes decide, never counts of trades.",
        "The imbalance belongs to the row of the aggressor, not to the row it is compared with.",
        "The median is taken over the rows of the bar that traded, by nearest rank.",
    ),
    merging="Exact: computed again from the merged rows.",
    evidence="One-sided aggression at a price while the bar was made.",
    not_evidence="Support or resistance later; public tools disagree on ratio, rows and ties.",
    source="flowsurface (rule), NinjaTrader (ratio in percent); minimum: own default",
    example=Example(
        "The six trades in one bar, rows of 1, minimum 1 lot.",
        (
            ("buy_rows", "100"),
            ("sell_rows", "103"),
            ("zero_opponent", "100, 103"),
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


def minimum_of(rows: Rows, pct: int = MINIMUM_PCT) -> int:
    """The default minimum: the percentile of the volumes of rows that traded, at least 1 lot."""
    found = quantile((buy + sell for buy, sell, _ in rows.values() if buy + sell), pct)
    return max(1, found or 0)


def diagonal_imbalances(
    rows: Rows, *, ratio_pct: int = RATIO_PCT, minimum_lots: int | None = None
) -> list[Imbalance]:
    """Every imbalance, lowest row first; `minimum_lots` None means the median row volume."""
    least = minimum_of(rows) if minimum_lots is None else max(1, minimum_lots)
    found = []
    for row in sorted(rows):
        buy, sell, _ = rows[row]
        below, above = rows.get(row - 1, EMPTY)[1], rows.get(row + 1, EMPTY)[0]
        if buy >= least and 100 * buy >= ratio_pct * below:
            found.append(Imbalance(row, "buy", buy, below))
        if sell >= least and 100 * sell >= ratio_pct * above:
            found.append(Imbalance(row, "sell", sell, above))
    return found
