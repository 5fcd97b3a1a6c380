"""Stacked imbalance: neighbouring rows with a diagonal imbalance of one side."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.diagonal_imbalance import Imbalance, Side

STACK = 3

CARD = RuleCard(
    name="stacked_imbalance",
    version=1,
    family="footprint",
    summary="Neighbouring rows that all have a diagonal imbalance of one side.",
    formula="a run of at least 3 neighbouring rows that each have an imbalance of the same side",
    units="rows of the footprint; volumes in lots",
    parameters=(Parameter("least", "3", "rows", "neighbouring rows that make a stack"),),
    ties="3 is enough; a run is reported once, as long as it is",
    edges=(
        "A longer run is one stack, not several windows.",
        "An empty row has no imbalance and breaks the run.",
    ),
    merging="Exact: computed again from the merged rows.",
    evidence="One-sided aggression over several prices while the bar was made.",
    not_evidence="Support or resistance later.",
    source="freqtrade and chart-patterns (3 rows), on the diagonal rule of diagonal_imbalance",
    example=Example(
        "The six trades in one bar, rows of 1, minimum 1 lot, stacks of 1 row.",
        (("stacks", "buy 100-100, sell 103-103"),),
    ),
)


class Stack(msgspec.Struct, frozen=True):
    """Rows `low_row`..`high_row`, both included; `zero_opponents` of them met nobody."""

    side: Side
    low_row: int
    high_row: int
    own_lots: int
    opponent_lots: int
    zero_opponents: int

    @property
    def rows(self) -> int:
        """How many rows are stacked."""
        return self.high_row - self.low_row + 1


def stacked_imbalances(found: Sequence[Imbalance], *, least: int = STACK) -> list[Stack]:
    """Runs of at least `least` neighbouring rows, lowest first, buys before sells."""
    stacks = []
    for side in ("buy", "sell"):
        own = sorted((i for i in found if i.side == side), key=lambda i: i.row)
        run: list[Imbalance] = []
        for imbalance in own:
            if run and imbalance.row != run[-1].row + 1:
                stacks += _stack(run, least)
                run = []
            run.append(imbalance)
        stacks += _stack(run, least)
    return sorted(stacks, key=lambda stack: (stack.low_row, stack.side))


def _stack(run: Sequence[Imbalance], least: int) -> list[Stack]:
    if len(run) < max(1, least):
        return []
    return [
        Stack(
            run[0].side,
            run[0].row,
            run[-1].row,
            sum(i.own_lots for i in run),
            sum(i.opponent_lots for i in run),
            sum(i.zero_opponent for i in run),
        )
    ]
