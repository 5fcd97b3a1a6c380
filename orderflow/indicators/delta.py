"""Delta of a bar, its share of the volume, and the range it moved in."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, RuleCard
from orderflow.indicators.order_flow import ratio, served_extremes

CARD = RuleCard(
    name="delta",
    version=1,
    family="flow",
    summary=("Aggressive buying less aggressive selling of a bar, and the range it moved in."),
    formula=(
        "delta = buy - sell; delta_pct = 100 x delta / (buy + sell); "
        "min_delta = min(0, running delta after each trade), max_delta = max(0, the same)"
    ),
    units="lots; percent to six places",
    parameters=(),
    ties="no volume: delta_pct is null, not 0; merged venues: extremes are null",
    edges=(
        (
            "All-sell bars have max_delta 0 here, while bars themselves keep the extremes "
            "without the start."
        ),
        "Without volume delta is 0 and its share is null.",
    ),
    merging=("Delta exact in time and over venues; extremes exact in time, null over venues."),
    evidence="Which side crossed the spread for more volume in the same bar.",
    not_evidence=(
        "A forecast: on one whole BTC spot day delta explained 28 % (1 s) to 57 % (15 "
        "min) of the same bar's move and at most 0.7 % of the next one's."
    ),
    source="flowsurface and freqtrade (delta), tradetropy CVD candle (extremes with the start)",
    example=Example(
        "The six trades in one minute.",
        (
            ("delta", "-2"),
            ("delta_pct", "-7.692308"),
            ("min_delta", "-6"),
            ("max_delta", "4"),
        ),
    ),
)


class Delta(msgspec.Struct, frozen=True):
    """Lots by aggressor. Extremes include the starting 0; None where the order is unknown."""

    buy_lots: int
    sell_lots: int
    delta_lots: int
    delta_pct: Decimal | None
    min_delta_lots: int | None
    max_delta_lots: int | None


def delta(bar: FlowBar) -> Delta:
    """Delta of one bar; zeros and no percentage when nothing traded."""
    least, most = served_extremes(bar)
    return Delta(
        bar.buy_lots,
        bar.sell_lots,
        bar.delta_lots,
        ratio(100 * bar.delta_lots, bar.volume_lots),
        least,
        most,
    )
