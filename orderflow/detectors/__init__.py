"""One file per kind of event; each is a pure function of closed bars with its rule."""

from __future__ import annotations

from orderflow.detectors import (
    absorption,
    climax,
    delta_divergence,
    effort,
    exhaustion,
    large_trade,
    phases,
    spot_perp,
    stacked_imbalance,
    sweep,
    trapped_traders,
    unfinished_auction,
    value,
)
from orderflow.detectors.rule import Rule

RULES: tuple[Rule, ...] = (
    stacked_imbalance.RULE,
    unfinished_auction.RULE,
    absorption.EFFORT,
    absorption.EXTREME,
    exhaustion.RULE,
    trapped_traders.RULE,
    delta_divergence.RULE,
    large_trade.RULE,
    sweep.RULE,
    climax.SELLING,
    climax.BUYING,
    effort.WITHOUT_RESULT,
    effort.WITHOUT_EFFORT,
    value.SPRING,
    value.UPTHRUST,
    value.STRENGTH,
    value.WEAKNESS,
    phases.SUPPORT,
    phases.RESISTANCE,
    phases.RANGE_ABSORPTION,
    phases.CAUSE,
    spot_perp.RULE,
)
"""Every detector; adding one is one file and one line here."""

DETECTORS: dict[str, Rule] = {rule.kind: rule for rule in RULES}
"""Every detector by kind."""

ACROSS = frozenset(rule.kind for rule in RULES if rule.across)
"""Kinds that two markets together decide."""
ACROSS_TIMEFRAMES = frozenset(name for rule in RULES if rule.across for name in rule.timeframes)

DEPTHS: dict[str, int] = {
    name: max(rule.depth for rule in RULES if name in rule.timeframes)
    for name in dict.fromkeys(name for rule in RULES for name in rule.timeframes)
}
"""Timeframes that any detector runs on, and how many earlier bars it wants there."""
