"""Effort and result: a bar that moved far too little, or far too much, for what it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orderflow.detectors.claims import claim
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.indicators.wyckoff_effort import effort

Kind = Literal["effort_without_result", "result_without_effort"]


def finder(kind: Kind) -> Callable[[Look], list[Finding]]:
    """The detector of one of the two mismatches."""

    def find(look: Look) -> list[Finding]:
        """Only flows are compared, so the earlier bars need no rows."""
        found = effort(look.bar, look.before, kind)
        if found.held is not True:
            return []
        return [claim(look, found, look.price(look.bar.flow.close_ticks))]

    return find


WITHOUT_RESULT = Rule(
    kind="effort_without_result",
    version=1,
    timeframes=("15m", "1h"),
    find=finder("effort_without_result"),
    meaning=(
        "Move per volume and per delta at or below p10 of at least 20 earlier bars, on at least "
        "median volume; side = the aggressors, by the sign of delta."
    ),
    depth=DEPTH,
)
WITHOUT_EFFORT = Rule(
    kind="result_without_effort",
    version=1,
    timeframes=("15m", "1h"),
    find=finder("result_without_effort"),
    meaning=(
        "Move per volume and per delta at or above p90 of at least 20 earlier bars, on at most "
        "median volume; side = the aggressors, by the sign of delta."
    ),
    depth=DEPTH,
)
