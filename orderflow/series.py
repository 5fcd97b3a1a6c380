"""A series: bars of one stream in time order, none overlapping, counted in one tick and lot.

What is summed over a series counts every trade once: a bar given twice is an error, not twice the
delta.
"""

from __future__ import annotations

from collections.abc import Sequence

from orderflow import footprint
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.instrument import common_step


def series(bars: Sequence[FlowBar]) -> list[FlowBar]:
    """The bars on one scale; MergeError when they overlap or are out of order."""
    _refuse_overlap(bars)
    if len({(bar.tick_size, bar.lot_size) for bar in bars}) <= 1:
        return list(bars)
    tick = common_step(list({bar.tick_size for bar in bars}))
    lot = common_step(list({bar.lot_size for bar in bars}))
    return [bar.rescaled(tick, lot) for bar in bars]


def footprints(bars: Sequence[FootprintBar]) -> list[FootprintBar]:
    """The bars on one scale and grid; MergeError when they overlap or are out of order."""
    _refuse_overlap([bar.flow for bar in bars])
    steps = {(bar.flow.tick_size, bar.flow.lot_size, bar.row_size) for bar in bars}
    return list(bars) if len(steps) <= 1 else footprint.on_one_grid(bars)


def with_current(
    context: Sequence[FootprintBar], current: FootprintBar
) -> tuple[list[FootprintBar], FootprintBar]:
    """Earlier bars and the current one on one grid; MergeError when a bar isn't earlier."""
    together = footprints([*context, current])
    return together[:-1], together[-1]


def step_ms(bars: Sequence[FlowBar]) -> int:
    """The one length of the bars, all on its grid; 0 of none; MergeError when they differ."""
    lengths = {bar.end_ms - bar.start_ms for bar in bars}
    if len(lengths) > 1 or any(bar.start_ms % min(lengths) for bar in bars):
        raise MergeError("these bars must be of one length, on its grid")
    return lengths.pop() if lengths else 0


def _refuse_overlap(bars: Sequence[FlowBar]) -> None:
    end = None
    for bar in bars:
        if end is not None and bar.start_ms < end:
            raise MergeError("bars must follow each other without overlap; give each bar once")
        end = bar.end_ms
