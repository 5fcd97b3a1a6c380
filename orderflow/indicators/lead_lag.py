"""Lead and lag of two streams: whose price changes come first, at the resolution of their bars.

Huth and Abergel, High frequency lead/lag relationships (Journal of Empirical Finance 26, 2014):
the ratio of squared cross-correlations at positive lags to those at negative lags. Here on changes
of the close over equal steps; a step without a trade is no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

import msgspec

from orderflow.errors import DomainError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.series import series, step_ms

LAGS = 3
LEAST_PAIRS = 30
PLACES = Decimal("0.000001")
WORKING_DIGITS = 60

CARD = RuleCard(
    name="lead_lag",
    version=1,
    family="flow",
    summary="Whose price changes come first, at the resolution of the bars given.",
    formula=(
        "ratio = sum over lags 1..3 of corr(first_t, second_t+lag)^2 / the same with roles "
        "swapped; above 1 the first leads, below 1 the second"
    ),
    units="steps of the bars given; correlations and ratio to six places, from exact sums",
    parameters=(Parameter("lags", "3", "steps", "how many steps ahead and behind are compared"),),
    ties="nobody leads: ratio 1, under 30 pairs, or no lagged corr above 2 / sqrt(pairs)",
    edges=(
        "A step without a trade is no change.",
        "Steps before both have traded are left out.",
        "Under 30 pairs, or within the bound of chance, nobody leads.",
        "A leader is repeated with the same sign: the bounce between bid and ask leads nobody.",
    ),
    merging="Not mergeable: computed from the steps of the whole window.",
    evidence="Which venue's moves the other repeated within a few steps.",
    not_evidence="Cause; at 5 s steps leads of milliseconds are invisible.",
    source="Huth and Abergel 2014 (LLR); bound of chance: Bartlett 1946",
    example=Example(
        "The first three trades against the last three, one a minute, lags of 1.",
        (
            ("leader", "none"),
            ("pairs", "2"),
            ("correlation at 0", "1.000000"),
        ),
    ),
)


class LeadLag(msgspec.Struct, frozen=True):
    """Who leads. `correlations`: (lag, correlation), a positive lag says that the first leads.

    `ratio` is None when the second's squared correlations are all zero.
    """

    leader: Literal["first", "second"] | None
    ratio: Decimal | None
    correlations: tuple[tuple[int, Decimal | None], ...]
    pairs: int
    step_ms: int


def lead_lag(first: Sequence[FlowBar], second: Sequence[FlowBar], *, lags: int = LAGS) -> LeadLag:
    """Compare two series of the same step length; MergeError when steps differ."""
    if lags < 1:
        raise DomainError("a lead needs a lag of at least one step")
    one, two = series(first), series(second)
    step = step_ms(one + two)
    a, b = _changes(one, two, step)
    found = tuple((lag, _at(a, b, lag)) for lag in range(-lags, lags + 1))
    ahead = sum((square for lag, (_, square) in found if lag > 0), Fraction(0))
    behind = sum((square for lag, (_, square) in found if lag < 0), Fraction(0))
    pairs = len(a)
    side = (ahead > behind) - (ahead < behind)
    repeated = any(
        value is not None and value > 0 and square * pairs > 4
        for lag, (value, square) in found
        if lag * side > 0
    )
    leader: Literal["first", "second"] | None = None
    if pairs >= LEAST_PAIRS and repeated:
        leader = "first" if side > 0 else "second"
    return LeadLag(
        leader,
        _decimal(ahead / behind) if behind else None,
        tuple((lag, value) for lag, (value, _) in found),
        pairs,
        step,
    )


def correlation(xs: Sequence[int], ys: Sequence[int]) -> tuple[Decimal | None, Fraction]:
    """Pearson's correlation to six places and its exact square; (None, 0) without variation."""
    count = len(xs)
    sum_x, sum_y = sum(xs), sum(ys)
    spread_x = count * sum(x * x for x in xs) - sum_x * sum_x
    spread_y = count * sum(y * y for y in ys) - sum_y * sum_y
    if not spread_x or not spread_y:
        return None, Fraction(0)
    common = count * sum(x * y for x, y in zip(xs, ys, strict=True)) - sum_x * sum_y
    square = Fraction(common * common, spread_x * spread_y)
    with localcontext() as context:
        context.prec = WORKING_DIGITS
        root = (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()
        return (root if common >= 0 else -root).quantize(PLACES), square


def _at(a: Sequence[int], b: Sequence[int], lag: int) -> tuple[Decimal | None, Fraction]:
    """Correlation of a_t with b_(t+lag)."""
    if lag >= 0:
        return correlation(a[: len(a) - lag], b[lag:])
    return correlation(a[-lag:], b[: len(b) + lag])


def _changes(
    one: Sequence[FlowBar], two: Sequence[FlowBar], step: int
) -> tuple[list[int], list[int]]:
    """Changes of the close per step, from the first step where both have traded."""
    closes: list[dict[int, int]] = [
        {bar.start_ms: bar.close_ticks for bar in bars if bar.close_ticks is not None}
        for bars in (one, two)
    ]
    if not closes[0] or not closes[1]:
        return [], []
    begin = max(min(found) for found in closes)
    end = max(max(found) for found in closes)
    result = []
    for found in closes:
        last = found[max(start for start in found if start <= begin)]
        changes = []
        for start in range(begin + step, end + 1, step):
            price = found.get(start, last)
            changes.append(price - last)
            last = price
        result.append(changes)
    return result[0], result[1]


def _decimal(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = WORKING_DIGITS
        return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(PLACES)
