"""Delta divergence: price makes a further extreme, cumulative delta does not.

Only confirmed pivots are compared, and a divergence is known when its second pivot is confirmed:
cutting off the future changes nothing that was said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Literal

import msgspec

from orderflow.errors import DomainError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.series import series

LEFT = 20
RIGHT = 5
REACH = 100

CARD = RuleCard(
    name="delta_divergence",
    version=1,
    family="flow",
    summary="Price makes a further pivot high or low while cumulative delta does not.",
    formula=(
        "pivot high: high above the 20 bars before and not below the 5 after; bearish: of two "
        "neighbouring pivot highs within 100 bars the later is higher while CVD at its close is "
        "not; bullish: pivot lows, mirrored"
    ),
    units="ticks; lots of CVD between the two pivots; known at the end of the 5th bar after",
    parameters=(
        Parameter("left", "20", "bars", "bars before a pivot that stay below it"),
        Parameter("right", "5", "bars", "bars after it that confirm it"),
        Parameter("reach", "100", "bars", "farthest distance of two pivots"),
    ),
    ties="of equal highs the first is the pivot; equal CVD diverges; bars without trades are out",
    edges=(
        "Known only when the second pivot is confirmed: confirmed_ms.",
        ("Independent of the CVD's anchor: only the change between the pivots counts."),
        "Bars without trades are no bars here.",
    ),
    merging="Not mergeable: computed from the bars of one timeframe.",
    evidence="A further extreme made with less net aggression than the one before.",
    not_evidence=(
        "A standard: no public definition is agreed on, the thresholds are this project's own."
    ),
    source="pivots with left and right bars as in TradingView's divergence scripts; own defaults",
    example=Example(
        "The six trades, one a minute, pivots of 1 bar on each side.", (("divergences", "none"),)
    ),
)


class Divergence(msgspec.Struct, frozen=True):
    """Two pivots that disagree; `confirmed_ms`: when it could be known.

    `cvd_change_lots`: CVD from the first pivot's close to the second's.
    """

    kind: Literal["bearish", "bullish"]
    first_ms: int
    second_ms: int
    confirmed_ms: int
    first_ticks: int
    second_ticks: int
    cvd_change_lots: int


def delta_divergences(
    bars: Sequence[FlowBar], *, left: int = LEFT, right: int = RIGHT, reach: int = REACH
) -> list[Divergence]:
    """Every confirmed divergence, in the order of confirmation; DomainError for no neighbours."""
    if left < 1 or right < 1:
        raise DomainError("a pivot has at least one bar on each side")
    traded = [bar for bar in series(bars) if not bar.empty]
    cvd = list(accumulate(bar.delta_lots for bar in traded))
    highs = [bar.high_ticks or 0 for bar in traded]
    lows = [-(bar.low_ticks or 0) for bar in traded]
    found = [
        *_divergences(traded, cvd, highs, 1, (left, right, reach)),
        *_divergences(traded, [-total for total in cvd], lows, -1, (left, right, reach)),
    ]
    return sorted(found, key=lambda d: (d.confirmed_ms, d.kind))


def pivots(values: Sequence[int], left: int, right: int) -> list[int]:
    """Places above all `left` values before and not below any of the `right` values after."""
    return [
        k
        for k in range(left, len(values) - right)
        if values[k] > max(values[k - left : k]) and values[k] >= max(values[k + 1 : k + right + 1])
    ]


def _divergences(
    bars: Sequence[FlowBar],
    cvd: Sequence[int],
    values: Sequence[int],
    sign: int,
    limits: tuple[int, int, int],
) -> list[Divergence]:
    left, right, reach = limits
    places = pivots(values, left, right)
    return [
        Divergence(
            "bearish" if sign > 0 else "bullish",
            bars[one].start_ms,
            bars[two].start_ms,
            bars[two + right].end_ms,
            sign * values[one],
            sign * values[two],
            sign * (cvd[two] - cvd[one]),
        )
        for one, two in pairwise(places)
        if two - one <= reach and values[two] > values[one] and cvd[two] <= cvd[one]
    ]
