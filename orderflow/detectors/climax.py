"""Climax: extreme volume, one-sided delta and a wide bar, answered at its extreme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orderflow.detectors.claims import claim
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.indicators.wyckoff_climax import climax

Kind = Literal["selling", "buying"]


def finder(kind: Kind) -> Callable[[Look], list[Finding]]:
    """The detector of one of the two."""

    def find(look: Look) -> list[Finding]:
        """Of the earlier bars only flows are compared, of this one the rows as well."""
        found = climax(look.bar, look.before, kind)
        if found.held is not True:
            return []
        flow = look.bar.flow
        end = flow.low_ticks if kind == "selling" else flow.high_ticks
        return [claim(look, found, look.price(end))]

    return find


MEANING = (
    "Volume, one-sided delta and range extreme against at least 20 earlier bars, {side} near the "
    "bar's {end}, answered from there; side = the aggressors of the climax."
)
SELLING = Rule(
    kind="selling_climax",
    version=1,
    timeframes=("5m", "15m", "1h"),
    find=finder("selling"),
    meaning=MEANING.format(side="selling", end="low"),
    depth=DEPTH,
)
BUYING = Rule(
    kind="buying_climax",
    version=1,
    timeframes=("5m", "15m", "1h"),
    find=finder("buying"),
    meaning=MEANING.format(side="buying", end="high"),
    depth=DEPTH,
)
