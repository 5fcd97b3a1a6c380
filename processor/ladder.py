"""Ladder: volume at price and prints by size of one minute. Needs no order. Pure."""

from __future__ import annotations

from heapq import heappush, heapreplace
from typing import Any

import msgspec

from orderflow.footprint import Row
from orderflow.prints import MOST_LARGEST, Print, QuoteUnit, SizeCell, kept
from orderflow.trade import TradeBatch
from processor.crowd import Block, Crowd

Ranked = tuple[int, int, int, int, int]
"""(turnover, -event_ms, price_ticks, qty_lots, side): the least is let go first."""


class Ladder(msgspec.Struct, omit_defaults=True):
    """Rows, size classes and largest prints of trades in any order.

    `rows`: row to [buy_lots, sell_lots, trades]; `sizes`: class to [buy_lots, sell_lots, buy
    prints, sell prints]; `largest` is a heap. `crowd`: a `Crowd` of what belongs into both and is
    not there yet; `settle` before they are read.
    """

    row_ticks: int
    unit: QuoteUnit
    rows: dict[int, list[int]] = {}
    sizes: dict[int, list[int]] = {}
    largest: list[Ranked] = []
    crowd: Any = None

    @property
    def least_kept(self) -> int:
        """The turnover below which no print is kept; -1 while there is room."""
        return self.largest[0][0] if len(self.largest) == MOST_LARGEST else -1

    @property
    def least_offered(self) -> int:
        """The same for prints that are offered in columns."""
        crowd: Crowd | None = self.crowd
        return self.least_kept if crowd is None else max(self.least_kept, crowd.least)

    def add_sizes(self, lowest: int, sizes: Block) -> None:
        """Sums of one burst by size class, as a `Crowd` takes them."""
        if self.crowd is None:
            self.crowd = Crowd()
        if self.crowd.add_sizes(lowest, sizes):
            self.settle()

    def offer(self, prints: Block) -> None:
        """Prints of one burst that may be among the largest, as a `Crowd` takes them."""
        if self.crowd is None:
            self.crowd = Crowd()
        self.crowd.offer(prints)

    def settle(self) -> None:
        """What bursts brought, into classes and prints."""
        crowd: Crowd | None = self.crowd
        if crowd is None:
            return
        self.crowd = None
        for number, more in crowd.classes():
            size = self.sizes.get(number)
            if size is None:
                self.sizes[number] = more
            else:
                self.sizes[number] = [a + b for a, b in zip(size, more, strict=True)]
        ranked = crowd.ranked()
        if self.largest or len(ranked) > MOST_LARGEST:
            ranked = sorted([*self.largest, *ranked])[-MOST_LARGEST:]
        else:
            ranked.sort()
        self.largest = ranked

    def keep(self, item: Ranked) -> int:
        """Take a print in if it is among the largest; returns the new `least_kept`."""
        if len(self.largest) < MOST_LARGEST:
            heappush(self.largest, item)
        elif item > self.largest[0]:
            heapreplace(self.largest, item)
        return self.least_kept

    def add_each(self, batch: TradeBatch, i: int, j: int) -> None:
        """Apply trades i..j-1 of an unordered stream; `Tally.add` has the same inlined."""
        rows, sizes, row_ticks = self.rows, self.sizes, self.row_ticks
        times, per, least = self.unit.times, self.unit.per, self.least_kept
        columns = (batch.price_ticks[i:j], batch.qty_lots[i:j], batch.side[i:j])
        for event_ms, price, quantity, side in zip(batch.event_ms[i:j], *columns, strict=True):
            turnover = price * quantity
            number = price // row_ticks
            row = rows[number] if number in rows else rows.setdefault(number, [0, 0, 0])
            number = (turnover * times // per).bit_length()
            size = sizes[number] if number in sizes else sizes.setdefault(number, [0, 0, 0, 0])
            row[2] += 1
            if side:
                row[0] += quantity
                size[0] += quantity
                size[2] += 1
            else:
                row[1] += quantity
                size[1] += quantity
                size[3] += 1
            if turnover >= least:
                least = self.keep((turnover, -event_ms, price, quantity, side))

    def packed_rows(self) -> dict[int, Row]:
        """Rows as a bar holds them."""
        return {row: (v[0], v[1], v[2]) for row, v in self.rows.items()}

    def packed_sizes(self) -> dict[int, SizeCell]:
        """Size classes as a bar holds them, ascending."""
        self.settle()
        return {number: (v[0], v[1], v[2], v[3]) for number, v in sorted(self.sizes.items())}

    def prints(self) -> tuple[Print, ...]:
        """The largest prints that a bar keeps, largest first."""
        self.settle()
        count = sum(size[2] + size[3] for size in self.sizes.values())
        ranked = sorted(self.largest, reverse=True)[: kept(count)]
        return tuple(Print(-later, price, lots, side) for _, later, price, lots, side in ranked)

    def rescale(self, ticks: int, lots: int, unit: QuoteUnit) -> None:
        """Count in finer steps; rows keep their prices, classes their notionals."""
        self.settle()
        self.row_ticks *= ticks
        self.unit = unit
        for row in self.rows.values():
            row[0] *= lots
            row[1] *= lots
        for size in self.sizes.values():
            size[0] *= lots
            size[1] *= lots
        self.largest = [
            (turnover * ticks * lots, later, price * ticks, quantity * lots, side)
            for turnover, later, price, quantity, side in self.largest
        ]
