"""Migration and overlap of the value areas of two windows, one after the other.

The relations are Dalton's day-to-day value relationships in whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import msgspec

from orderflow.indicators.card import Example, RuleCard
from orderflow.indicators.volume_profile import Profile

Relation = Literal[
    "higher", "lower", "overlapping_higher", "overlapping_lower", "inside", "outside", "unchanged"
]

CARD = RuleCard(
    name="value_migration",
    version=1,
    family="profile",
    summary="How the value area of a window lies to that of the window before.",
    formula=(
        "higher: VAL above the previous VAH; lower: VAH below the previous VAL; unchanged: both "
        "equal; inside: within the previous area; outside: around it; else overlapping_higher "
        "when both ends moved up, overlapping_lower when both moved down. overlap = rows in both "
        "areas / rows of the newer area."
    ),
    units="rows; overlap as a fraction in 0..1",
    parameters=(),
    ties="An equal end counts as within: equal VAL and lower VAH is inside.",
    edges=(
        "Both profiles must lie on one row size; bring them on one grid before.",
        "An open window may still change its relation.",
        "Without volume in one of the windows there is no relation.",
    ),
    merging="Not a sum: computed from two profiles.",
    evidence="Whether trade was accepted at higher or lower prices than in the window before.",
    not_evidence="Continuation; the relation describes what has happened.",
    source="Dalton, Mind Over Markets, 2013 (value-area relationships)",
    example=Example(
        "The first three trades as one day, the last three as the next, rows of 1.",
        (
            ("previous value area", "101..101"),
            ("value area", "102..103"),
            ("relation", "higher"),
            ("overlap", "0"),
            ("poc_shift_rows", "1"),
        ),
    ),
)


class Migration(msgspec.Struct, gc=False, frozen=True):
    """Relation of the newer area to the older one; `overlap_rows` of `value_rows` are in both."""

    relation: Relation
    overlap_rows: int
    value_rows: int
    previous_rows: int
    poc_shift_rows: int
    val_shift_rows: int
    vah_shift_rows: int

    @property
    def overlap(self) -> Fraction:
        """Share of the newer area that lies in the older one."""
        return Fraction(self.overlap_rows, self.value_rows)


def migration(before: Profile, after: Profile) -> Migration:
    """How `after` lies to `before`, both on one row size."""
    common = min(before.vah_row, after.vah_row) - max(before.val_row, after.val_row) + 1
    return Migration(
        relation=_relation(before, after),
        overlap_rows=max(0, common),
        value_rows=after.vah_row - after.val_row + 1,
        previous_rows=before.vah_row - before.val_row + 1,
        poc_shift_rows=after.poc_row - before.poc_row,
        val_shift_rows=after.val_row - before.val_row,
        vah_shift_rows=after.vah_row - before.vah_row,
    )


def migrations(profiles: Sequence[Profile]) -> list[Migration]:
    """Each window against the one before it; one fewer than profiles."""
    return [migration(before, after) for before, after in pairwise(profiles)]


def _relation(before: Profile, after: Profile) -> Relation:
    low, high = after.val_row - before.val_row, after.vah_row - before.vah_row
    if after.val_row > before.vah_row:
        return "higher"
    if after.vah_row < before.val_row:
        return "lower"
    if low == 0 and high == 0:
        return "unchanged"
    if low >= 0 and high <= 0:
        return "inside"
    if low <= 0 and high >= 0:
        return "outside"
    return "overlapping_higher" if low > 0 else "overlapping_lower"
