"""One file per indicator: pure functions of bars, each with its rule card."""

from __future__ import annotations

from orderflow.indicators import (
    absorption,
    amihud,
    cross_venue,
    cvd,
    delta,
    delta_divergence,
    diagonal_imbalance,
    exhaustion,
    flow_ladder,
    impact,
    kyle,
    lead_lag,
    market_profile,
    order_flow,
    premium,
    roll,
    spot_perp,
    stacked_imbalance,
    trade_intensity,
    trapped_traders,
    unfinished_auction,
    volume_profile,
    vpin,
    vwap,
    wyckoff_absorption,
    wyckoff_cause,
    wyckoff_effort,
    wyckoff_retest,
    wyckoff_spring,
    wyckoff_strength,
)
from orderflow.indicators.card import RuleCard

CARDS: tuple[RuleCard, ...] = (
    volume_profile.CARD,
    vwap.CARD,
    market_profile.CARD,
    order_flow.CARD,
    delta.CARD,
    cvd.CARD,
    flow_ladder.CARD,
    trade_intensity.CARD,
    spot_perp.CARD,
    premium.CARD,
    lead_lag.CARD,
    cross_venue.CARD,
    delta_divergence.CARD,
    diagonal_imbalance.CARD,
    stacked_imbalance.CARD,
    unfinished_auction.CARD,
    absorption.CARD,
    exhaustion.CARD,
    trapped_traders.CARD,
    vpin.CARD,
    kyle.CARD,
    roll.CARD,
    amihud.CARD,
    impact.CARD,
    wyckoff_spring.CARD,
    wyckoff_effort.CARD,
    wyckoff_absorption.CARD,
    wyckoff_strength.CARD,
    wyckoff_retest.CARD,
    wyckoff_cause.CARD,
)
"""Every indicator in the order of the documentation; adding one is one file and two lines here."""

INDICATORS: dict[str, RuleCard] = {card.name: card for card in CARDS}
"""Every rule card by its name."""
