"""Absorption in the range: one side keeps hitting while value and price stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from orderflow import footprint
from orderflow import past as earlier
from orderflow.evidence import Evidence, Side, check, evidence, part_of
from orderflow.footprint import FootprintBar, sum_rows
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.spot_perp import SpotPerp
from orderflow.indicators.volume_profile import profile
from orderflow.past import LEAST_BARS, past

SHIFT_PCT = 10
FLAT_PCT = 25
NET_PCT = 5

CARD = RuleCard(
    name="wyckoff_absorption",
    version=1,
    family="wyckoff",
    summary="One side keeps hitting while value and price stay where they are.",
    formula=(
        "over the 50 bars before and the current one: POC of the first and second half at most "
        "10 % of the rows apart, |close - open| <= 25 % of the range, |CVD| >= 5 % of the volume; "
        "detail: spot and perp diverge"
    ),
    units="rows, ticks, lots, percent; side = the aggressors that were absorbed",
    parameters=(
        Parameter(
            "shift_pct", "10", "percent", "most the POC of the halves may differ, of all rows"
        ),
        Parameter("flat_pct", "25", "percent", "most the net move may be, of the range"),
        Parameter("net_pct", "5", "percent", "least |CVD|, of the volume"),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="equality counts; under 20 earlier bars: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        ("Without a comparison of spot and perp that detail is unknown and decides nothing."),
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="Net aggression that moved neither price nor value over the stretch.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's absorption in the trading range; own thresholds",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough.",
        (
            ("evidence", "not held"),
            ("poc_shift_pct", "25 <= 10: not held"),
            ("net_move_pct", "0 <= 25: held"),
            ("abs_cvd_pct", "7.69230769231 >= 5: held"),
            ("spot_perp_diverges", "missing >= 1: unknown"),
        ),
    ),
)


def range_absorption(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    markets: SpotPerp | None = None,
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence over the whole stretch that ends with the current bar.

    `markets`: the comparison of spot and perp over the same stretch, where both are known.
    """
    before, bar = past(context, current, least_bars=least_bars)
    bars = [*before.bars, bar]
    known = before.enough
    whole = footprint.then(bars)
    flow = whole.flow
    side: Side | None = None
    if flow.delta_lots:
        side = "buy" if flow.delta_lots > 0 else "sell"
    diverges = None if markets is None or markets.diverges is None else int(markets.diverges)
    return evidence(
        "range_absorption",
        side,
        flow,
        [
            check("poc_shift_pct", _poc_shift(whole, bars) if known else None, "<=", SHIFT_PCT),
            check(
                "net_move_pct",
                part_of(earlier.move(flow), earlier.height(flow)) if known else None,
                "<=",
                FLAT_PCT,
            ),
            check("abs_cvd_pct", earlier.abs_delta_pct(flow) if known else None, ">=", NET_PCT),
            check("spot_perp_diverges", diverges, ">=", 1, required=False),
        ],
        len(before.bars),
        cvd_lots=flow.delta_lots,
        volume_lots=flow.volume_lots,
    )


def _poc_shift(whole: FootprintBar, bars: Sequence[FootprintBar]) -> Fraction | None:
    """How far the POC of the second half is from that of the first, in percent of all rows."""
    half = len(bars) // 2
    found = [profile(sum_rows(bar.rows for bar in part)) for part in (bars[:half], bars[half:])]
    if found[0] is None or found[1] is None:
        return None
    rows = max(whole.rows) - min(whole.rows) + 1
    return part_of(abs(found[0].poc_row - found[1].poc_row), rows)
