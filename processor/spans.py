"""Sums, extremes and bursts of many spans of trades at once. Pure.

A span is a run of trades that go into one tally. All spans lie behind each other in the same
columns, so each number is one pass over the burst however many instruments it holds.
The caller has checked that all sums stay below 2^62, and those of lots below 2^53.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from orderflow.mixed import Column, MixedTrades
from processor.fold import POWERS
from processor.sweep import LEAST_LEVELS, Burst

DENSE = 16
"""Rows are counted in a dense array while it has at most this many places a trade."""
CLASSES = 64


@dataclass(slots=True)
class Ground:
    """What a span stands on, a value per span: its ladder's scale, and the delta before it."""

    row_ticks: Column
    times: Column
    per: Column
    least_kept: Column
    delta: Column


class SpanSums(NamedTuple):
    """The numbers of one span; `square_quote` = base²·lots + 2·base·first + second."""

    buy_lots: int
    lots: int
    buy_quote: int
    quote: int
    buy_trades: int
    trades: int
    base: int
    first_moment: int
    second_moment: int
    high: int
    at_high: int
    at_low: int
    least: int
    most: int


RowSum: TypeAlias = tuple[int, int, int, int, int]
"""(span, row, buy_lots, sell_lots, trades): volume of one span at one row."""
ClassSum: TypeAlias = tuple[int, int, int, int, int, int]
"""(span, size class, buy_lots, sell_lots, buy prints, sell prints)."""


class Spans:
    """Trades cut at `starts`, with the ground of each span."""

    def __init__(self, trades: MixedTrades, starts: Column, ground: Ground) -> None:
        self.trades = trades
        self.starts = starts
        self.ground = ground
        self.count = len(starts)
        self.lengths = np.diff(starts, append=len(trades))
        self.number = np.repeat(np.arange(self.count), self.lengths)
        self.turnover = trades.price_ticks * trades.qty_lots
        self.bought = trades.qty_lots * trades.side

    def _each(self, per_span: Column) -> Column:
        """A value per span as a value per trade."""
        return np.repeat(per_span, self.lengths)

    def _sum(self, column: Column) -> Column:
        return np.add.reduceat(column, self.starts)

    def sums(self) -> list[SpanSums]:
        """Every sum and extreme, a tuple per span."""
        t = self.trades
        base = np.minimum.reduceat(t.price_ticks, self.starts)
        above = t.price_ticks - self._each(base)
        first = above * t.qty_lots
        columns = (
            self._sum(self.bought),
            self._sum(t.qty_lots),
            self._sum(self.turnover * t.side),
            self._sum(self.turnover),
            self._sum(t.n_trades * t.side),
            self._sum(t.n_trades),
            base,
            self._sum(first),
            self._sum(above * first),
            *self._extremes(base),
        )
        return [SpanSums(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def _extremes(self, low: Column) -> tuple[Column, ...]:
        """The highest price, the delta at the last touch of both, and the delta's own extremes."""
        price = self.trades.price_ticks
        signed = 2 * self.bought - self.trades.qty_lots
        total = signed.cumsum()
        before = total[self.starts] - signed[self.starts]
        running = total + self._each(self.ground.delta - before)
        high = np.maximum.reduceat(price, self.starts)
        places = np.arange(len(price))
        at_high = np.maximum.reduceat(np.where(price == self._each(high), places, -1), self.starts)
        at_low = np.maximum.reduceat(np.where(price == self._each(low), places, -1), self.starts)
        least = np.minimum.reduceat(running, self.starts)
        most = np.maximum.reduceat(running, self.starts)
        return high, running[at_high], running[at_low], least, most

    def rows(self) -> Iterator[RowSum]:
        """Volume at price of every span, ascending."""
        row = self.trades.price_ticks // self._each(self.ground.row_ticks)
        lowest = np.minimum.reduceat(row, self.starts)
        width = np.maximum.reduceat(row, self.starts) - lowest + 1
        offsets = np.concatenate(([0], width.cumsum()))
        place = row + self._each(offsets[:-1] - lowest)
        found, total, buys, trades = self._counted(place, int(offsets[-1]))
        span = np.searchsorted(offsets, found, side="right") - 1
        columns = (span, found - offsets[span] + lowest[span], buys, total - buys, trades)
        return zip(*(column.tolist() for column in columns), strict=True)

    def _counted(self, place: Column, width: int) -> tuple[Column, Column, Column, Column]:
        """Places that occur, and their lots, bought lots and venue trades."""
        quantity, trades = self.trades.qty_lots, self.trades.n_trades
        found = None
        if width > DENSE * len(place):
            found, place = np.unique(place, return_inverse=True)
        total = np.bincount(place, quantity)
        used = np.flatnonzero(total)
        buys, counts = np.bincount(place, self.bought), np.bincount(place, trades)
        sums = [column[used].astype(np.int64) for column in (total, buys, counts)]
        return (used if found is None else found[used], sums[0], sums[1], sums[2])

    def classes(self) -> Iterator[ClassSum]:
        """Volume and prints of every span by size class: the bit length of the whole notional."""
        notional = self.turnover * self._each(self.ground.times) // self._each(self.ground.per)
        place = np.searchsorted(POWERS, notional, side="right") + self.number * CLASSES
        prints = np.bincount(place)
        used = np.flatnonzero(prints)
        total = np.bincount(place, self.trades.qty_lots)[used].astype(np.int64)
        buys = np.bincount(place, self.bought)[used].astype(np.int64)
        buy_prints = np.bincount(place, self.trades.side)[used].astype(np.int64)
        span, number = np.divmod(used, CLASSES)
        columns = (span, number, buys, total - buys, buy_prints, prints[used] - buy_prints)
        return zip(*(column.tolist() for column in columns), strict=True)

    def large(self) -> Iterator[tuple[int, tuple[int, int, int, int, int]]]:
        """(span, (turnover, -event_ms, price, lots, side)) of prints that may be among the
        largest of their ladder."""
        t = self.trades
        found = np.flatnonzero(self.turnover >= self._each(self.ground.least_kept))
        columns = (self.turnover, -t.event_ms, t.price_ticks, t.qty_lots, t.side)
        ranked = zip(*(column[found].tolist() for column in columns), strict=True)
        return zip(self.number[found].tolist(), ranked, strict=True)

    def bursts(self) -> list[list[Burst]]:
        """Of every span: its first burst, the sweeps between, and its last burst (if another)."""
        t = self.trades
        price, side, times = t.price_ticks, t.side, t.event_ms
        step = np.diff(price, prepend=price[:1])
        onward = np.where(side == 1, step >= 0, step <= 0)
        goes_on = onward & (np.diff(times, prepend=0) == 0) & (np.diff(side, prepend=2) == 0)
        goes_on[self.starts] = False
        begins = np.flatnonzero(~goes_on)
        ends = np.append(begins[1:], len(price)) - 1
        levels = np.add.reduceat(((step != 0) & goes_on).astype(np.int64), begins) + 1
        volume = np.add.reduceat(t.qty_lots, begins)
        first = np.searchsorted(begins, self.starts)
        last = np.append(first[1:], len(begins)) - 1
        wanted = levels >= LEAST_LEVELS
        wanted[first] = wanted[last] = True
        kept = np.flatnonzero(wanted)
        columns = (times[begins], side[begins], price[begins], price[ends], levels, volume)
        made = map(Burst, *(column[kept].tolist() for column in columns))
        found: list[list[Burst]] = [[] for _ in range(self.count)]
        for span, burst in zip(self.number[begins[kept]].tolist(), made, strict=True):
            found[span].append(burst)
        return found
