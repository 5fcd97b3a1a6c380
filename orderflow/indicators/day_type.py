"""Day type: how a session left its initial balance, with the numbers that decide it.

The types are Dalton's; he gives no exact thresholds, so those here are ours and stated.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import msgspec

from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.market_profile import MarketProfile

Name = Literal[
    "double_distribution",
    "neutral_extreme",
    "neutral_center",
    "normal",
    "trend",
    "normal_variation",
]
QUARTER = Fraction(1, 4)
TREND_BALANCES = 2
LEAST_SHARE = Fraction(1, 4)

CARD = RuleCard(
    name="day_type",
    version=1,
    family="profile",
    summary="Dalton's type of a day: normal, variation, trend, neutral or double distribution.",
    formula=(
        "double_distribution: a run of single prints inside the profile has at least a quarter of "
        "all TPOs above and below it. Else by range extension, rows beyond the initial balance: "
        "none = normal; both sides = neutral_extreme when the close is in the outer quarter of "
        "the range, neutral_center otherwise; one side = trend when the range is at least twice "
        "the balance and the close in the outer quarter of that side, normal_variation otherwise."
    ),
    units="rows; shares are exact fractions",
    parameters=(
        Parameter("outer", "1/4", "fraction", "part of the range that is an extreme close"),
        Parameter("trend_balances", "2", "balances", "range of a trend, in initial balances"),
        Parameter("least_share", "1/4", "fraction", "TPOs on either side of single prints"),
    ),
    ties="A range of exactly two balances can be a trend; a close on the border is extreme.",
    edges=(
        "Without an initial balance there is no type.",
        "A nontrend day (a narrow day by its own history) needs history and is not told apart.",
        "While the session is open the type changes; balance_final says if the balance stands.",
    ),
    merging="Not a sum: read from the merged time profile.",
    evidence="How far and to which side the market left the range of its first hour.",
    not_evidence="What the next day will be.",
    source="Dalton, Mind Over Markets, 2013 (types); thresholds ours",
    example=Example(
        "One trade every 30 minutes, in the order of the table, rows of 1.",
        (
            ("day_type", "normal_variation"),
            ("above_balance_rows", "2"),
            ("below_balance_rows", "0"),
            ("close_position", "0"),
        ),
    ),
)


class DayType(msgspec.Struct, gc=False, frozen=True):
    """The type and what decided it; `close_row` counts from the lowest row, 0 to range_rows - 1."""

    name: Name
    balance_rows: int
    range_rows: int
    above_balance_rows: int
    below_balance_rows: int
    close_row: int
    balance_final: bool

    @property
    def close_position(self) -> Fraction:
        """Where the close lies in the range, 0 (low) to 1 (high)."""
        return Fraction(self.close_row, max(1, self.range_rows - 1))


def day_type(found: MarketProfile, close_row: int) -> DayType | None:
    """The type of a session that closed in `close_row`; None without an initial balance."""
    if found.balance is None:
        return None
    seen = DayType(
        name="normal",
        balance_rows=found.balance[1] - found.balance[0] + 1,
        range_rows=found.high.row - found.low.row + 1,
        above_balance_rows=found.above_balance_rows,
        below_balance_rows=found.below_balance_rows,
        close_row=close_row - found.low.row,
        balance_final=found.balance_final,
    )
    name = "double_distribution" if _parted(found) else _by_extension(seen)
    return msgspec.structs.replace(seen, name=name)


def _parted(found: MarketProfile) -> bool:
    """True when single prints part the profile into two substantial areas."""
    least = LEAST_SHARE * sum(found.counts.values())
    return any(
        sum(count for row, count in found.counts.items() if row < low) >= least
        and sum(count for row, count in found.counts.items() if row > high) >= least
        for low, high in found.single_prints
    )


def _by_extension(seen: DayType) -> Name:
    above, below = seen.above_balance_rows > 0, seen.below_balance_rows > 0
    at_high = seen.close_position >= 1 - QUARTER
    at_low = seen.close_position <= QUARTER
    if above and below:
        return "neutral_extreme" if at_high or at_low else "neutral_center"
    if not above and not below:
        return "normal"
    far = seen.range_rows >= TREND_BALANCES * seen.balance_rows
    with_it = at_high if above else at_low
    return "trend" if far and with_it else "normal_variation"
