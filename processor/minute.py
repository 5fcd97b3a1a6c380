"""One hot minute of one instrument: cells of 5 s, each exact in any order of delivery. Pure.

On a consecutive stream a cell holds one Tally per run of ids, sorted by id.
On an unordered stream it holds its trades in their natural order (time, sequence, sweep) for as
long as ids are remembered, because only then a late trade can be put in its place. Trades without
a sequence keep the order of their arrival. Rows need no order and are kept at once.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

import msgspec

from orderflow import flow
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.instrument import Instrument
from orderflow.prints import QuoteUnit, quote_unit
from orderflow.timeframe import CELL_MS, MINUTE_MS
from orderflow.trade import TradeBatch
from processor.ladder import Ladder
from processor.sweep import Edges, sweeps_of
from processor.tally import Tally

Loose = tuple[int, int, int, int, int, int, int]
"""(event_ms, seq, sweep order of the price, key, price_ticks, qty_lots, side) of a trade."""


class Cell(msgspec.Struct, dict=True):
    """5 seconds: `tallies` in id order; `loose` are trades not yet folded into a tally."""

    tallies: list[Tally] = []
    loose: list[Loose] = []

    def bar(self, instrument: Instrument, start_ms: int) -> FlowBar | None:
        """The 5 s bar. It is kept while no trade is added, beside the fields and so never saved:
        most cells of an open minute are over and are looked at four times a second."""
        records = len(self.loose) + sum(tally.records for tally in self.tallies)
        content = (records, instrument.tick_size, instrument.lot_size)
        known: tuple[object, FlowBar | None] = self.__dict__.get("known", (None, None))
        if known[0] != content:
            tallies = [*self.tallies, _folded(self.loose)] if self.loose else self.tallies
            known = self.__dict__["known"] = content, _joined(tallies, instrument, start_ms)
        return known[1]


class Minute(msgspec.Struct):
    """Volume at price and cells of one minute; `touched` grows with every change."""

    start_ms: int
    ladder: Ladder
    cells: dict[int, Cell] = {}
    touched: int = 0
    arrived: int = 0

    def add_run(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades i..j-1: consecutive ids, all of one 5 s cell of this minute."""
        self.tally_at(batch.event_ms[i], batch.key[i]).add(batch, i, j, self.ladder)
        self.touched += 1

    def tally_at(self, event_ms: int, first: int) -> Tally:
        """The tally that a run of ids from `first` on goes on with, or a new one in its place."""
        start = event_ms // CELL_MS * CELL_MS
        cell = self.cells.get(start)
        if cell is None:
            cell = self.cells[start] = Cell([], [])
        tallies = cell.tallies
        if tallies and tallies[-1].last_key + 1 == first:
            return tallies[-1]
        place = bisect_right(tallies, first, key=_first_key)
        if place and tallies[place - 1].last_key + 1 == first:
            return tallies[place - 1]
        tally = Tally(first, first)
        tallies.insert(place, tally)
        return tally

    def add_loose(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades i..j-1 of an unordered stream, of this minute, in any order."""
        for k in range(i, j):
            event_ms, price, lots = batch.event_ms[k], batch.price_ticks[k], batch.qty_lots[k]
            side = batch.side[k]
            self.ladder.add(event_ms, price, lots, side)
            start = event_ms // CELL_MS * CELL_MS
            cell = self.cells.get(start)
            if cell is None:
                cell = self.cells[start] = Cell([], [])
            seq = batch.seq[k] if batch.seq else 0
            self.arrived += 1
            sweep = (price if side else -price) if seq else self.arrived
            insort(cell.loose, (event_ms, seq, sweep, batch.key[k], price, lots, side))
        self.touched += 1

    def fold_before(self, event_ms: int) -> None:
        """Turn loose trades of cells that ended before `event_ms` into tallies."""
        for start, cell in self.cells.items():
            if cell.loose and start + CELL_MS <= event_ms:
                cell.tallies.append(_folded(cell.loose))
                cell.loose = []

    def cell_bars(self, instrument: Instrument) -> list[FlowBar]:
        """The 5 s bars that saw trades, in time order."""
        bars = (self.cells[start].bar(instrument, start) for start in sorted(self.cells))
        return [bar for bar in bars if bar is not None]

    def bar(self, instrument: Instrument) -> FootprintBar:
        """The minute as a footprint bar; empty when nothing traded."""
        total = empty_flow(instrument, self.start_ms, self.start_ms + MINUTE_MS)
        for bar in self.cell_bars(instrument):
            total = flow.then(total, bar)
        ladder = self.ladder
        return FootprintBar(
            total,
            plain(ladder.row_ticks * instrument.tick_size),
            ladder.packed_rows(),
            ladder.packed_sizes(),
            ladder.prints(),
        )

    def rescale(self, ticks: int, lots: int, instrument: Instrument) -> None:
        """Count in finer steps, those of `instrument`; rows keep their prices."""
        unit = quote_unit(instrument.tick_size, instrument.lot_size)
        self.ladder.rescale(ticks, lots, unit)
        for cell in self.cells.values():
            for tally in cell.tallies:
                tally.rescale(ticks, lots)
            cell.loose = [
                (
                    ms,
                    seq,
                    sweep * ticks if seq else sweep,
                    key,
                    price * ticks,
                    quantity * lots,
                    side,
                )
                for ms, seq, sweep, key, price, quantity, side in cell.loose
            ]


def fresh_minute(instrument: Instrument, start_ms: int, row_ticks: int) -> Minute:
    """A minute without trades."""
    unit = quote_unit(instrument.tick_size, instrument.lot_size)
    return Minute(start_ms, Ladder(row_ticks, unit, {}, {}, []), {})


def empty_flow(instrument: Instrument, start_ms: int, end_ms: int) -> FlowBar:
    """The neutral bar of an interval."""
    return FlowBar(start_ms, end_ms, instrument.tick_size, instrument.lot_size)


def _first_key(tally: Tally) -> int:
    return tally.first_key


def _joined(tallies: Sequence[Tally], instrument: Instrument, start: int) -> FlowBar | None:
    """Tallies in id order as one bar."""
    total: FlowBar | None = None
    edges = []
    last_key: int | None = None
    for tally in tallies:
        bar = tally.bar(instrument, start, start + CELL_MS)
        total = bar if total is None else flow.then(total, bar)
        follows = last_key is not None and last_key + 1 == tally.first_key
        edges.append(Edges(follows, tally.inside, tally.head, tally.tail))
        last_key = tally.last_key
    if total is None:
        return None
    swept = sweeps_of(edges)
    return msgspec.structs.replace(
        total,
        sweeps=swept.count,
        sweep_buy_lots=swept.buy_lots,
        sweep_sell_lots=swept.sell_lots,
    )


def _folded(loose: list[Loose]) -> Tally:
    """Loose trades, which are sorted, as one tally."""
    columns = list(zip(*loose, strict=True))
    batch = TradeBatch(
        instrument="",
        key=list(columns[3]),
        event_ms=list(columns[0]),
        price_ticks=list(columns[4]),
        qty_lots=list(columns[5]),
        side=list(columns[6]),
    )
    tally = Tally(batch.key[0], batch.key[-1])
    tally.add(batch, 0, len(batch), Ladder(1, QuoteUnit(1, 1), {}, {}, []))
    return tally


def leaves(event_ms: list[int], i: int, j: int, start_ms: int, end_ms: int) -> int:
    """First place from i on whose time is outside [start_ms, end_ms), at most j."""
    span = event_ms[i:j]
    if min(span) >= start_ms and max(span) < end_ms:
        return j
    return next(k for k in range(i, j) if not start_ms <= event_ms[k] < end_ms)
