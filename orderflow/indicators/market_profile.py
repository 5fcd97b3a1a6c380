"""Time at price (TPO), single prints and the initial balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orderflow.indicators.card import Example, Parameter, RuleCard

CARD = RuleCard(
    name="market_profile",
    version=1,
    family="profile",
    summary="Time at price: brackets per row, single prints and the initial balance.",
    formula=(
        "TPO of a row = number of brackets whose range touches it; single prints = rows with one; "
        "initial balance = range of the brackets that begin in the first hour"
    ),
    units="rows; brackets of 30 minutes by default",
    parameters=(Parameter("bracket_minutes", "30", "minutes", "length of a bracket"),),
    ties="the first hour is half open: a bracket that begins at its end is outside",
    edges=("Without a bracket there is no initial balance.",),
    merging="Exact: the masks of brackets combine by OR.",
    evidence="How long the market stayed at a price, whatever the volume.",
    not_evidence="Volume at price.",
    source="Dalton, Mind Over Markets, 2013; wickra 2.0",
    example=Example(
        "One trade every 30 minutes, in the order of the table, rows of 1.",
        (("tpo", "100:2 101:2 102:1 103:1"), ("single_prints", "102, 103")),
    ),
)

Range = tuple[int, int]
"""(lowest row, highest row) of a bracket."""


def tpo(brackets: Sequence[Range]) -> dict[int, int]:
    """Brackets per row, lowest row first."""
    counts: Counter[int] = Counter()
    for low, high in brackets:
        counts.update(range(low, high + 1))
    return dict(sorted(counts.items()))


def single_prints(brackets: Sequence[Range]) -> list[int]:
    """Rows that one bracket alone touched."""
    return [row for row, count in tpo(brackets).items() if count == 1]


def initial_balance(brackets: Sequence[Range], bracket_minutes: int = 30) -> Range | None:
    """Range of the first hour; None without a bracket."""
    first = brackets[: -(-60 // bracket_minutes)]
    if not first:
        return None
    return min(low for low, _ in first), max(high for _, high in first)
