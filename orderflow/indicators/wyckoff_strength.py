"""Sign of strength and of weakness: value moves out of the old value, with its own delta."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from orderflow import past as earlier
from orderflow.evidence import Evidence, check, evidence, part_of
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.volume_profile import Profile, profile
from orderflow.past import LEAST_BARS, past

OVERLAP_PCT = Fraction(100, 3)
USUAL_PCT = 50

CARD = RuleCard(
    name="wyckoff_strength",
    version=1,
    family="wyckoff",
    summary="Value moves out of the old value, with delta of the same sign.",
    formula=(
        "strength: POC above the VAH of the 50 bars before, at most a third of the value area's "
        "rows inside the old one, delta > 0; detail: at least median volume; weakness: mirrored"
    ),
    units="rows, lots, percent; side = the aggressors of the move",
    parameters=(
        Parameter(
            "overlap_pct", "33.3", "percent", "most of the new value area inside the old one"
        ),
        Parameter("least_bars", "20", "bars", "earlier bars needed"),
    ),
    ties="equality counts; under 20 earlier bars: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        "A bar on few rows has an approximate value area.",
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="Volume was accepted outside the old value area.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's sign of strength; value-area migration after Dalton; own thresholds",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough; strength.",
        (
            ("evidence", "not held"),
            ("poc_row", "100 > 102: not held"),
            ("overlap_pct", "0 <= 33.3333333333: held"),
            ("delta_lots", "-1 > 0: not held"),
            ("volume_lots", "1 >= 4: not held"),
        ),
    ),
)


def strength(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    kind: Literal["sign_of_strength", "sign_of_weakness"],
    *,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence in the current bar against the value of earlier complete bars."""
    before, bar = past(context, current, least_bars=least_bars)
    flow, up = bar.flow, kind == "sign_of_strength"
    old, new = profile(before.rows()), profile(bar.rows)
    edge = None if old is None else (old.vah_row if up else old.val_row)
    return evidence(
        kind,
        "buy" if up else "sell",
        flow,
        [
            check("poc_row", new.poc_row if new else None, ">" if up else "<", edge),
            check("overlap_pct", _overlap(new, old), "<=", OVERLAP_PCT),
            check("delta_lots", flow.delta_lots, ">" if up else "<", 0),
            check(
                "volume_lots",
                flow.volume_lots,
                ">=",
                before.percentile(earlier.volume, USUAL_PCT),
                required=False,
            ),
        ],
        len(before.bars),
    )


def _overlap(new: Profile | None, old: Profile | None) -> Fraction | None:
    """Rows of the new value area that lie inside the old one, in percent."""
    if new is None or old is None:
        return None
    common = min(new.vah_row, old.vah_row) - max(new.val_row, old.val_row) + 1
    return part_of(max(0, common), new.vah_row - new.val_row + 1)
