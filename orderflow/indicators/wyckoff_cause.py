"""Cause: how long and how heavily price has been in a range."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from orderflow import footprint
from orderflow import past as earlier
from orderflow.evidence import Evidence, check, evidence, part_of
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.volume_profile import profile
from orderflow.past import LEAST_BARS, past
from orderflow.quantile import quantile

WINDOW = 500
HEIGHTS = 6
INSIDE_PCT = 60
NET_PCT = Fraction(100, 3)

CARD = RuleCard(
    name="wyckoff_cause",
    version=1,
    family="wyckoff",
    summary="How long and how heavily price has been in a range.",
    formula=(
        "range: the longest tail of bars whose high - low is at most 6 median bar ranges; a cause "
        "needs 20 bars, 60 % of the closes inside the range's value area, and |close - open| of "
        "at most a third of the range; duration and volume are stated"
    ),
    units="bars, ms, lots, ticks, percent; no side",
    parameters=(
        Parameter("window", "500", "bars", "how far back the range is looked for"),
        Parameter("heights", "6", "median bar ranges", "most the range may span"),
        Parameter("inside_pct", "60", "percent", "closes inside the value area"),
        Parameter("least_bars", "20", "bars", "bars a cause needs"),
    ),
    ties="equality counts; under 20 bars that traded: unknown, never false",
    edges=(
        ("Under 20 earlier bars that traded every comparison with them is unknown, never false."),
        ("A bar of the context that isn't earlier than the current one is refused."),
        ("Duration and volume are stated, not projected: no point-and-figure count."),
    ),
    merging="Computed again from the bars given; nothing is carried over between calls.",
    evidence="Time and volume spent in balance.",
    not_evidence=(
        "Advice or a forecast: it says what happened, with thresholds that are this project's own."
    ),
    source="Wyckoff's law of cause and effect; own measure of the range, no point-and-figure count",
    example=Example(
        "The six trades a bar each, 5 bars enough.",
        (
            ("evidence", "not held"),
            ("bars", "1 >= 5: not held"),
            ("closes_inside_pct", "100 >= 60: held"),
            ("net_move_pct", "missing <= 33.3333333333: unknown"),
            ("duration_ms", "60000"),
            ("volume_lots", "1"),
            ("range_ticks", "0"),
        ),
    ),
)


def cause(
    current: FootprintBar,
    context: Sequence[FootprintBar],
    *,
    window: int = WINDOW,
    least_bars: int = LEAST_BARS,
) -> Evidence:
    """Evidence over the range that ends with the current bar."""
    before, bar = past(context, current, window=window, least_bars=least_bars)
    bars = [*before.bars, *([] if bar.flow.empty else [bar])]
    enough = len(bars) >= least_bars
    tail = tail_of(bars) if enough else []
    whole = footprint.then(tail) if tail else bar
    flow = whole.flow
    inside = _inside(whole, tail) if tail else None
    net = part_of(earlier.move(flow), earlier.height(flow)) if tail else None
    return evidence(
        "cause",
        None,
        flow,
        [
            check("bars", len(tail) if enough else None, ">=", least_bars),
            check("closes_inside_pct", inside, ">=", INSIDE_PCT),
            check("net_move_pct", net, "<=", NET_PCT),
        ],
        len(before.bars),
        duration_ms=flow.end_ms - flow.start_ms if tail else None,
        volume_lots=flow.volume_lots if tail else None,
        range_ticks=earlier.height(flow) if tail else None,
    )


def tail_of(bars: Sequence[FootprintBar]) -> list[FootprintBar]:
    """The longest tail that spans at most HEIGHTS median bar ranges.

    The bars traded and are on one scale.
    """
    limit = HEIGHTS * (quantile((earlier.height(bar.flow) or 0 for bar in bars), 50) or 0)
    low, high = bars[-1].flow.low_ticks or 0, bars[-1].flow.high_ticks or 0
    taken = 0
    for bar in reversed(bars):
        low, high = min(low, bar.flow.low_ticks or 0), max(high, bar.flow.high_ticks or 0)
        if high - low > limit:
            break
        taken += 1
    return list(bars[len(bars) - taken :])


def _inside(whole: FootprintBar, bars: Sequence[FootprintBar]) -> Fraction | None:
    """Closes inside the value area of the range, in percent."""
    value = profile(whole.rows)
    if value is None:
        return None
    ticks = earlier.row_ticks(whole)
    rows = [(bar.flow.close_ticks or 0) // ticks for bar in bars]
    return part_of(sum(value.val_row <= row <= value.vah_row for row in rows), len(rows))
