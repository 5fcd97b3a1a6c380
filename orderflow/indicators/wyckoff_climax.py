"""Selling and buying climax: extreme volume, delta and range at an edge that then holds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from orderflow import past as earlier
from orderflow.evidence import Evidence, check, evidence, part_of
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.cot import cot
from orderflow.past import LEAST_BARS, past

VOLUME_PCT = 99
EXTREME_PCT = 90
ANSWER_PCT = 10
THIRD = Fraction(100, 3)

CARD = RuleCard(
    name="wyckoff_climax",
    version=1,
    family="wyckoff",
    summary="Extreme volume, delta and range at an edge that then holds.",
    formula=(
        "selling: delta < 0, volume >= p99, |delta %| >= p90 and range >= p90 of the 50 bars "
        "before; delta after the low >= 10 % of the volume; a third or more of the sells in the "
        "lowest third of the rows, and a close above that third; buying: mirrored"
    ),
    units="lots, ticks, percent; side = the aggressors of the climax",
    parameters=(
        Parameter("volume_pct", "99", "percent", "percentile of volume"),
        Parameter("extreme_pct", "90", "percent", "percentile of |delta %| and range"),
        Parameter("answer_pct", "10", "percent", "delta after the extreme, of the volume"),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="equality counts; under 20 earlier bars: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        "Merged venues don't know the delta after the extreme: unknown.",
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence=("A burst of one-sided volume into an extreme that was answered in the same bar."),
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's selling climax as order flow; own thresholds",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough; selling.",
        (
            ("evidence", "not held"),
            ("delta_lots", "-1 < 0: held"),
            ("volume_lots", "1 >= 10: not held"),
            ("abs_delta_pct", "100 >= 100: held"),
            ("range_ticks", "0 >= 0: held"),
            ("answer_pct", "0 >= 10: not held"),
            ("extreme_third_pct", "100 >= 33.3333333333: held"),
            ("close_position_pct", "missing >= 33.3333333333: unknown"),
        ),
    ),
)


def climax(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    kind: Literal["selling", "buying"],
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence of a climax in the current bar against earlier complete bars."""
    before, bar = past(context, current, least_bars=least_bars)
    flow, sells = bar.flow, kind == "selling"
    found = cot(flow)
    answer = found.since_low_lots if sells else found.since_high_lots
    if answer is not None and not sells:
        answer = -answer
    position = earlier.close_position_pct(flow)
    return evidence(
        f"{kind}_climax",
        "sell" if sells else "buy",
        flow,
        [
            check("delta_lots", flow.delta_lots, "<" if sells else ">", 0),
            check(
                "volume_lots",
                flow.volume_lots,
                ">=",
                before.percentile(earlier.volume, VOLUME_PCT),
            ),
            check(
                "abs_delta_pct",
                earlier.abs_delta_pct(flow),
                ">=",
                before.percentile(earlier.abs_delta_pct, EXTREME_PCT),
            ),
            check(
                "range_ticks",
                earlier.height(flow),
                ">=",
                before.percentile(earlier.height, EXTREME_PCT),
            ),
            check("answer_pct", part_of(answer, flow.volume_lots), ">=", ANSWER_PCT),
            check("extreme_third_pct", _extreme_share(bar, sells=sells), ">=", THIRD),
            check(
                "close_position_pct",
                position,
                ">=" if sells else "<=",
                THIRD if sells else 100 - THIRD,
            ),
        ],
        len(before.bars),
    )


def _extreme_share(bar: FootprintBar, *, sells: bool) -> Fraction | None:
    """Share of the aggressors' lots in the outer third of the rows."""
    if not bar.rows:
        return None
    bottom, top = min(bar.rows), max(bar.rows)
    tall = top - bottom + 1
    column = 1 if sells else 0
    inside = sum(
        volumes[column]
        for row, volumes in bar.rows.items()
        if 3 * (row - bottom if sells else top - row) < tall
    )
    return part_of(inside, bar.flow.sell_lots if sells else bar.flow.buy_lots)
