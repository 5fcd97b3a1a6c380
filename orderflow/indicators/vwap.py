"""Volume-weighted average price and its bands."""

from __future__ import annotations

from decimal import Decimal

from orderflow.indicators.card import Example, RuleCard

CARD = RuleCard(
    name="vwap",
    version=1,
    family="profile",
    summary="Volume-weighted average price and its deviation.",
    formula="VWAP = sum(p q) / sum(q); variance = sum(p^2 q) / sum(q) - VWAP^2",
    units="price; sums exact, the root to 28 digits",
    parameters=(),
    ties="population variance, weighted by quantity; none without volume",
    edges=("One price has deviation 0.", "Without volume there is no VWAP."),
    merging="Exact: the three sums add, over time and over venues.",
    evidence="The average price paid in the window, and how far volume lay from it.",
    not_evidence="A fair value; that price returns to it is not shown.",
    source="wickra 2.0 (bands), checked on its outputs",
    example=Example(
        "The six trades in one minute.",
        (("vwap", "101.269231"), ("sigma", "0.901183")),
    ),
)


def vwap(quantity: Decimal, amount: Decimal, squares: Decimal) -> tuple[Decimal, Decimal] | None:
    """(VWAP, standard deviation) from exact sums of q, p q and p^2 q; None without volume."""
    if quantity == 0:
        return None
    mean = amount / quantity
    numerator = max(Decimal(0), squares * quantity - amount * amount)
    return mean, numerator.sqrt() / quantity
