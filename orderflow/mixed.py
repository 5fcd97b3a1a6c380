"""Trades of many instruments as one set of 64-bit columns: what a burst is decoded to. Pure.

Lists of a few trades cost by the list; a burst of thousands of trades over a hundred instruments is
cheaper as one array per column. Everything else sees it as one `TradeBatch` per instrument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from orderflow.trade import Source, TradeBatch

Column: TypeAlias = NDArray[np.int64]


class MixedTrades(msgspec.Struct, gc=False):
    """Trades grouped by instrument, in the venue's order within each.

    Instrument k (`instruments[k]`, `scales[k]`) has the trades edges[k]..edges[k+1]-1 of every
    column; every instrument has at least one. The columns mean what they mean in a `TradeBatch`.
    """

    instruments: list[str]
    scales: list[int]
    edges: list[int]
    key: Column
    event_ms: Column
    price_ticks: Column
    qty_lots: Column
    side: Column
    n_trades: Column
    first_trade_id: Column
    last_trade_id: Column
    source: Source = "live"
    received_ns: int = 0

    def __len__(self) -> int:
        return len(self.key)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """(instrument, how many trades)."""
        counts = (end - start for start, end in pairwise(self.edges))
        return zip(self.instruments, counts, strict=True)

    def newest(self) -> Iterator[tuple[str, int, int]]:
        """(instrument, key, exchange time) of the last trade of each."""
        ends = np.array(self.edges[1:]) - 1
        columns = (self.key[ends].tolist(), self.event_ms[ends].tolist())
        return zip(self.instruments, *columns, strict=True)

    def batch(self, number: int) -> TradeBatch:
        """The trades of one instrument as a batch of its own."""
        i, j = self.edges[number], self.edges[number + 1]
        return TradeBatch(
            instrument=self.instruments[number],
            source=self.source,
            scale=self.scales[number],
            received_ns=self.received_ns,
            **{name: getattr(self, name)[i:j].tolist() for name in MIXED_COLUMNS},
        )

    def batches(self) -> list[TradeBatch]:
        """The same as a batch per instrument."""
        return [self.batch(number) for number in range(len(self.instruments))]


MIXED_COLUMNS = (
    "key",
    "event_ms",
    "price_ticks",
    "qty_lots",
    "side",
    "n_trades",
    "first_trade_id",
    "last_trade_id",
)
"""The parallel columns; a burst has no `seq`: ids that are consecutive say the order."""


def grouped(number: Column, columns: Sequence[Column]) -> tuple[list[int], list[int], list[Column]]:
    """Columns brought together by number, order kept within each.

    Returns the numbers that occur, the edges of their groups, and the columns.
    """
    counts = np.bincount(number)
    found = np.flatnonzero(counts)
    narrow = number.astype(np.uint16) if len(counts) <= 2**16 else number
    order = narrow.argsort(kind="stable")
    edges = [0, *counts[found].cumsum().tolist()]
    return found.tolist(), edges, [column[order] for column in columns]


def joined(parts: Sequence[MixedTrades]) -> MixedTrades:
    """Bursts, all of one source, as one in the order given."""
    if len(parts) == 1:
        return parts[0]
    places: dict[tuple[str, int], int] = {}
    numbers = []
    for part in parts:
        keys = zip(part.instruments, part.scales, strict=True)
        mapped = [places.setdefault(key, len(places)) for key in keys]
        numbers.append(np.repeat(np.array(mapped, dtype=np.int64), np.diff(part.edges)))
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in MIXED_COLUMNS]
    found, edges, sorted_columns = grouped(np.concatenate(numbers), columns)
    names = list(places)
    return msgspec.structs.replace(
        parts[0],
        instruments=[names[number][0] for number in found],
        scales=[names[number][1] for number in found],
        edges=edges,
        **dict(zip(MIXED_COLUMNS, sorted_columns, strict=True)),
    )
