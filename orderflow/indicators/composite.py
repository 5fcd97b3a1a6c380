"""Composite: the profile of several windows together, which need not be neighbours.

Row-wise sum on one grid. Windows may be added in any order and taken out again, so that the last
five days roll on by one addition and one removal; the same time is never counted twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from orderflow.errors import MergeError
from orderflow.flow import whole_ratio
from orderflow.footprint import FootprintBar, Row, sum_rows
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.instrument import common_step
from orderflow.timeframe import Window

CARD = RuleCard(
    name="composite",
    version=1,
    family="profile",
    summary="One profile of N windows: the last five days, or the US sessions of a week.",
    formula=(
        "Rows of the windows summed on the widest of their row sizes and the smallest common lot; "
        "POC, value area, nodes and shape are those of the sum."
    ),
    units="rows, lots; windows in ms UTC",
    parameters=(Parameter("windows", "5", "days", "how many windows are summed"),),
    ties="None of its own.",
    edges=(
        "Windows that overlap in time are refused, so nothing counts twice.",
        "Removing a window that is not part of it is refused.",
        "Order-dependent numbers (open, close, delta extremes) do not exist for it.",
    ),
    merging="Exact and in any order; venues are put beside each other before.",
    evidence="Where volume changed hands over several windows.",
    not_evidence="Time in between: gaps between the windows are not part of it.",
    source="Common practice (composite profile); defaults ours",
    example=Example(
        "The first three and the last three trades as two days, rows of 1.",
        (("windows", "2"), ("total_volume", "26"), ("poc", "101"), ("without the first", "10")),
    ),
)


class Composite(msgspec.Struct, gc=False, frozen=True):
    """Summed rows of `windows` (in time order), on one grid."""

    windows: tuple[Window, ...]
    tick_size: Decimal
    lot_size: Decimal
    row_size: Decimal
    rows: dict[int, Row]

    @property
    def total_lots(self) -> int:
        """Volume of all windows."""
        return sum(buy + sell for buy, sell, _ in self.rows.values())


def composite(bars: Iterable[FootprintBar]) -> Composite:
    """The composite of bars in any order; MergeError when two overlap in time, or without bars."""
    return merged([_alone(bar) for bar in bars])


def merged(parts: Sequence[Composite]) -> Composite:
    """Several composites as one; exact in any grouping and order."""
    if not parts:
        raise MergeError("nothing to merge")
    tick = common_step([part.tick_size for part in parts])
    lot = common_step([part.lot_size for part in parts])
    row_size = max(part.row_size for part in parts)
    same = [_on(part, lot, row_size) for part in parts]
    windows = sorted(
        (window for part in parts for window in part.windows), key=lambda w: (w.start_ms, w.end_ms)
    )
    for one, other in itertools.pairwise(windows):
        if other.start_ms < one.end_ms:
            raise MergeError("windows of a composite must not overlap")
    return Composite(tuple(windows), tick, lot, row_size, sum_rows(same))


def removed(whole: Composite, bar: FootprintBar) -> Composite:
    """`whole` without one of its windows; MergeError when the bar is no part of it."""
    window = Window(bar.flow.start_ms, bar.flow.end_ms)
    if window not in whole.windows:
        raise MergeError("the bar is no window of this composite")
    rows = dict(whole.rows)
    for row, (buy, sell, trades) in _on(_alone(bar), whole.lot_size, whole.row_size).items():
        had = rows.get(row, (0, 0, 0))
        left = (had[0] - buy, had[1] - sell, had[2] - trades)
        if min(left) < 0:
            raise MergeError("the bar holds more than the composite: it is another revision")
        if any(left):
            rows[row] = left
        else:
            rows.pop(row, None)
    kept = tuple(one for one in whole.windows if one != window)
    return msgspec.structs.replace(whole, windows=kept, rows=rows)


def _alone(bar: FootprintBar) -> Composite:
    flow = bar.flow
    window = Window(flow.start_ms, flow.end_ms)
    return Composite((window,), flow.tick_size, flow.lot_size, bar.row_size, bar.rows)


def _on(part: Composite, lot: Decimal, row_size: Decimal) -> dict[int, Row]:
    """Rows of a part in finer lots and wider rows."""
    lots = whole_ratio(part.lot_size, lot)
    ratio = whole_ratio(row_size, part.row_size)
    rows = part.rows
    if lots != 1:
        rows = {row: (buy * lots, sell * lots, n) for row, (buy, sell, n) in rows.items()}
    return sum_rows([rows], ratio)
