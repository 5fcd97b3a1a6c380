"""Volume Profile: point of control and value area of volume at price.

Definition: Dalton, Mind Over Markets (2013), appendix 1, in whole rows and lots; the walk by single
rows and its tie rules agree with four independent implementations on real hours, the walk by pairs
with two (docs/indicators.md).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from orderflow.footprint import Rows
from orderflow.indicators.card import RuleCard

Method = Literal["single", "pair"]
METHODS: tuple[Method, ...] = ("single", "pair")
VALUE_AREA_PCT = 70

CARD = RuleCard(
    name="volume_profile",
    version=1,
    formula=(
        "POC = row with the most volume. Value area: start at the POC; add the better neighbour "
        "(single: one occupied row above or below; pair: two) until volume >= 70 % of the total."
    ),
    units="prices are the low price of their row; volumes in base units",
    ties="POC: nearest to the middle of the range, then the lower row. Value area: equal -> up.",
    source="Dalton, Mind Over Markets, 2013, appendix 1",
)


class Profile(msgspec.Struct, gc=False, frozen=True):
    """Row numbers of POC and value area, and the volume inside it, in lots."""

    poc_row: int
    val_row: int
    vah_row: int
    value_area_lots: int
    total_lots: int


def point_of_control(volumes: dict[int, int]) -> int:
    """The row with the most volume; ties: nearest to the middle of the range, then lower."""
    twice_middle = min(volumes) + max(volumes)
    return min(volumes, key=lambda row: (-volumes[row], abs(2 * row - twice_middle), row))


def value_area(
    volumes: dict[int, int], poc: int, *, method: Method, pct: int = VALUE_AREA_PCT
) -> tuple[int, int, int]:
    """(lowest row, highest row, lots inside) around the POC, over occupied rows.

    Each step adds the group of rows above or below with more volume, up when equal; a short last
    group counts; it stops at 100 * inside >= pct * total, so no float decides.
    """
    rows = sorted(volumes)
    width = 1 if method == "single" else 2
    total = sum(volumes.values())
    low = high = rows.index(poc)
    inside = volumes[poc]
    while 100 * inside < pct * total:
        above = rows[high + 1 : high + 1 + width]
        below = rows[max(0, low - width) : low]
        above_lots = sum(volumes[row] for row in above)
        below_lots = sum(volumes[row] for row in below)
        if above and (not below or above_lots >= below_lots):
            high += len(above)
            inside += above_lots
        else:
            low -= len(below)
            inside += below_lots
    return rows[low], rows[high], inside


def profile(rows: Rows, *, method: Method = "single", pct: int = VALUE_AREA_PCT) -> Profile | None:
    """POC and value area of volume at price; None when nothing traded."""
    volumes = {row: buy + sell for row, (buy, sell, _) in rows.items() if buy + sell}
    if not volumes:
        return None
    poc = point_of_control(volumes)
    low, high, inside = value_area(volumes, poc, method=method, pct=pct)
    return Profile(poc, low, high, inside, sum(volumes.values()))
