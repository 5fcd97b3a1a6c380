"""Sums, extremes and bursts of many spans of trades at once. Pure.

A span is a run of trades that go into one tally. All spans lie behind each other in the same
columns, so each number is one pass over the burst however many instruments it holds.
The caller has checked that all sums stay below 2^62, and those of lots below 2^53.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from orderflow.mixed import Column, MixedTrades
from processor.crowd import Block
from processor.fold import POWERS
from processor.sweep import LEAST_LEVELS, Burst

DENSE = 16
"""Rows are counted in a dense array while it has at most this many places a trade."""


@dataclass(slots=True)
class Ground:
    """What a span stands on, a value per span: its ladder's scale, and what it keeps."""

    row_ticks: Column
    times: Column
    per: Column
    least_kept: Column


def steps(column: Column, first: int) -> Column:
    """What each value is above the one before, and `first`. np.diff with a value in front of the
    column is three times as dear, which counts where a batch is small."""
    found = np.empty_like(column)
    found[:1] = first
    np.subtract(column[1:], column[:-1], out=found[1:])
    return found


SpanSums: TypeAlias = tuple[int, ...]
"""The numbers of one span, as `Tally.take` reads them."""


class Spans:
    """Trades cut at `starts`, with the ground of each span."""

    def __init__(self, trades: MixedTrades, starts: Column, ground: Ground) -> None:
        self.trades = trades
        self.starts = starts
        self.ground = ground
        self.count = len(starts)
        self.lengths = np.empty_like(starts)
        np.subtract(starts[1:], starts[:-1], out=self.lengths[:-1])
        self.lengths[-1] = len(trades) - starts[-1]
        self.number = np.repeat(np.arange(self.count), self.lengths)
        self.turnover = trades.price_ticks * trades.qty_lots
        self.bought = trades.qty_lots * trades.side

    def _each(self, per_span: Column) -> Column:
        """A value per span as a value per trade."""
        return np.repeat(per_span, self.lengths)

    def _sum(self, column: Column) -> Column:
        return np.add.reduceat(column, self.starts)

    def firsts(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Of the first trade of every span: key, time, price, signed lots and trade id."""
        t, at = self.trades, self.starts
        signed = 2 * self.bought[at] - t.qty_lots[at]
        columns = (t.key[at], t.event_ms[at], t.price_ticks[at], signed, t.first_trade_id[at])
        return zip(*(column.tolist() for column in columns), strict=True)

    def lasts(self) -> Iterator[tuple[int, int, int, int]]:
        """Of the last trade of every span: key, time, price and trade id."""
        t, at = self.trades, self.starts + self.lengths - 1
        columns = (t.key[at], t.event_ms[at], t.price_ticks[at], t.last_trade_id[at])
        return zip(*(column.tolist() for column in columns), strict=True)

    def sums(self) -> Iterator[SpanSums]:
        """Every sum and extreme, a tuple per span."""
        t = self.trades
        base = np.minimum.reduceat(t.price_ticks, self.starts)
        above = t.price_ticks - self._each(base)
        first = above * t.qty_lots
        columns = (
            self.lengths,
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
        return zip(*(column.tolist() for column in columns), strict=True)

    def _extremes(self, low: Column) -> tuple[Column, ...]:
        """The highest price, and what the span alone adds to the delta: at the last touch of the
        highest and of the lowest price, at least and at most."""
        price = self.trades.price_ticks
        signed = 2 * self.bought - self.trades.qty_lots
        total = signed.cumsum()
        before = total[self.starts] - signed[self.starts]
        high = np.maximum.reduceat(price, self.starts)
        at_high = self._last_of(price == self._each(high))
        at_low = self._last_of(price == self._each(low))
        least = np.minimum.reduceat(total, self.starts)
        most = np.maximum.reduceat(total, self.starts)
        return (
            high,
            total[at_high] - before,
            total[at_low] - before,
            least - before,
            most - before,
        )

    def _last_of(self, wanted: NDArray[np.bool_]) -> Column:
        """The last place in every span where `wanted` holds; it does at least once."""
        found = np.flatnonzero(wanted)
        return found[np.searchsorted(found, self.starts + self.lengths) - 1]

    def rows(self) -> Iterator[list[list[int]]]:
        """Of every span its volume at price: (row, buy_lots, sell_lots, trades), ascending."""
        row = self.trades.price_ticks // self._each(self.ground.row_ticks)
        lowest = np.minimum.reduceat(row, self.starts)
        width = np.maximum.reduceat(row, self.starts) - lowest + 1
        offsets = np.concatenate(([0], width.cumsum()))
        place = row + self._each(offsets[:-1] - lowest)
        found, total, buys, trades = self._counted(place, int(offsets[-1]))
        edges = np.searchsorted(found, offsets)
        number = found + np.repeat(lowest - offsets[:-1], np.diff(edges))
        rows = np.stack((number, buys, total - buys, trades), axis=1).tolist()
        return (rows[start:stop] for start, stop in pairwise(edges.tolist()))

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

    def classes(self) -> Iterator[tuple[int, Block]]:
        """Of every span its lowest size class (the bit length of the whole notional), and from it
        on by class: buy lots, sell lots, buy prints and sell prints."""
        t = self.trades
        notional = self.turnover * self._each(self.ground.times) // self._each(self.ground.per)
        number = np.searchsorted(POWERS, notional, side="right")
        lowest = np.minimum.reduceat(number, self.starts)
        width = np.maximum.reduceat(number, self.starts) - lowest + 1
        offsets = np.concatenate(([0], width.cumsum()))
        place = number + self._each(offsets[:-1] - lowest)
        sums = np.empty((int(offsets[-1]), 4), dtype=np.int64)
        sold = t.qty_lots - self.bought
        for column, weights in enumerate((self.bought, sold, t.side, 1 - t.side)):
            sums[:, column] = np.bincount(place, weights)
        cuts = (sums[start:stop] for start, stop in pairwise(offsets.tolist()))
        return zip(lowest.tolist(), cuts, strict=True)

    def large(self) -> Iterator[tuple[int, Block]]:
        """(span, prints as a `Crowd` takes them) of prints that may be among the largest of their
        ladder."""
        t = self.trades
        found = np.flatnonzero(self.turnover >= self._each(self.ground.least_kept))
        columns = (self.turnover, -t.event_ms, t.price_ticks, t.qty_lots, t.side)
        prints = np.stack([column[found] for column in columns], axis=1)
        owners = self.number[found]
        begins = np.flatnonzero(steps(owners, 1))
        edges = [*begins.tolist(), len(found)]
        for owner, (start, stop) in zip(owners[begins].tolist(), pairwise(edges), strict=True):
            yield owner, prints[start:stop]

    def bursts(self) -> list[list[Burst]]:
        """Of every span: its first burst, the sweeps between, and its last burst (if another)."""
        t = self.trades
        price, side, times = t.price_ticks, t.side, t.event_ms
        step = steps(price, 0)
        onward = np.where(side == 1, step >= 0, step <= 0)
        goes_on = onward & (steps(times, 1) == 0) & (steps(side, 1) == 0)
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
