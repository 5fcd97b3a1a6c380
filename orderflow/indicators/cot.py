"""Delta at the bar's extremes: what the running delta was when price last touched high and low."""

from __future__ import annotations

import msgspec

from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, RuleCard

CARD = RuleCard(
    name="cot",
    version=1,
    family="flow",
    summary=(
        "The running delta when price last touched the bar's high and low, and the delta since."
    ),
    formula=(
        "cot_high = running delta right after the last trade at the high; cot_low = the same at "
        "the low; since_high = delta - cot_high, since_low = delta - cot_low"
    ),
    units="lots, running delta from the start of the bar",
    parameters=(),
    ties="the last touch counts; null when nothing traded or venues were merged",
    edges=(
        "A bar of one price has both at its close.",
        "Merged venues have none: the order of their trades is unknown.",
    ),
    merging=(
        "Exact in time: the part that holds the extreme decides, a tie goes to the later; "
        "null over venues."
    ),
    evidence="Whether aggression went on or turned after the extreme.",
    not_evidence="The futures report of the same name; a forecast.",
    source="tradetropy 0.3.1 cot_high, cot_low (GoCharting's Commitment of Traders)",
    example=Example(
        "The six trades in one minute.",
        (
            ("cot_high", "-1"),
            ("cot_low", "-2"),
            ("since_high", "-1"),
            ("since_low", "0"),
        ),
    ),
)


class Cot(msgspec.Struct, frozen=True):
    """Running delta at the last touch of the extremes, and what came after, in lots."""

    cot_high_lots: int | None
    cot_low_lots: int | None
    since_high_lots: int | None
    since_low_lots: int | None


def cot(bar: FlowBar) -> Cot:
    """Delta at and after the extremes of one bar."""
    high, low = bar.cot_high_lots, bar.cot_low_lots
    return Cot(
        high,
        low,
        None if high is None else bar.delta_lots - high,
        None if low is None else bar.delta_lots - low,
    )
