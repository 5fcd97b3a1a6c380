"""Spot against perpetual: cumulative delta of both markets in quote units; do they part?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Literal

import msgspec

from orderflow.evidence import shown
from orderflow.flow import FlowBar, whole_ratio
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.lead_lag import correlation
from orderflow.indicators.order_flow import ratio
from orderflow.instrument import common_step
from orderflow.series import series, step_ms

State = Literal[
    "both_buy", "both_sell", "spot_buys_perp_sells", "perp_buys_spot_sells", "undecided"
]

CARD = RuleCard(
    name="spot_perp",
    version=1,
    family="flow",
    summary=(
        "CVD of spot and perpetual in quote units, whether they part, and how their steps "
        "correlate."
    ),
    formula=(
        "cvd = sum of (buy - sell) in quote units per market over the same window; they diverge "
        "when the signs are opposite; slope = least squares of the cumulative sums per step; "
        "correlation of the deltas of equal steps"
    ),
    units="quote units, quote units per step, percent and correlation to six places",
    parameters=(
        Parameter(
            "minimum_pct",
            "0",
            "percent",
            "share of its volume a market's |cvd| must reach to take a side",
        ),
    ),
    ties="a market whose |cvd| is 0 or below the minimum share of its volume is undecided",
    edges=(
        (
            "A step without a bar counts as no trade; whether it was collected is the "
            "caller's to check."
        ),
        "Bars of different lengths are refused.",
    ),
    merging=(
        "Exact: sums in quote units; slope and correlation are computed again from the steps."
    ),
    evidence="Whether the two markets were bought and sold alike in the window.",
    not_evidence=(
        "Which one is right; correlation of short steps is small even when both agree over hours."
    ),
    source="datapuller MCP server (spot-vs-perp split); correlation of steps: own addition",
    example=Example(
        "The first, third and fifth trade as spot, the others as perp, one a minute.",
        (
            ("state", "spot_buys_perp_sells"),
            ("diverges", "true"),
            ("spot_cvd_quote", "293"),
            ("perp_cvd_quote", "-498"),
            ("correlation", "0.039223"),
        ),
    ),
)


class Leg(msgspec.Struct, frozen=True):
    """One market: net and gross in quote units, and the trend of the cumulative sum."""

    cvd_quote: Decimal
    volume_quote: Decimal
    cvd_pct: Decimal | None
    slope_quote_per_step: Decimal | None
    direction: int


class SpotPerp(msgspec.Struct, frozen=True):
    """Both markets over the same steps. `diverges` is None when one is undecided."""

    state: State
    diverges: bool | None
    spot: Leg
    perp: Leg
    correlation: Decimal | None
    steps: int


def spot_perp(
    spot: Sequence[FlowBar], perp: Sequence[FlowBar], *, minimum_pct: int = 0
) -> SpotPerp:
    """Compare two series of the same steps; a step without a bar traded nothing.

    MergeError when the bars aren't all of one length.
    """
    sides = [series(bars) for bars in (spot, perp)]
    step_ms([*sides[0], *sides[1]])
    unit = _unit([*sides[0], *sides[1]])
    found = [_steps(bars, unit) for bars in sides]
    starts = sorted(found[0].keys() | found[1].keys())
    one, two = ([side.get(start, (0, 0)) for start in starts] for side in found)
    legs = [_leg(steps, unit, minimum_pct) for steps in (one, two)]
    state, diverges = _state(legs[0].direction, legs[1].direction)
    same, _ = correlation([delta for delta, _ in one], [delta for delta, _ in two])
    return SpotPerp(state, diverges, legs[0], legs[1], same, len(starts))


def _unit(bars: Sequence[FlowBar]) -> Decimal:
    """The largest quote amount that all sums are whole multiples of."""
    sizes = {bar.tick_size * bar.lot_size for bar in bars}
    return common_step(sorted(sizes)) if sizes else Decimal(1)


def _steps(bars: Sequence[FlowBar], unit: Decimal) -> Mapping[int, tuple[int, int]]:
    """Net and gross of each step in units."""
    factors = {size: whole_ratio(size, unit) for size in {b.tick_size * b.lot_size for b in bars}}
    return {
        bar.start_ms: (
            (bar.buy_quote - bar.sell_quote) * factors[bar.tick_size * bar.lot_size],
            (bar.buy_quote + bar.sell_quote) * factors[bar.tick_size * bar.lot_size],
        )
        for bar in bars
    }


def _leg(steps: Sequence[tuple[int, int]], unit: Decimal, minimum_pct: int) -> Leg:
    net, gross = sum(delta for delta, _ in steps), sum(volume for _, volume in steps)
    direction = 0
    if net and 100 * abs(net) >= minimum_pct * gross:
        direction = 1 if net > 0 else -1
    return Leg(
        net * unit,
        gross * unit,
        ratio(100 * net, gross),
        _slope(list(accumulate(delta for delta, _ in steps)), unit),
        direction,
    )


def _slope(values: Sequence[int], unit: Decimal) -> Decimal | None:
    """Least-squares slope per step; None of fewer than two steps."""
    count = len(values)
    if count < 2:
        return None
    weighted = sum((2 * k - count + 1) * value for k, value in enumerate(values))
    return shown(Fraction(6 * weighted, count * (count * count - 1)) * Fraction(unit))


def _state(spot: int, perp: int) -> tuple[State, bool | None]:
    if not spot or not perp:
        return "undecided", None
    if spot == perp:
        return ("both_buy" if spot > 0 else "both_sell"), False
    return ("spot_buys_perp_sells" if spot > 0 else "perp_buys_spot_sells"), True
