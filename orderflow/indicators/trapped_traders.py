"""Trapped traders: a stack in the outer third of a bar that closes beyond it the other way."""

from __future__ import annotations

import msgspec

from orderflow.flow import whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.diagonal_imbalance import Side, diagonal_imbalances
from orderflow.indicators.stacked_imbalance import STACK, stacked_imbalances

CARD = RuleCard(
    name="trapped_traders",
    version=1,
    family="footprint",
    summary=(
        "A stack of imbalances in the outer third of a bar that closes beyond it the other way."
    ),
    formula=(
        "trapped buyers: a stack of buy imbalances whose middle lies in the upper third of the "
        "bar's rows, and a close below the stack; trapped sellers: mirrored"
    ),
    units="rows of the footprint; lots of the trapped side",
    parameters=(
        Parameter("ratio_pct", "300", "percent", "ratio of diagonal_imbalance"),
        Parameter("minimum_lots", "median row", "lots", "minimum of diagonal_imbalance"),
        Parameter("least_rows", "3", "rows", "rows of a stack"),
    ),
    ties="a middle exactly on the third counts; a close inside the stack traps nobody",
    edges=(
        "A close inside the stack traps nobody.",
        "The middle of the stack decides on the third.",
    ),
    merging="Exact in time: computed again from the merged rows and the close.",
    evidence="Aggressors at the extreme whose prices the close has left.",
    not_evidence=(
        "That they still hold the position. A standard: no public definition is agreed "
        "on, the thresholds are this project's own."
    ),
    source="own definition of the footprint pattern; stacks by stacked_imbalance",
    example=Example(
        "The six trades in one bar, rows of 1, minimum 1 lot, stacks of 1 row.",
        (("trapped", "none"),),
    ),
)


class Trapped(msgspec.Struct, frozen=True):
    """Aggressors of `side` in rows low_row..high_row, on the wrong side of the close."""

    side: Side
    low_row: int
    high_row: int
    lots: int
    close_row: int
    close_ticks: int


def trapped_traders(
    bar: FootprintBar,
    *,
    minimum_lots: int | None = None,
    ratio_pct: int = 300,
    least_rows: int = STACK,
) -> list[Trapped]:
    """Every trapped stack of one bar, lowest first; none in an empty bar."""
    close = bar.flow.close_ticks
    if close is None or not bar.rows:
        return []
    close_row = close // whole_ratio(bar.row_size, bar.flow.tick_size)
    bottom, top = min(bar.rows), max(bar.rows)
    height = top - bottom
    imbalances = diagonal_imbalances(bar.rows, ratio_pct=ratio_pct, minimum_lots=minimum_lots)
    found = []
    for stack in stacked_imbalances(imbalances, least=least_rows):
        twice_middle = stack.low_row + stack.high_row - 2 * bottom
        if stack.side == "buy":
            trapped = 3 * twice_middle >= 4 * height and close_row < stack.low_row
        else:
            trapped = 3 * twice_middle <= 2 * height and close_row > stack.high_row
        if trapped:
            found.append(
                Trapped(stack.side, stack.low_row, stack.high_row, stack.own_lots, close_row, close)
            )
    return found
