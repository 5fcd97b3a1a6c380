"""One file per kind of event; each is a pure function of closed bars with its rule."""

from __future__ import annotations

from orderflow.detectors import stacked_imbalance
from orderflow.detectors.rule import Rule

DETECTORS: dict[str, Rule] = {
    "stacked_imbalance": stacked_imbalance.RULE,
}
"""Every detector by kind; adding one is one file and one line here."""

TIMEFRAMES_USED = tuple(
    dict.fromkeys(name for rule in DETECTORS.values() for name in rule.timeframes)
)
"""Timeframes that any detector runs on."""
