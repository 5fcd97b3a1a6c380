"""High- and low-volume nodes: peaks and valleys of volume at price, by topographic prominence.

Definition: tradetropy 0.3.1 (prominence as a share of the largest row), on a histogram smoothed
over three rows. With `smooth_rows=1, grid="occupied", ends=True` the nodes are tradetropy's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Literal

import msgspec

from orderflow.errors import ValidationError
from orderflow.footprint import Rows
from orderflow.indicators.card import Example, Parameter, RuleCard

Kind = Literal["hvn", "lvn"]
Grid = Literal["dense", "occupied"]
SMOOTH_ROWS = 3
LEAST_STRENGTH = Fraction(1, 10)
MOST_NODES = 5

CARD = RuleCard(
    name="nodes",
    version=1,
    family="profile",
    summary="High-volume nodes (HVN) and low-volume nodes (LVN) with their strength.",
    formula=(
        "Smoothed volume of a row = sum over the row and its neighbours (3 rows). HVN = a row "
        "above both neighbours; its prominence = its height above the higher of the two valleys "
        "that part it from higher ground, or above 0 where there is none. LVN = the same on the "
        "histogram turned upside down. strength = prominence / largest smoothed row; a node needs "
        "strength >= 0.1."
    ),
    units="rows, volumes in lots, strength an exact fraction in 0..1",
    parameters=(
        Parameter("smooth_rows", "3", "rows, odd", "width of the smoothing; 1 takes rows as is"),
        Parameter("least_strength", "1/10", "fraction", "weaker nodes are dropped"),
        Parameter("most", "5", "nodes of a kind", "the strongest are kept, lowest row first"),
        Parameter("grid", "dense", "dense or occupied", "whether empty rows count as rows of 0"),
        Parameter("ends", "false", "true or false", "whether an LVN may lie at an extreme row"),
    ),
    ties=(
        "A plateau is one node at its middle row, the lower one of two. Equal peaks are both "
        "full peaks. Of equal strength the lower row is kept."
    ),
    edges=(
        "On the dense grid a gap without trades is a valley of 0, however wide.",
        "The lowest and highest row are tails, not LVN, unless ends is set; a peak there is an "
        "HVN.",
        "One price is one HVN of strength 1; without volume there are no nodes.",
    ),
    merging="Exact: rows add; nodes are found again on the sum.",
    evidence="Prices where the market traded much more, or much less, than around them.",
    not_evidence="Support, resistance or speed of a later pass; nothing about the next visit.",
    source=(
        "tradetropy 0.3.1 (prominence, 0.10); py-market-profile has no end points; no standard "
        "exists"
    ),
    example=Example(
        "The six trades in one minute, rows of 1, smooth_rows=1.",
        (("hvn", "101 (strength 1)"), ("lvn", "none")),
    ),
)


class Node(msgspec.Struct, gc=False, frozen=True):
    """A peak or valley at `row`; `lots` is the row's own volume.

    `prominence_lots` of `highest_lots` (largest smoothed row) is its strength.
    """

    kind: Kind
    row: int
    lots: int
    prominence_lots: int
    highest_lots: int

    @property
    def strength(self) -> Fraction:
        """Prominence as a share of the largest row, 0..1."""
        return Fraction(self.prominence_lots, self.highest_lots)


def nodes(
    rows: Rows,
    *,
    smooth_rows: int = SMOOTH_ROWS,
    least_strength: Fraction = LEAST_STRENGTH,
    most: int = MOST_NODES,
    grid: Grid = "dense",
    ends: bool = False,
) -> list[Node]:
    """Nodes of both kinds, lowest row first; ValidationError for an even smoothing width."""
    if smooth_rows < 1 or smooth_rows % 2 == 0:
        raise ValidationError("smooth_rows must be an odd number of at least 1")
    volumes = {row: buy + sell for row, (buy, sell, _) in rows.items() if buy + sell}
    if not volumes:
        return []
    half = smooth_rows // 2
    places = sorted(volumes) if grid == "occupied" else _dense(sorted(volumes), half)
    values = _smoothed([volumes.get(row, 0) for row in places], half)
    highest = max(values)
    least = least_strength * highest
    found: list[Node] = []
    kinds: tuple[tuple[Kind, Sequence[int]], ...] = (
        ("hvn", values),
        ("lvn", [highest - value for value in values]),
    )
    for kind, heights in kinds:
        peaks = [
            Node(kind, row, volumes.get(row, 0), prominence, highest)
            for row, prominence in _peaks(heights, places, ends=ends or kind == "hvn")
            if prominence * least.denominator >= least.numerator
        ]
        found += sorted(peaks, key=lambda node: (-node.prominence_lots, node.row))[:most]
    return sorted(found, key=lambda node: (node.row, node.kind))


def _dense(occupied: Sequence[int], half: int) -> list[int]:
    """Every row from lowest to highest; of a wide gap its edges and its middle stand for all."""
    places = [occupied[0]]
    for row in occupied[1:]:
        last = places[-1]
        if row - last <= 2 * half + 4:
            places.extend(range(last + 1, row + 1))
            continue
        middle = (last + row) // 2
        places.extend(range(last + 1, last + half + 1))
        places.append(middle)
        places.extend(range(row - half, row + 1))
    return places


def _smoothed(values: Sequence[int], half: int) -> Sequence[int]:
    """Sums over each place and its neighbours; beyond the ends there is nothing.

    Places next to each other stand for rows next to each other, except within the empty middle of
    a wide gap, which holds enough empty places on both sides.
    """
    if half == 0:
        return values
    reached = list(accumulate(values, initial=0))
    padded = [0] * half + reached + [reached[-1]] * half
    width = 2 * half + 1
    return [end - start for start, end in zip(padded, padded[width:], strict=False)]


def _peaks(heights: Sequence[int], places: Sequence[int], *, ends: bool) -> list[tuple[int, int]]:
    """(row, prominence) of every local maximum; a plateau counts once, at its middle."""
    left = _keys(heights)
    right = _keys(heights[::-1])[::-1]
    last = len(heights) - 1
    found = []
    start = 0
    rising = True
    for at, height in enumerate(heights):
        following = heights[at + 1] if at < last else height - 1
        if following == height:
            continue
        if rising and following < height and (ends or (start > 0 and at < last)):
            key = max(left[start], right[at])
            found.append(((places[start] + places[at]) // 2, height - key))
        rising = following > height
        start = at + 1
    return found


def _keys(heights: Sequence[int]) -> list[int]:
    """For each place the lowest height since the last higher one, or 0 where none was higher."""
    keys = []
    open_peaks: list[tuple[int, int]] = []
    for height in heights:
        lowest = height
        while open_peaks and open_peaks[-1][0] <= height:
            lowest = min(lowest, open_peaks.pop()[1])
        keys.append(lowest if open_peaks else 0)
        open_peaks.append((height, lowest))
    return keys
