"""Order flow: delta, cumulative delta and the three spellings of imbalance.

The aggressor decides the side. Delta as in flowsurface and freqtrade; imbalance as in
orderflow-metrics; the delta extremes are served with the starting 0 included (a CVD candle), while
bars keep the pair without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from orderflow import flow
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard

RATIO_PLACES = Decimal("0.000001")

CARD = RuleCard(
    name="order_flow",
    version=1,
    family="flow",
    summary="Who was the aggressor: delta, its path, and the three spellings of imbalance.",
    formula=(
        "delta = buy - sell; imbalance = delta / volume; buy_ratio = buy / volume; "
        "imbalance_ratio = buy / sell; cumulative_delta = sum of delta since its anchor; "
        "min_delta, max_delta = extremes of the running delta, the start (0) included."
    ),
    units="volumes in base units, quote volumes in quote units, ratios to six places",
    parameters=(
        Parameter("anchor", "00:00 UTC", "time", "where cumulative_delta starts, always served"),
    ),
    ties="a ratio without denominator is null, never 0",
    edges=(
        "The aggressor decides the side; where a venue names the maker its codec turns it round.",
        "Bars keep the delta extremes without the starting 0; answers include it.",
        "Several venues together know the extremes at the resolution of 5 s bars, or not at all.",
        "An empty window has delta 0 and no imbalance.",
    ),
    merging=(
        "Exact in time for every number; across venues exact for sums, null or of stated "
        "resolution for the extremes."
    ),
    evidence=(
        "Which side crossed the spread in the same window: over a BTC day delta explains 28 % "
        "(1 s) to 57 % (15 m) of the variance of the same bar's price change."
    ),
    not_evidence=(
        "The next bar: its price change is explained to 0.7 % at most, out of sample to 0.4 % or "
        "less."
    ),
    source="orderflow-metrics 0.40 (imbalance), freqtrade 2026.9 (delta and its extremes)",
    example=Example(
        "The six trades in one minute.",
        (
            ("buy_volume", "12"),
            ("sell_volume", "14"),
            ("delta", "-2"),
            ("min_delta", "-6"),
            ("max_delta", "4"),
            ("imbalance", "-0.076923"),
            ("buy_ratio", "0.461538"),
            ("imbalance_ratio", "0.857143"),
        ),
    ),
)


class Imbalance(msgspec.Struct, gc=False, frozen=True):
    """The three spellings; None where the denominator is zero."""

    imbalance: Decimal | None
    buy_ratio: Decimal | None
    imbalance_ratio: Decimal | None


def imbalance(buy_lots: int, sell_lots: int) -> Imbalance:
    """Imbalance of two exact volumes."""
    total = buy_lots + sell_lots
    return Imbalance(
        imbalance=ratio(buy_lots - sell_lots, total),
        buy_ratio=ratio(buy_lots, total),
        imbalance_ratio=ratio(buy_lots, sell_lots),
    )


def ratio(numerator: int, denominator: int) -> Decimal | None:
    """numerator / denominator to six places, or None without denominator."""
    if denominator == 0:
        return None
    return (Decimal(numerator) / Decimal(denominator)).quantize(RATIO_PLACES)


def served_extremes(bar: FlowBar) -> tuple[int | None, int | None]:
    """(min, max) of the running delta with the starting 0 included; (0, 0) when empty."""
    if bar.empty:
        return 0, 0
    if bar.min_delta_lots is None or bar.max_delta_lots is None:
        return None, None
    return min(0, bar.min_delta_lots), max(0, bar.max_delta_lots)


def combined_extremes(streams: Sequence[Sequence[FlowBar]]) -> tuple[int, int] | None:
    """Delta extremes of several streams from their bars of one step, at that resolution.

    Each stream gives its bars in time order; bars of one start are summed, then the running sum is
    followed from bar end to bar end. None when there is no bar.
    """
    steps: dict[int, int] = {}
    for stream in streams:
        scaled = _on_one_lot(stream, streams)
        for bar in scaled:
            steps[bar.start_ms] = steps.get(bar.start_ms, 0) + bar.delta_lots
    if not steps:
        return None
    running = low = high = 0
    for start in sorted(steps):
        running += steps[start]
        low, high = min(low, running), max(high, running)
    return low, high


def _on_one_lot(stream: Sequence[FlowBar], streams: Sequence[Sequence[FlowBar]]) -> list[FlowBar]:
    if not stream:
        return []
    scale = stream[0]
    for bars in streams:
        if bars:
            scale, _ = flow.on_one_scale(scale, bars[0])
    return [bar.rescaled(scale.tick_size, scale.lot_size) for bar in stream]
