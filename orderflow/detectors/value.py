"""Springs, upthrusts and signs of strength: a bar against the value of the range before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from orderflow.detectors.claims import claim
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.evidence import Evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.wyckoff_spring import spring
from orderflow.indicators.wyckoff_strength import strength
from orderflow.past import LEAST_BARS, WINDOW

Judge = Callable[[FootprintBar, Sequence[FootprintBar], Any], Evidence]


def finder(judge: Judge, kind: str, sign: int, *, low: bool) -> Callable[[Look], list[Finding]]:
    """The detector of one kind; `sign` is that of the delta it asks for, which is looked at first
    because the rows of the range cost the most."""

    def find(look: Look) -> list[Finding]:
        """Against the value area of the bars before."""
        flow = look.bar.flow
        if flow.delta_lots * sign <= 0 or len(look.before) < LEAST_BARS:
            return []
        before = look.range_before(WINDOW)
        if before is None:
            return []
        found = judge(look.bar, before, kind)
        if found.held is not True:
            return []
        price: Decimal | None = look.price(flow.low_ticks if low else flow.high_ticks)
        return [claim(look, found, price)]

    return find


def _rule(judge: Judge, kind: str, sign: int, *, low: bool, meaning: str) -> Rule:
    find = finder(judge, kind, sign, low=low)
    return Rule(kind, 1, ("15m",), find, meaning, DEPTH)


SPRING = _rule(
    spring,
    "spring",
    -1,
    low=True,
    meaning=(
        "The bar looked below the value of the 50 bars before, on negative delta, and closed back "
        "inside in its upper half, its low finished; side = the sellers nobody followed."
    ),
)
UPTHRUST = _rule(
    spring,
    "upthrust",
    1,
    low=False,
    meaning=(
        "The bar looked above the value of the 50 bars before, on positive delta, and closed back "
        "inside in its lower half, its high finished; side = the buyers nobody followed."
    ),
)
STRENGTH = _rule(
    strength,
    "sign_of_strength",
    1,
    low=False,
    meaning=(
        "The bar's value lies above that of the 50 bars before with little overlap, on positive "
        "delta; side = buy."
    ),
)
WEAKNESS = _rule(
    strength,
    "sign_of_weakness",
    -1,
    low=True,
    meaning=(
        "The bar's value lies below that of the 50 bars before with little overlap, on negative "
        "delta; side = sell."
    ),
)
