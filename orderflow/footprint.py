"""FootprintBar: a FlowBar with its volume at price and its prints by size.

Rows are absolute: row r covers prices [r * row_size, (r + 1) * row_size), so bars of any venue
on the same row size merge by row number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import msgspec

from orderflow import flow
from orderflow.errors import MergeError
from orderflow.flow import FlowBar, whole_ratio
from orderflow.instrument import common_step
from orderflow.prints import Print, SizeCell, largest, sum_sizes

Row: TypeAlias = tuple[int, int, int]
"""(buy_lots, sell_lots, trades) of one row."""

Rows: TypeAlias = Mapping[int, Row]


class FootprintBar(msgspec.Struct, gc=False, frozen=True):
    """Flow of an interval and its rows; `rows` maps a row number to (buy, sell, trades).

    `sizes` maps a size class to its volume and prints; `largest`: the largest prints, largest
    first (`orderflow.prints`).
    """

    flow: FlowBar
    row_size: Decimal
    rows: dict[int, Row]
    sizes: dict[int, SizeCell] = {}
    largest: tuple[Print, ...] = ()

    def coarsened(self, row_size: Decimal) -> FootprintBar:
        """The same bar on wider rows; MergeError when they are no whole multiple."""
        if row_size == self.row_size:
            return self
        ratio = whole_ratio(row_size, self.row_size)
        return msgspec.structs.replace(self, row_size=row_size, rows=sum_rows([self.rows], ratio))

    def rescaled(self, tick_size: Decimal, lot_size: Decimal) -> FootprintBar:
        """The same bar in finer ticks and lots."""
        if tick_size == self.flow.tick_size and lot_size == self.flow.lot_size:
            return self
        ticks = whole_ratio(self.flow.tick_size, tick_size)
        lots = whole_ratio(self.flow.lot_size, lot_size)
        rows = {r: (b * lots, s * lots, n) for r, (b, s, n) in self.rows.items()}
        sizes = {k: (b * lots, s * lots, n, m) for k, (b, s, n, m) in self.sizes.items()}
        biggest = tuple(
            Print(item.event_ms, item.price_ticks * ticks, item.qty_lots * lots, item.side)
            for item in self.largest
        )
        flow_bar = self.flow.rescaled(tick_size, lot_size)
        return FootprintBar(flow_bar, self.row_size, rows, sizes, biggest)


def sum_rows(parts: Iterable[Rows], ratio: int = 1) -> dict[int, Row]:
    """Row-wise sum; `ratio` rows become one (floor nests exactly, also below zero)."""
    if ratio > 1:
        return _widened(parts, ratio)
    rest = sorted(parts, key=len)
    total = dict(rest.pop()) if rest else {}
    for rows in rest:
        for row, cell in rows.items():
            found = total.get(row)
            if found is None:
                total[row] = cell
            else:
                total[row] = (found[0] + cell[0], found[1] + cell[1], found[2] + cell[2])
    return total


def _widened(parts: Iterable[Rows], ratio: int) -> dict[int, Row]:
    total: dict[int, list[int]] = {}
    for rows in parts:
        for row, (buy, sell, trades) in rows.items():
            found = total.get(row // ratio)
            if found is None:
                total[row // ratio] = [buy, sell, trades]
            else:
                found[0] += buy
                found[1] += sell
                found[2] += trades
    return {row: (v[0], v[1], v[2]) for row, v in total.items()}


def on_one_grid(bars: Sequence[FootprintBar]) -> list[FootprintBar]:
    """All bars in common ticks and lots and on the smallest common row size."""
    if not bars:
        raise MergeError("nothing to merge")
    tick = common_step([bar.flow.tick_size for bar in bars])
    lot = common_step([bar.flow.lot_size for bar in bars])
    row_size = max(bar.row_size for bar in bars)
    return [bar.rescaled(tick, lot).coarsened(row_size) for bar in bars]


def then(bars: Sequence[FootprintBar]) -> FootprintBar:
    """Consecutive bars of one stream, in time order, as one; exact for every field."""
    return _merged(bars, flow.then)


def beside(bars: Sequence[FootprintBar]) -> FootprintBar:
    """Concurrent bars of different streams as one; see `flow.beside` for what stays exact."""
    return _merged(bars, flow.beside)


def _merged(
    bars: Sequence[FootprintBar], join: Callable[[FlowBar, FlowBar], FlowBar]
) -> FootprintBar:
    same = on_one_grid(bars)
    total = same[0].flow
    for bar in same[1:]:
        total = join(total, bar.flow)
    return FootprintBar(
        total,
        same[0].row_size,
        sum_rows(bar.rows for bar in same),
        sum_sizes(bar.sizes for bar in same),
        largest(bar.largest for bar in same),
    )
