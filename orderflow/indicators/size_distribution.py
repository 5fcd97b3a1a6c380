"""Size distribution: how volume and prints spread over classes of print size."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.order_flow import ratio
from orderflow.prints import class_floor
from orderflow.quantile import counted_quantile
from orderflow.tail import prints_of

PERCENTILES = (50, 90, 99)

CARD = RuleCard(
    name="size_distribution",
    version=1,
    family="flow",
    summary="How volume and prints spread over classes of print size.",
    formula=(
        "class k holds prints with a notional of 2^(k-1) up to 2^k quote units (class 0: below "
        "1); a percentile is the class that holds the print of that rank"
    ),
    units="quote units, lots, percent to six places",
    parameters=(Parameter("percentiles", "50, 90, 99", "percent", "of the print size, by count"),),
    ties="a notional of exactly 2^k belongs to the class above; percentiles are a factor of 2 wide",
    edges=(
        "A percentile is known to its class only: a factor of 2.",
        "Without trades there are no classes and no percentiles.",
    ),
    merging="Exact in time and over venues of one quote currency: classes add.",
    evidence="Whether volume came from many small or few large prints.",
    not_evidence="Who traded: large orders are cut up, small ones bundled.",
    source="log histogram as in HdrHistogram and DDSketch (classes add exactly); own base 2",
    example=Example(
        "The six trades in one minute.",
        (
            ("64 to 128", "buy 0 sell 1, 1 prints"),
            ("128 to 256", "buy 2 sell 0, 1 prints"),
            ("256 to 512", "buy 4 sell 3, 2 prints"),
            ("512 to 1024", "buy 6 sell 10, 2 prints"),
            ("mean_lots", "4.333333"),
        ),
    ),
)


class SizeClass(msgspec.Struct, frozen=True):
    """Prints with low_quote <= notional < high_quote."""

    low_quote: Decimal
    high_quote: Decimal
    buy_lots: int
    sell_lots: int
    buy_prints: int
    sell_prints: int
    volume_pct: Decimal | None
    prints_pct: Decimal | None


class Percentile(msgspec.Struct, frozen=True):
    """The class that holds a percentile of the prints."""

    pct: int
    low_quote: Decimal
    high_quote: Decimal


class SizeDistribution(msgspec.Struct, frozen=True):
    """Classes from small to large, and percentiles of the print size by count."""

    classes: tuple[SizeClass, ...]
    percentiles: tuple[Percentile, ...]
    prints: int
    volume_lots: int
    mean_lots: Decimal | None


def size_distribution(bar: FootprintBar) -> SizeDistribution:
    """The distribution of one bar, merged or not; empty when nothing traded."""
    prints = sum(buys + sells for _, _, buys, sells in bar.sizes.values())
    volume = sum(buy + sell for buy, sell, _, _ in bar.sizes.values())
    classes = tuple(
        SizeClass(
            *bounds(k),
            *bar.sizes[k],
            ratio(100 * (bar.sizes[k][0] + bar.sizes[k][1]), volume),
            ratio(100 * (bar.sizes[k][2] + bar.sizes[k][3]), prints),
        )
        for k in sorted(bar.sizes)
    )
    counts = prints_of(bar)
    found = ((pct, counted_quantile(counts, pct)) for pct in PERCENTILES)
    return SizeDistribution(
        classes,
        tuple(Percentile(pct, *bounds(k)) for pct, k in found if k is not None),
        prints,
        volume,
        ratio(volume, prints),
    )


def bounds(k: int) -> tuple[Decimal, Decimal]:
    """[low, high) of a class in quote units."""
    return Decimal(class_floor(k)), Decimal(class_floor(k + 1))
