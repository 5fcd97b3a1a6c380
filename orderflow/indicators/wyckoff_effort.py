"""Effort and result: how far price moved for the delta and volume it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orderflow import past as earlier
from orderflow.evidence import Evidence, Side, check, evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.past import LEAST_BARS, past

LITTLE_PCT = 10
MUCH_PCT = 90
USUAL_PCT = 50

CARD = RuleCard(
    name="wyckoff_effort",
    version=1,
    family="wyckoff",
    summary=("How far price moved for the delta and volume it took, against its own past."),
    formula=(
        "effort without result: |close - open| / volume and / |delta| at or below p10 of the 50 "
        "bars before, on at least median volume; result without effort: both at or above p90, on "
        "at most median volume"
    ),
    units="ticks per lot; side = the aggressors, by the sign of delta",
    parameters=(
        Parameter("little_pct", "10", "percent", "percentile of a small result"),
        Parameter("much_pct", "90", "percent", "percentile of a large result"),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="equality counts; delta of 0: unknown; under 20 earlier bars: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        "A delta of 0 makes the second ratio unknown.",
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="A mismatch of volume and movement in the bar.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's law of effort versus result; own thresholds",
    example=Example(
        "First five trades a bar each, the sixth current, 5 bars enough; no result.",
        (
            ("evidence", "not held"),
            ("move_per_volume", "0 <= 0: held"),
            ("move_per_delta", "0 <= 0: held"),
            ("volume_lots", "1 >= 4: not held"),
        ),
    ),
)


def effort(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    kind: Literal["effort_without_result", "result_without_effort"],
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence of one of the two mismatches in the current bar against earlier bars."""
    before, bar = past(context, current, least_bars=least_bars)
    flow = bar.flow
    little = kind == "effort_without_result"
    pct = LITTLE_PCT if little else MUCH_PCT
    side: Side | None = None
    if flow.delta_lots:
        side = "buy" if flow.delta_lots > 0 else "sell"
    return evidence(
        kind,
        side,
        flow,
        [
            check(
                "move_per_volume",
                earlier.move_per_volume(flow),
                "<=" if little else ">=",
                before.percentile(earlier.move_per_volume, pct),
            ),
            check(
                "move_per_delta",
                earlier.move_per_delta(flow),
                "<=" if little else ">=",
                before.percentile(earlier.move_per_delta, pct),
            ),
            check(
                "volume_lots",
                flow.volume_lots,
                ">=" if little else "<=",
                before.percentile(earlier.volume, USUAL_PCT),
            ),
        ],
        len(before.bars),
        move_ticks=earlier.move(flow),
        delta_lots=flow.delta_lots,
    )
