"""One file per indicator: pure functions of bars, each with its rule card."""

from __future__ import annotations

from orderflow.indicators import order_flow, volume_profile
from orderflow.indicators.card import RuleCard

INDICATORS: dict[str, RuleCard] = {
    "volume_profile": volume_profile.CARD,
    "order_flow": order_flow.CARD,
}
"""Every indicator by name; adding one is one file and one line here."""
