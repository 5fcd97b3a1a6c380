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

INDICATORS: dict[str, RuleCard] = {
    "volume_profile": volume_profile.CARD,
    "order_flow": order_flow.CARD,
    "diagonal_imbalance": diagonal_imbalance.CARD,
    "vwap": vwap.CARD,
    "market_profile": market_profile.CARD,
    "impact": impact.CARD,
}
"""Every indicator by name; adding one is one file and one line here."""
