"""One file per indicator: pure functions of bars, each with its rule card."""

from __future__ import annotations

from orderflow.errors import ValidationError
from orderflow.indicators import (
    absorption,
    amihud,
    composite,
    cot,
    cross_venue,
    cvd,
    day_type,
    delta,
    delta_divergence,
    developing,
    diagonal_imbalance,
    exhaustion,
    flow_ladder,
    impact,
    kyle,
    large_trades,
    lead_lag,
    market_profile,
    naked_levels,
    nodes,
    order_flow,
    premium,
    profile_algebra,
    roll,
    sessions,
    shape,
    size_class_cvd,
    size_distribution,
    spot_perp,
    stacked_imbalance,
    sweeps,
    trade_intensity,
    trapped_traders,
    unfinished_auction,
    value_migration,
    volume_profile,
    vpin,
    vwap,
    wyckoff_absorption,
    wyckoff_cause,
    wyckoff_climax,
    wyckoff_effort,
    wyckoff_retest,
    wyckoff_spring,
    wyckoff_strength,
)
from orderflow.indicators.card import RuleCard

CARDS: tuple[RuleCard, ...] = (
    volume_profile.CARD,
    nodes.CARD,
    shape.CARD,
    developing.CARD,
    sessions.CARD,
    composite.CARD,
    naked_levels.CARD,
    value_migration.CARD,
    profile_algebra.CARD,
    market_profile.CARD,
    day_type.CARD,
    vwap.CARD,
    order_flow.CARD,
    delta.CARD,
    cvd.CARD,
    cot.CARD,
    flow_ladder.CARD,
    sweeps.CARD,
    trade_intensity.CARD,
    size_distribution.CARD,
    size_class_cvd.CARD,
    large_trades.CARD,
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
    wyckoff_climax.CARD,
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


def find_card(name: str) -> RuleCard:
    """The card of a name, case and dashes ignored; ValidationError lists the known names."""
    found = INDICATORS.get(name.strip().lower().replace("-", "_"))
    if found is None:
        raise ValidationError(f"no such indicator; known: {', '.join(INDICATORS)}")
    return found
