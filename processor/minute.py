"""One hot minute of one instrument: cells of 5 s, each exact in any order of delivery. Pure.

On a consecutive stream a cell holds one Tally per run of ids, sorted by id.
On an unordered stream it holds its trades in their natural order (time, sequence, sweep) for as
long as ids are remembered, because only then a late trade can be put in its place. Trades without
a sequence keep the order of their arrival. Rows need no order and are kept at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from orderflow import flow
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.instrument import Instrument
from orderflow.prints import QuoteUnit, quote_unit
from orderflow.timeframe import CELL_MS, MINUTE_MS
from orderflow.trade import TradeBatch
from processor.fold import WORTHWHILE, piled
from processor.ladder import Ladder
from processor.loose import merge
from processor.sweep import Edges, sweeps_of
from processor.tally import Tally

Loose: TypeAlias = tuple[int, int, int, int, int, int, int]
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
            bar = _joined(self.folded().tallies, instrument, start_ms)
            known = self.__dict__["known"] = content, bar
        return known[1]

    def folded(self) -> Cell:
        """The same with its loose trades as a tally, made anew only after trades were added."""
        if not self.loose:
            return self
        known: tuple[int, Cell] | None = self.__dict__.get("whole")
        if known is None or known[0] != len(self.loose):
            cell = Cell([*self.tallies, _folded(self.loose)], [])
            known = self.__dict__["whole"] = len(self.loose), cell
        return known[1]

    def saved(self) -> msgspec.Raw:
        """As JSON; that of loose trades is kept while none is added, for it is asked for every
        second and most cells are over."""
        if not self.loose:
            return msgspec.Raw(msgspec.json.encode(self))
        known: tuple[int, msgspec.Raw] | None = self.__dict__.get("json")
        if known is None or known[0] != len(self.loose):
            known = len(self.loose), msgspec.Raw(msgspec.json.encode(self))
            self.__dict__["json"] = known
        return known[1]


class SavedMinute(msgspec.Struct):
    """A minute on its way to the store: reads back as a `Minute`."""

    start_ms: int
    ladder: Ladder
    cells: dict[int, msgspec.Raw]
    touched: int
    arrived: int


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
        if j - i < WORTHWHILE or not piled(self.ladder, batch, i, j):
            self.ladder.add_each(batch, i, j)
        k = 0
        rows = self._loose(batch, i, j)
        while k < len(rows):
            start = rows[k][0] // CELL_MS * CELL_MS
            if start not in self.cells:
                self.cells[start] = Cell([], [])
            end = bisect_left(rows, (start + CELL_MS,), k)
            merge(self.cells[start].loose, rows[k:end], _itself)
            k = end
        self.touched += 1

    def _loose(self, batch: TradeBatch, i: int, j: int) -> list[Loose]:
        """Trades in their natural order; those without a sequence in that of their arrival."""
        prices, sides, seqs = batch.price_ticks[i:j], batch.side[i:j], batch.seq[i:j]
        sweeps = [price if side else -price for price, side in zip(prices, sides, strict=True)]
        arrived = range(self.arrived + 1, self.arrived + j - i + 1)
        self.arrived += j - i
        if not seqs:
            seqs, sweeps = [0] * (j - i), list(arrived)
        elif not all(seqs):
            numbered = zip(seqs, sweeps, arrived, strict=True)
            sweeps = [sweep if seq else number for seq, sweep, number in numbered]
        columns = (batch.event_ms[i:j], seqs, sweeps, batch.key[i:j], prices, batch.qty_lots[i:j])
        return sorted(zip(*columns, sides, strict=True))

    def fold_before(self, event_ms: int) -> None:
        """Turn loose trades of cells that ended before `event_ms` into tallies."""
        for start, cell in self.cells.items():
            if cell.loose and start + CELL_MS <= event_ms:
                self.cells[start] = cell.folded()

    def saved(self, horizon_ms: int) -> SavedMinute:
        """The minute as it can be read back, trades of cells before the horizon folded."""
        cells = {
            start: (cell.folded() if start + CELL_MS <= horizon_ms else cell).saved()
            for start, cell in self.cells.items()
        }
        return SavedMinute(self.start_ms, self.ladder, cells, self.touched, self.arrived)

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
            cell.__dict__.clear()
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


def loose_signs(
    minutes: Iterable[Minute], from_ms: int = 0
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Loose trades, without their prices, of cells that end later than `from_ms`."""
    for minute in minutes:
        for start, cell in minute.cells.items():
            if start + CELL_MS > from_ms:
                for ms, seq, sweep, key, _, lots, side in cell.loose:
                    yield ms, seq, sweep, key, lots, side


def _itself(one: Loose) -> Loose:
    return one


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
