"""One file per indicator: pure functions of bars, each with its rule card."""

from __future__ import annotations

from orderflow.indicators import (
    diagonal_imbalance,
    impact,
    market_profile,
    order_flow,
    volume_profile,
    vwap,
)
from orderflow.indicators.card import RuleCard

CARDS: tuple[RuleCard, ...] = (
    volume_profile.CARD,
    vwap.CARD,
    market_profile.CARD,
    order_flow.CARD,
    diagonal_imbalance.CARD,
    impact.CARD,
)
"""Every indicator in the order of the documentation; adding one is one file and two lines here."""

INDICATORS: dict[str, RuleCard] = {card.name: card for card in CARDS}
"""Every rule card by its name."""
