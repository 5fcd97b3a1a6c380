"""Profile algebra: merge, subtract and compare two profiles (windows, venues, markets).

Distances are the usual ones between distributions, computed in whole lots and therefore exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from orderflow.errors import MergeError
from orderflow.footprint import Row, Rows, sum_rows
from orderflow.indicators.card import Example, RuleCard
from orderflow.indicators.volume_profile import profile

CARD = RuleCard(
    name="profile_algebra",
    version=1,
    family="profile",
    summary="Sum, difference and distance of two profiles: windows, venues or markets.",
    formula=(
        "With p and q the shares of each row: overlap = sum of min(p, q); total variation = "
        "1 - overlap; largest gap (Kolmogorov-Smirnov) = max |P - Q| of the cumulated shares; "
        "transport (Wasserstein-1) = sum of |P - Q| over all rows of the range, in rows."
    ),
    units="lots and rows; shares and distances as exact fractions, transport in rows",
    parameters=(),
    ties="None of its own.",
    edges=(
        "Both must lie on one grid and one lot (footprint.on_one_grid).",
        "subtract refuses a part that holds more than the whole anywhere.",
        "Spot and perp trade at a premium to each other: transport shows it, overlap falls.",
        "Without volume on one side there is no comparison.",
    ),
    merging="merge is exact, in any order and grouping; subtract undoes it exactly.",
    evidence="How alike two distributions of volume over price are.",
    not_evidence="Which of the two led, or why they differ.",
    source="Standard distances of distributions; the market-profile use is ours",
    example=Example(
        "The buys against the sells, rows of 1.",
        (
            ("overlap", "5/21"),
            ("total_variation", "16/21"),
            ("largest_gap", "2/7"),
            ("transport_rows", "16/21"),
            ("poc_shift_rows", "-1"),
        ),
    ),
)


class Comparison(msgspec.Struct, gc=False, frozen=True):
    """`a` against `b`; the numerators are over `scale` (lots of a times lots of b)."""

    a_lots: int
    b_lots: int
    overlap_numerator: int
    largest_gap_numerator: int
    largest_gap_row: int
    transport_numerator: int
    poc_shift_rows: int
    value_overlap_rows: int

    @property
    def scale(self) -> int:
        """Common denominator of the numerators."""
        return self.a_lots * self.b_lots

    @property
    def overlap(self) -> Fraction:
        """Share of volume that lies in the same rows, 0..1."""
        return Fraction(self.overlap_numerator, self.scale)

    @property
    def total_variation(self) -> Fraction:
        """1 - overlap."""
        return 1 - self.overlap

    @property
    def largest_gap(self) -> Fraction:
        """Largest difference of the cumulated shares, 0..1; from `largest_gap_row` downwards."""
        return Fraction(self.largest_gap_numerator, self.scale)

    @property
    def transport_rows(self) -> Fraction:
        """How many rows the average lot must move to make one profile of the other."""
        return Fraction(self.transport_numerator, self.scale)


def merge(parts: Iterable[Rows]) -> dict[int, Row]:
    """Row-wise sum, of windows or of venues on one grid."""
    return sum_rows(parts)


def subtract(whole: Rows, part: Rows) -> dict[int, Row]:
    """`whole` without `part`, rows of nothing left out; MergeError when it holds more anywhere."""
    rows: dict[int, Row] = dict(whole)
    for row, (buy, sell, trades) in part.items():
        had = rows.get(row, (0, 0, 0))
        left = (had[0] - buy, had[1] - sell, had[2] - trades)
        if min(left) < 0:
            raise MergeError("the part holds more than the whole")
        if any(left):
            rows[row] = left
        else:
            rows.pop(row, None)
    return rows


def delta_by_row(a: Rows, b: Rows) -> dict[int, tuple[int, int]]:
    """(volume of a - b, delta of a - b) of every row of either, lowest first."""
    found = {}
    for row in sorted({*a, *b}):
        buy, sell, _ = a.get(row, (0, 0, 0))
        other_buy, other_sell, _ = b.get(row, (0, 0, 0))
        volume = buy + sell - other_buy - other_sell
        found[row] = (volume, buy - sell - other_buy + other_sell)
    return found


def compare(a: Rows, b: Rows) -> Comparison | None:
    """Overlap and distances of two profiles on one grid and lot; None when one has no volume."""
    first, second = profile(a), profile(b)
    if first is None or second is None:
        return None
    total_a, total_b = first.total_lots, second.total_lots
    overlap = transport = gap = cumulated = 0
    gap_row = last = None
    for row in sorted({*a, *b}):
        if last is not None:
            transport += abs(cumulated) * (row - last)
        share_a = _volume(a, row) * total_b
        share_b = _volume(b, row) * total_a
        overlap += min(share_a, share_b)
        cumulated += share_a - share_b
        if gap_row is None or abs(cumulated) > gap:
            gap, gap_row = abs(cumulated), row
        last = row
    common = min(first.vah_row, second.vah_row) - max(first.val_row, second.val_row) + 1
    return Comparison(
        a_lots=total_a,
        b_lots=total_b,
        overlap_numerator=overlap,
        largest_gap_numerator=gap,
        largest_gap_row=first.poc_row if gap_row is None else gap_row,
        transport_numerator=transport,
        poc_shift_rows=second.poc_row - first.poc_row,
        value_overlap_rows=max(0, common),
    )


def _volume(rows: Rows, row: int) -> int:
    buy, sell, _ = rows.get(row, (0, 0, 0))
    return buy + sell
