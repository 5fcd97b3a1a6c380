"""The shape of a profile (P, b, D, B, thin) with the numbers that decide it.

No standard exists; the rules here are the common reading of the letters in exact thirds and shares.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import msgspec

from orderflow.footprint import Rows
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.nodes import Node, nodes
from orderflow.indicators.volume_profile import Profile, profile

Name = Literal["B", "P", "b", "thin", "D", "none"]
Third = Literal["lower", "middle", "upper"]
LEAST_ROWS = 9
MAJORITY = Fraction(1, 2)
THIN = Fraction(4, 5)

CARD = RuleCard(
    name="shape",
    version=1,
    family="profile",
    summary="The letter a profile looks like: P, b, D, B or thin, with its evidence.",
    formula=(
        "Thirds of the range by row centres. B: the two strongest HVN have an LVN between them "
        "whose row holds less than half of the smaller peak row. P: POC in the upper third, which "
        "holds more than half of the volume; b: the same below. thin: the value area spans more "
        "than 80 % of the rows of the range. D: POC in the middle third and one HVN. The first "
        "that holds in the order B, P, b, thin, D is the shape; all that hold are listed."
    ),
    units="rows and lots; shares are exact fractions",
    parameters=(
        Parameter("least_rows", "9", "rows", "a range of fewer rows has no shape (none)"),
        Parameter("thin", "4/5", "fraction", "share of the range the value area must exceed"),
        Parameter("va_pct", "70", "percent", "value area used by thin"),
    ),
    ties="A row whose centre lies on a border belongs to the middle third. Shares must exceed.",
    edges=(
        "When no rule holds the shape is none.",
        "Volume beyond a wide gap counts for its third: an outlying print widens the range.",
        "An even spread fills 70 % of its range: thin at 4/5 takes weight near both ends.",
        "Without volume there is no shape.",
    ),
    merging="Exact: rows add; the shape is read again from the sum.",
    evidence="How volume was spread over the range of a closed window.",
    not_evidence=(
        "P as short covering and b as long liquidation are readings, not measurements; an open "
        "window changes its letter."
    ),
    source="Dalton, Mind Over Markets, 2013 (letters); thresholds are ours, no standard exists",
    example=Example(
        "The six trades in one minute, rows of 1, least_rows=4.",
        (("shape", "D"), ("poc_third", "middle"), ("thirds_lots", "5 18 3")),
    ),
)


class Shape(msgspec.Struct, gc=False, frozen=True):
    """The letter, every letter that holds, and what decided.

    `valley_lots` of the LVN between the two strongest peaks and `smaller_peak_lots`: None without
    two peaks and a valley. `value_rows` of `range_rows`: rows of the value area and of the range.
    """

    name: Name
    holds: tuple[Name, ...]
    poc_row: int
    poc_third: Third
    lower_lots: int
    middle_lots: int
    upper_lots: int
    hvn_rows: tuple[int, ...]
    valley_row: int | None
    valley_lots: int | None
    smaller_peak_lots: int | None
    value_rows: int
    range_rows: int


def shape(
    rows: Rows,
    *,
    least_rows: int = LEAST_ROWS,
    thin: Fraction = THIN,
    of: Profile | None = None,
    among: list[Node] | None = None,
) -> Shape | None:
    """The shape of volume at price; None when nothing traded.

    `of` and `among` take the profile and the nodes of the same rows where they are known already.
    """
    found = profile(rows) if of is None else of
    if found is None:
        return None
    peaks = nodes(rows) if among is None else among
    volumes = {row: buy + sell for row, (buy, sell, _) in rows.items() if buy + sell}
    low, high = min(volumes), max(volumes)
    middle, upper = _borders(low, high)
    lower_lots = sum(volume for row, volume in volumes.items() if row < middle)
    upper_lots = sum(volume for row, volume in volumes.items() if row >= upper)
    valley, smaller = _valley(peaks)
    seen = Shape(
        name="none",
        holds=(),
        poc_row=found.poc_row,
        poc_third=third_of(found.poc_row, low, high),
        lower_lots=lower_lots,
        middle_lots=found.total_lots - lower_lots - upper_lots,
        upper_lots=upper_lots,
        hvn_rows=tuple(node.row for node in peaks if node.kind == "hvn"),
        valley_row=None if valley is None else valley.row,
        valley_lots=None if valley is None else valley.lots,
        smaller_peak_lots=smaller,
        value_rows=found.vah_row - found.val_row + 1,
        range_rows=high - low + 1,
    )
    holds = _holds(seen, thin) if seen.range_rows >= least_rows else ()
    return msgspec.structs.replace(seen, name=holds[0] if holds else "none", holds=holds)


def third_of(row: int, low: int, high: int) -> Third:
    """The third of the range low..high in which the centre of a row lies."""
    middle, upper = _borders(low, high)
    if row < middle:
        return "lower"
    return "upper" if row >= upper else "middle"


def _borders(low: int, high: int) -> tuple[int, int]:
    """First row of the middle third and first row of the upper third.

    Row k from below has its centre at (2k + 1) / 2n of the range of n rows: the first k with
    3 (2k + 1) >= 2n and the first with 3 (2k + 1) > 4n.
    """
    count = high - low + 1
    return low - (3 - 2 * count) // 6, low + (4 * count - 3) // 6 + 1


def _valley(found: list[Node]) -> tuple[Node | None, int | None]:
    """The deepest LVN between the two strongest HVN, and the smaller of their volumes."""
    peaks = [node for node in found if node.kind == "hvn"]
    if len(peaks) < 2:
        return None, None
    strongest = sorted(peaks, key=lambda node: (-node.prominence_lots, node.row))[:2]
    low, high = sorted(node.row for node in strongest)
    between = [node for node in found if node.kind == "lvn" and low < node.row < high]
    if not between:
        return None, None
    valley = min(between, key=lambda node: (node.lots, -node.prominence_lots, node.row))
    return valley, min(node.lots for node in strongest)


def _holds(seen: Shape, thin: Fraction) -> tuple[Name, ...]:
    """Every letter whose rule holds, in the order that decides."""
    half = MAJORITY * (seen.lower_lots + seen.middle_lots + seen.upper_lots)
    parted = (
        seen.valley_lots is not None
        and seen.smaller_peak_lots is not None
        and seen.valley_lots < MAJORITY * seen.smaller_peak_lots
    )
    rules: tuple[tuple[Name, bool], ...] = (
        ("B", parted),
        ("P", seen.poc_third == "upper" and seen.upper_lots > half),
        ("b", seen.poc_third == "lower" and seen.lower_lots > half),
        ("thin", seen.value_rows > thin * seen.range_rows),
        ("D", seen.poc_third == "middle" and len(seen.hvn_rows) == 1),
    )
    return tuple(name for name, holds in rules if holds)
