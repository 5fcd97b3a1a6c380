"""Exhaustion: the aggressors that made the extreme run out while they make it."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from orderflow.evidence import Check, Evidence, Side, check, evidence, part_of
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.order_flow import served_extremes

DEPTH = 3
SHARE_PCT = Fraction(100, 3)

CARD = RuleCard(
    name="exhaustion",
    version=1,
    family="footprint",
    summary="The aggressors that made the extreme run out while they make it.",
    formula=(
        "at the high: buy volume doesn't grow over the 3 rows before the extreme and the extreme "
        "row, the extreme row has at most a third of the row 3 below, and delta closes below its "
        "maximum; at the low: sells, mirrored"
    ),
    units="lots per row; percent; side = the aggressors that ran out",
    parameters=(
        Parameter("depth", "3", "rows", "rows from the extreme to the row compared with"),
        Parameter("share_pct", "33.3", "percent", "most the extreme row may have of that row"),
    ),
    ties="exactly a third counts; equal neighbours are no growth; an empty row is 0",
    edges=(
        "A bar with too few rows is unknown.",
        ("Where the order of trades is unknown (merged venues) the fading of delta is unknown."),
    ),
    merging="Rows merge exactly; the delta extremes in time only.",
    evidence="Fading aggression towards the extreme of the bar.",
    not_evidence=(
        "A standard: no public definition is agreed on, the thresholds are this project's own."
    ),
    source="own thresholds on the pattern of footprint charts (fading volume at the extreme)",
    example=Example(
        "The six trades in one bar, rows of 1.",
        (
            ("evidence", "not held"),
            ("rows_that_grow", "1 <= 0: not held"),
            ("extreme_share_pct", "0 <= 33.3333333333: held"),
            ("delta_lots", "-2 < 4: held"),
        ),
    ),
)


def exhaustion(
    bar: FootprintBar, side: Side, *, depth: int = DEPTH, share_pct: Fraction | int = SHARE_PCT
) -> Evidence:
    """Evidence at the high for `buy`, at the low for `sell`.

    Unknown when the bar has no row `depth` away from the extreme.
    """
    column = 0 if side == "buy" else 1
    step = -1 if side == "buy" else 1
    volumes: list[int] | None = None
    if bar.rows:
        bottom, top = min(bar.rows), max(bar.rows)
        if top - bottom >= depth:
            extreme = top if side == "buy" else bottom
            rows = [bar.rows.get(extreme + step * k, (0, 0, 0)) for k in range(depth + 1)]
            volumes = [row[column] for row in rows]
    grows = None
    if volumes is not None:
        grows = sum(outer > inner for outer, inner in pairwise(volumes))
    share = part_of(volumes[0], volumes[-1]) if volumes else None
    return evidence(
        "exhaustion",
        side,
        bar.flow,
        [
            check("rows_that_grow", grows, "<=", 0),
            check("extreme_share_pct", share, "<=", share_pct),
            _fades(bar, side),
        ],
    )


def _fades(bar: FootprintBar, side: Side) -> Check:
    """Delta closed off the extreme it had reached in the direction of the aggressors."""
    least, most = served_extremes(bar.flow)
    if side == "buy":
        return check("delta_lots", bar.flow.delta_lots, "<", most)
    return check("delta_lots", bar.flow.delta_lots, ">", least)
