"""Test and last point of support: a revisit of a level on little volume and little delta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orderflow import past as earlier
from orderflow.evidence import Evidence, check, evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.volume_profile import profile
from orderflow.past import LEAST_BARS, past

VOLUME_PCT = 30
DELTA_PCT = 10

CARD = RuleCard(
    name="wyckoff_retest",
    version=1,
    family="wyckoff",
    summary="A revisit of a level on little volume and little delta.",
    formula=(
        "the bar trades at the level (given, or the POC of the 50 bars before), volume <= p30 of "
        "those bars, |delta| <= 10 % of the volume, and the close holds the level"
    ),
    units="ticks, lots, percent; side = the aggressors the level is to stop",
    parameters=(
        Parameter(
            "level_ticks",
            "POC of the earlier bars",
            "ticks",
            "lowest and highest price of the level",
        ),
        Parameter("volume_pct", "30", "percent", "percentile of volume"),
        Parameter("delta_pct", "10", "percent", "most |delta|, of the volume"),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="touching the level is enough; a close at the level holds; under 20 bars: unknown",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        "Touching one tick of the level is a visit.",
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="Little business at a level that mattered before.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's test and last point of support; own thresholds",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough; support.",
        (
            ("evidence", "not held"),
            ("low_ticks", "100 <= 101: held"),
            ("high_ticks", "100 >= 101: not held"),
            ("volume_lots", "1 <= 3: held"),
            ("abs_delta_pct", "100 <= 10: not held"),
            ("close_ticks", "100 >= 101: not held"),
        ),
    ),
)


def retest(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    kind: Literal["support", "resistance"],
    level_ticks: tuple[int, int] | None = None,
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence of a test of a level: (lowest, highest) price in ticks of the current bar's scale.

    A naked POC or a low-volume node is a level like any other.
    """
    before, bar = past(context, current, least_bars=least_bars)
    flow, support = bar.flow, kind == "support"
    scale = earlier.scale_of(current, bar)
    level = (level_ticks[0] * scale, level_ticks[1] * scale) if level_ticks else None
    if level is None and (value := profile(before.rows())):
        ticks = earlier.row_ticks(bar)
        level = value.poc_row * ticks, (value.poc_row + 1) * ticks - 1
    low, high = level or (None, None)
    return evidence(
        f"test_of_{kind}",
        "sell" if support else "buy",
        flow,
        [
            check("low_ticks", flow.low_ticks, "<=", high),
            check("high_ticks", flow.high_ticks, ">=", low),
            check(
                "volume_lots",
                None if flow.empty else flow.volume_lots,
                "<=",
                before.percentile(earlier.volume, VOLUME_PCT),
            ),
            check("abs_delta_pct", earlier.abs_delta_pct(flow), "<=", DELTA_PCT),
            check("close_ticks", flow.close_ticks, *((">=", low) if support else ("<=", high))),
        ],
        len(before.bars),
    )
