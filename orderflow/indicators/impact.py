"""Price impact and spread from trades: Kyle's lambda, Roll's spread, the tick rule."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from orderflow.indicators.card import Example, RuleCard

CARD = RuleCard(
    name="impact",
    version=1,
    family="toxicity",
    summary="Price impact and effective spread from trades alone.",
    formula=(
        "Kyle's lambda: least-squares slope of price changes on signed volume; "
        "Roll's spread: 2 sqrt(-cov(dp_t, dp_t-1)), sample covariance"
    ),
    units="price per unit of volume; price",
    parameters=(),
    ties="no slope without variation, no spread when the covariance is not negative",
    edges=(
        "The tick rule gives 0 before the first change of price.",
        "Fewer than three price changes have no spread.",
    ),
    merging="Not mergeable over trades: computed from the series it is given.",
    evidence="How far price moved per unit of signed volume in the sample.",
    not_evidence="The cost of a future order; packages differ in window and covariance.",
    source="Kyle 1985; Roll 1984; orderflow-metrics 0.40 and orderflowkit 0.1 agree",
    example=Example(
        "The six trades in the order of the table.",
        (("kyle_lambda", "-0.028011"), ("roll_spread", "1.290994"), ("tick_rule", "0 1 1 1 1 -1")),
    ),
)


def slope(xs: Sequence[Decimal], ys: Sequence[Decimal]) -> Decimal | None:
    """Least-squares slope of y on x; None without variation of x."""
    count = len(xs)
    total_x, total_y = sum(xs, Decimal(0)), sum(ys, Decimal(0))
    spread = count * sum((x * x for x in xs), Decimal(0)) - total_x * total_x
    if spread == 0:
        return None
    together = sum((x * y for x, y in zip(xs, ys, strict=True)), Decimal(0))
    return (count * together - total_x * total_y) / spread


def kyle_lambda(prices: Sequence[Decimal], signed: Sequence[Decimal]) -> Decimal | None:
    """Slope of each price change on the signed volume of the trade that made it."""
    changes = [b - a for a, b in pairwise(prices)]
    return slope(list(signed[1:]), changes)


def roll_spread(prices: Sequence[Decimal]) -> Decimal | None:
    """Effective spread implied by the bounce of prices; None when they do not bounce."""
    changes = [b - a for a, b in pairwise(prices)]
    first, second = changes[:-1], changes[1:]
    if len(first) < 2:
        return None
    mean_first = sum(first, Decimal(0)) / len(first)
    mean_second = sum(second, Decimal(0)) / len(second)
    products = ((a - mean_first) * (b - mean_second) for a, b in zip(first, second, strict=True))
    covariance = sum(products, Decimal(0)) / (len(first) - 1)
    return 2 * (-covariance).sqrt() if covariance < 0 else None


def tick_rule(prices: Sequence[Decimal]) -> list[int]:
    """Side by the last price change: 1 up, -1 down, 0 before the first change."""
    sides, last = [], 0
    for before, price in zip([None, *prices], prices, strict=False):
        if before is not None and price != before:
            last = 1 if price > before else -1
        sides.append(last)
    return sides
