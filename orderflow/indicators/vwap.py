"""Volume-weighted average price and its bands."""

from __future__ import annotations

from decimal import Decimal

from orderflow.indicators.card import RuleCard

CARD = RuleCard(
    name="vwap",
    version=1,
    formula="VWAP = sum(p q) / sum(q); variance = sum(p^2 q) / sum(q) - VWAP^2",
    units="price; sums exact, the root to 28 digits",
    ties="population variance, weighted by quantity; none without volume",
    source="wickra 2.0 (bands), checked on its outputs",
)


def vwap(quantity: Decimal, amount: Decimal, squares: Decimal) -> tuple[Decimal, Decimal] | None:
    """(VWAP, standard deviation) from exact sums of q, p q and p^2 q; None without volume."""
    if quantity == 0:
        return None
    mean = amount / quantity
    numerator = max(Decimal(0), squares * quantity - amount * amount)
    return mean, numerator.sqrt() / quantity
