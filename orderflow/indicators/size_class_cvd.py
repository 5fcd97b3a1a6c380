"""CVD by size of the prints: small, mid and large by the sizes of earlier bars only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from orderflow.errors import DomainError
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.size_distribution import bounds
from orderflow.prints import Sizes
from orderflow.quantile import counted_quantile
from orderflow.series import footprints
from orderflow.tail import prints_of

WINDOW = 60
PERCENTILES = (90, 99)
LEAST_PRINTS = 1_000

CARD = RuleCard(
    name="size_class_cvd",
    version=1,
    family="flow",
    summary=("CVD of small, mid and large prints, told apart by the sizes of earlier bars only."),
    formula=(
        "small: classes up to the one with p90 of the prints of the 60 bars before, mid: up to "
        "the one with p99, large: above; per class the running sum of buy - sell"
    ),
    units="lots; class borders in quote units (powers of 2)",
    parameters=(
        Parameter("window", "60", "bars", "earlier bars the borders come from"),
        Parameter(
            "percentiles",
            "90, 99",
            "percent",
            "of the earlier prints: borders of small, mid, large",
        ),
        Parameter(
            "least_prints", "1000", "prints", "earlier prints without which a bar is left out"
        ),
    ),
    ties="a class belongs to one group as a whole; under 1,000 earlier prints a bar is left out",
    edges=(
        "The borders move with the market; each bar keeps those of its time.",
        "A class of sizes is never split between groups.",
    ),
    merging=("Deltas by class add exactly; borders are computed again from the bars before."),
    evidence="Which sizes of prints carried the net aggression.",
    not_evidence="Retail or institutions: size is not identity.",
    source="asked for in aggr (issues 38 and 235); rolling percentiles: own definition",
    example=Example(
        "The six trades, one a minute, window 3, percentiles 50 and 90, least 1.",
        (
            ("minute 2", "mid from 512, large from 512: 0, 0, -10"),
            ("minute 3", "mid from 512, large from 1024: 2, 0, -10"),
            ("minute 4", "mid from 512, large from 1024: 2, 6, -10"),
            ("minute 5", "mid from 1024, large from 1024: -1, 6, -10"),
            ("minute 6", "mid from 512, large from 1024: -2, 6, -10"),
        ),
    ),
)


class SizeCvd(msgspec.Struct, frozen=True):
    """Delta of one bar and CVD since `since_ms`, in lots, by group.

    Small prints are below `mid_from_quote`, large ones reach `large_from_quote`.
    """

    start_ms: int
    end_ms: int
    since_ms: int
    mid_from_quote: Decimal
    large_from_quote: Decimal
    small_delta_lots: int
    mid_delta_lots: int
    large_delta_lots: int
    small_cvd_lots: int
    mid_cvd_lots: int
    large_cvd_lots: int


def size_class_cvd(
    bars: Sequence[FootprintBar],
    *,
    window: int = WINDOW,
    percentiles: tuple[int, int] = PERCENTILES,
    least_prints: int = LEAST_PRINTS,
) -> list[SizeCvd]:
    """One entry per bar that has enough prints in the `window` bars before it."""
    if window < 1 or percentiles[0] > percentiles[1]:
        raise DomainError("a window has at least one bar, and percentiles grow")
    same = footprints(bars)
    before: Counter[int] = Counter()
    found: list[SizeCvd] = []
    for place, bar in enumerate(same):
        if place > window:
            before.subtract(prints_of(same[place - window - 1]))
        if sum(before.values()) >= max(1, least_prints):
            found.append(_entry(bar, before, percentiles, found[-1] if found else None))
        before.update(prints_of(bar))
    return found


def _entry(
    bar: FootprintBar, before: Counter[int], percentiles: tuple[int, int], last: SizeCvd | None
) -> SizeCvd:
    mid, large = (counted_quantile(before, pct) or 0 for pct in percentiles)
    deltas = grouped_deltas(bar.sizes, mid, large)
    sums = (last.small_cvd_lots, last.mid_cvd_lots, last.large_cvd_lots) if last else (0, 0, 0)
    return SizeCvd(
        bar.flow.start_ms,
        bar.flow.end_ms,
        last.since_ms if last else bar.flow.start_ms,
        bounds(mid)[1],
        bounds(large)[1],
        *deltas,
        sums[0] + deltas[0],
        sums[1] + deltas[1],
        sums[2] + deltas[2],
    )


def grouped_deltas(sizes: Sizes, mid: int, large: int) -> tuple[int, int, int]:
    """Delta of the classes up to `mid`, of those up to `large`, and of the rest."""
    deltas = [0, 0, 0]
    for k, (buy, sell, _, _) in sizes.items():
        deltas[0 if k <= mid else 1 if k <= large else 2] += buy - sell
    return deltas[0], deltas[1], deltas[2]
