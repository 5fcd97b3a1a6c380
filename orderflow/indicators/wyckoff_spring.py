"""Spring and upthrust: a look outside the value of the range that nobody follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from orderflow import past as earlier
from orderflow.evidence import Evidence, check, evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.trapped_traders import trapped_traders
from orderflow.indicators.unfinished_auction import unfinished_auctions
from orderflow.indicators.volume_profile import profile
from orderflow.past import LEAST_BARS, past

MIDDLE_PCT = 50

CARD = RuleCard(
    name="wyckoff_spring",
    version=1,
    family="wyckoff",
    summary="A look outside the value of the range that nobody follows.",
    formula=(
        "spring: low below the VAL of the 50 bars before, close at or above it, delta < 0, close "
        "in the upper half of the bar, the auction at the low not unfinished; detail: low below "
        "the range's low, trapped sellers; upthrust: mirrored at VAH"
    ),
    units="ticks, lots, percent; side = the aggressors who found no follower",
    parameters=(
        Parameter("window", "50", "bars", "earlier bars that make the range"),
        Parameter("close_position_pct", "50", "percent", "least recovery inside the bar"),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="a close exactly at VAL is back inside; under 20 earlier bars: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        ("Going below VAL is enough; whether the range's own low was passed is stated beside."),
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="A failed move beyond value, with the delta it was tried with.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's spring and upthrust; order-flow reading after the WVPO notes; own thresholds",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough; spring.",
        (
            ("evidence", "not held"),
            ("reach_ticks", "100 < 101: held"),
            ("close_ticks", "100 >= 101: not held"),
            ("delta_lots", "-1 < 0: held"),
            ("close_position_pct", "missing >= 50: unknown"),
            ("unfinished_auctions", "0 <= 0: held"),
            ("reach_beyond_range", "100 < 100: not held"),
            ("trapped_stacks", "0 >= 1: not held"),
        ),
    ),
)


def spring(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    kind: Literal["spring", "upthrust"],
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence of a spring or upthrust in the current bar against earlier complete bars."""
    before, bar = past(context, current, least_bars=least_bars)
    flow, up = bar.flow, kind == "spring"
    value = profile(before.rows())
    ticks = earlier.row_ticks(bar)
    level = None
    if value:
        level = value.val_row * ticks if up else (value.vah_row + 1) * ticks - 1
    range_end = before.ends_ticks()[0 if up else 1]
    reach = flow.low_ticks if up else flow.high_ticks
    side: Literal["buy", "sell"] = "sell" if up else "buy"
    trapped = sum(1 for found in trapped_traders(bar) if found.side == side)
    unfinished = sum(1 for a in unfinished_auctions(bar) if a.at == ("low" if up else "high"))
    return evidence(
        kind,
        side,
        flow,
        [
            check("reach_ticks", reach, "<" if up else ">", level),
            check("close_ticks", flow.close_ticks, ">=" if up else "<=", level),
            check("delta_lots", flow.delta_lots, "<" if up else ">", 0),
            check(
                "close_position_pct",
                earlier.close_position_pct(flow),
                ">=" if up else "<=",
                MIDDLE_PCT,
            ),
            check("unfinished_auctions", None if flow.empty else unfinished, "<=", 0),
            check("reach_beyond_range", reach, "<" if up else ">", range_end, required=False),
            check("trapped_stacks", None if flow.empty else trapped, ">=", 1, required=False),
        ],
        len(before.bars),
    )
