"""Trades as columns: one integer matrix, addressed by logical row numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Row = tuple[int, int, int, int, int, int, int, int, int, int]
"""EMIT, EVENT, PRICE, QTY, BUYER, KEY, FIRST, LAST, SEQ, KIND."""

EMIT, EVENT, PRICE, QTY, BUYER, KEY, FIRST, LAST, SEQ, KIND = range(10)
WIDTH = 10

MARKET_TRADE, ADL, BLOCK, RPI, INSURANCE_FUND = range(5)
"""Values of KIND. Block trades and the non-market futures kinds belong in no bar."""
COUNTED = (MARKET_TRADE, RPI)


class Columns:
    """A growing matrix of trades in emission order.

    EMIT is when the venue sends it (`E`, `ts`), EVENT when it matched (`T`), both in ms. Row
    numbers stay valid when old rows are dropped; dropped rows are left out of what is read.
    """

    def __init__(self, data: Ints | None = None) -> None:
        self._store: Ints = np.zeros((WIDTH, 0), np.int64) if data is None else data
        self._count: int = self._store.shape[1]
        self.dropped = 0
        # Rows at which the venue began to count anew; a market that grows never does.
        self._numberings = (np.flatnonzero(np.diff(self._store[KEY]) < 0) + 1).tolist()

    def __len__(self) -> int:
        """Logical length: the number of the row after the last."""
        return self.dropped + self._count

    def column(self, index: int, start: int | None = None, stop: int | None = None) -> Ints:
        """A view of one column over logical rows [start, stop)."""
        low = 0 if start is None else max(0, start - self.dropped)
        high = self._count if stop is None else min(self._count, max(0, stop - self.dropped))
        return self._store[index, low:high]

    def matrix(self, start: int = 0, stop: int | None = None) -> Ints:
        """A view of all columns over logical rows [start, stop)."""
        low = max(0, start - self.dropped)
        high = self._count if stop is None else min(self._count, max(0, stop - self.dropped))
        return self._store[:, low:high]

    def rows(self, start: int, stop: int) -> list[Row]:
        """Logical rows [start, stop) as tuples of Python integers."""
        if start >= stop:
            return []
        return list(zip(*self.matrix(start, stop).tolist(), strict=True))

    def find(self, index: int, value: int) -> int:
        """The first logical row whose sorted column is at least `value`."""
        return self.dropped + int(self._store[index, : self._count].searchsorted(value))

    def find_id(self, ident: int, stop: int) -> int:
        """The first row before `stop` of at least this id, in the newest numbering before it."""
        start = max((row for row in self._numberings if row < stop), default=0)
        keys = self.column(KEY, start, stop)
        return max(start, self.dropped) + int(keys.searchsorted(ident))

    def append(self, data: Ints, keep_rows: int | None = None) -> None:
        """Add rows; with `keep_rows`, drop the oldest once there are twice as many."""
        added = data.shape[1]
        if keep_rows is not None and self._count > 2 * keep_rows:
            excess = self._count - keep_rows
            self._store[:, :keep_rows] = self._store[:, excess : self._count].copy()
            self._count -= excess
            self.dropped += excess
        if self._count + added > self._store.shape[1]:
            room = max(1024, 2 * (self._count + added))
            store = np.zeros((WIDTH, room), np.int64)
            store[:, : self._count] = self._store[:, : self._count]
            self._store = store
        self._store[:, self._count : self._count + added] = data
        self._count += added


def aggregated(data: Ints, first_key: int) -> Ints:
    """Raw trades as aggregates: consecutive ids of one price, side and millisecond are one row.

    `a` counts up from `first_key`; FIRST and LAST are the merged ids; EMIT is the last one's.
    Rows that no bar may count (ADL, insurance fund, block) are left out, as the venue does.
    """
    data = data[:, np.isin(data[KIND], COUNTED)]
    if not data.shape[1]:
        return data
    same = np.ones(data.shape[1] - 1, bool)
    for index in (EVENT, PRICE, BUYER, KIND):
        same &= data[index, 1:] == data[index, :-1]
    same &= data[FIRST, 1:] == data[LAST, :-1] + 1
    starts = np.concatenate(([0], np.flatnonzero(~same) + 1))
    ends = np.concatenate((starts[1:], [data.shape[1]])) - 1
    rows = data[:, starts].copy()
    rows[QTY] = np.add.reduceat(data[QTY], starts)
    rows[EMIT] = data[EMIT, ends]
    rows[LAST] = data[LAST, ends]
    rows[KEY] = first_key + np.arange(len(starts))
    return rows


def split(data: Ints, lot: int = 1) -> Ints:
    """Aggregates as raw trades with the true ids and exact sums.

    A tape of aggregates does not say how a quantity was split, so each aggregate is cut in equal
    whole lots and the last of its trades takes the rest.
    """
    counts = data[LAST] - data[FIRST] + 1
    owner = np.repeat(np.arange(data.shape[1]), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = data[:, owner]
    rows[KEY] = rows[FIRST] = rows[LAST] = data[FIRST, owner] + place
    share = data[QTY] // lot // counts * lot
    rows[QTY] = share[owner]
    last = np.cumsum(counts) - 1
    rows[QTY, last] = data[QTY] - share * (counts - 1)
    return rows


def in_order(data: Ints) -> Ints:
    """Rows by event time (stable), with emission times that never run backwards."""
    if np.any(np.diff(data[EVENT]) < 0):
        data = data[:, np.argsort(data[EVENT], kind="stable")]
    data[EMIT] = np.maximum.accumulate(np.maximum(data[EMIT], data[EVENT]))
    return data


def joined(parts: Iterable[Ints]) -> Ints:
    """Several stretches of one market as one; ids seen before are dropped."""
    parts = sorted((part for part in parts if part.shape[1]), key=lambda part: int(part[EVENT, 0]))
    if not parts:
        return np.zeros((WIDTH, 0), np.int64)
    data = np.concatenate(parts, axis=1)
    if len(parts) > 1:
        _, first = np.unique(data[KEY], return_index=True)
        data = data[:, np.sort(first)]
    return in_order(data)
