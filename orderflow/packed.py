"""Closed footprint bars of one instrument, packed to a fraction of their size as objects.

A block holds consecutive bars on one grid, an hour of minutes for example. Rows are columns of
variable-length whole numbers, flows are columns (orderflow/columns.py); both are exact and give
back equal bars. Blocks merge without making objects: a day takes about a millisecond.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from orderflow import footprint, varint
from orderflow.columns import (
    NAME_FIELDS,
    SMALL,
    flows_from_bytes,
    flows_to_bytes,
    spans_from_bytes,
)
from orderflow.errors import MergeError
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar, Row, sum_rows
from orderflow.instrument import common_step
from orderflow.print_columns import (
    prints_from_bytes,
    prints_to_bytes,
    sizes_from_bytes,
    sizes_to_bytes,
)
from orderflow.squeeze import squeezed

Table: TypeAlias = NDArray[np.int64]
"""Four columns: row, buy_lots, sell_lots, trades."""

DENSE_ROWS = 1 << 16
"""Sums go into a plain array while the rows span no more than this, or four times their number."""

LAST_READ = 4
"""Blocks whose single bars stay decoded: where one window ends in an hour, a longer one begins."""


class Columns(NamedTuple):
    """Packed columns of bars; the rows of single bars are compressed, those of totals are not."""

    flows: bytes
    rows: bytes
    sizes: bytes
    prints: bytes


class PackedBars(msgspec.Struct, gc=False, frozen=True):
    """Consecutive bars [start_ms, end_ms) of one grid and instrument.

    `counts`: rows of each bar. `volume_lots`: of all bars; tells whether sums fit in 63 bits.
    `bars`: columns of the single bars; `total`: the same of all merged into one, so that long
    windows need not touch the single ones. `total_count`: rows of it. `bars` is None when the
    single bars were dropped (`totals_only`); the block then answers for all of its time or not.
    """

    start_ms: int
    end_ms: int
    tick_size: Decimal
    lot_size: Decimal
    row_size: Decimal
    names: tuple[str, ...]
    volume_lots: int
    total_count: int
    counts: bytes
    bars: Columns | None
    total: Columns

    @property
    def size_bytes(self) -> int:
        """Bytes of the packed columns."""
        columns = (*(self.bars or ()), *self.total)
        return len(self.counts) + sum(len(part) for part in columns)


def pack(bars: Sequence[FootprintBar]) -> PackedBars:
    """Bars in time order on one grid; MergeError when they are not, or for rows beyond 63 bits."""
    if not bars:
        raise MergeError("nothing to pack")
    first = bars[0]
    if any(_grid(bar) != _grid(first) for bar in bars):
        raise MergeError("bars of one block share tick, lot and row size")
    whole = footprint.then(bars)
    names = tuple(sorted({getattr(b.flow, name) for b in bars for name in NAME_FIELDS}))
    return PackedBars(
        whole.flow.start_ms,
        whole.flow.end_ms,
        first.flow.tick_size,
        first.flow.lot_size,
        first.row_size,
        names,
        whole.flow.volume_lots,
        len(whole.rows),
        varint.encode([len(bar.rows) for bar in bars]),
        _columns(bars, names, squeezed(_rows_to_bytes([bar.rows for bar in bars]))),
        _columns([whole], names, _rows_to_bytes([whole.rows])),
    )


def pack_total(bar: FootprintBar) -> PackedBars:
    """What `totals_only` leaves of the bars that this one is made of, without having them."""
    names = tuple(sorted({getattr(bar.flow, name) for name in NAME_FIELDS}))
    return PackedBars(
        bar.flow.start_ms,
        bar.flow.end_ms,
        bar.flow.tick_size,
        bar.flow.lot_size,
        bar.row_size,
        names,
        bar.flow.volume_lots,
        len(bar.rows),
        b"",
        None,
        _columns([bar], names, _rows_to_bytes([bar.rows])),
    )


def unpack(block: PackedBars) -> list[FootprintBar]:
    """The bars of a block, equal to what was packed; MergeError when they were dropped."""
    columns = _single(block)
    flows = _flows(block, columns)
    sizes = sizes_from_bytes(columns.sizes, len(flows))
    prints = prints_from_bytes(columns.prints, flows)
    edges, table = decoded_rows(columns.rows, block.counts)
    numbers, values = table[0].tolist(), list(zip(*table[1:].tolist(), strict=True))
    bars = []
    spans = itertools.pairwise(edges.tolist())
    for place, (bar, (at, end)) in enumerate(zip(flows, spans, strict=True)):
        found = dict(zip(numbers[at:end], values[at:end], strict=True))
        bars.append(FootprintBar(bar, block.row_size, found, sizes[place], prints[place]))
    return bars


def totals_only(block: PackedBars) -> PackedBars:
    """The block without its single bars: an eighth of the bytes, for hours long past."""
    return msgspec.structs.replace(block, bars=None, counts=b"")


def replaced(block: PackedBars, bar: FootprintBar) -> PackedBars:
    """The block with another revision of a bar, or with one that was missing."""
    others = [one for one in unpack(block) if one.flow.start_ms != bar.flow.start_ms]
    return pack(sorted([*others, bar], key=lambda one: one.flow.start_ms))


def then(blocks: Sequence[PackedBars]) -> FootprintBar:
    """Consecutive blocks as one bar; exact, on common ticks and lots and the widest row."""
    if not blocks:
        raise MergeError("nothing to merge")
    row_size = max(block.row_size for block in blocks)
    empty: list[FootprintBar] = []
    for block in blocks:
        (bar,) = _flows(block, block.total)
        (sizes,) = sizes_from_bytes(block.total.sizes, 1)
        (prints,) = prints_from_bytes(block.total.prints, [bar])
        empty.append(FootprintBar(bar, row_size, {}, sizes, prints))
    whole = footprint.then(empty)
    return msgspec.structs.replace(whole, rows=merged_rows(blocks, row_size))


def between(block: PackedBars, start_ms: int, end_ms: int) -> FootprintBar | None:
    """The bars that start in [start_ms, end_ms) as one; None when there is none.

    MergeError when the single bars were dropped.
    """
    columns = _single(block)
    flows = _flows(block, columns)
    chosen = [k for k, bar in enumerate(flows) if start_ms <= bar.start_ms < end_ms]
    if not chosen:
        return None
    span = slice(chosen[0], chosen[-1] + 1)
    sizes = sizes_from_bytes(columns.sizes, len(flows))[span]
    prints = prints_from_bytes(columns.prints, flows)[span]
    whole = footprint.then(
        [
            FootprintBar(bar, block.row_size, {}, size, largest)
            for bar, size, largest in zip(flows[span], sizes, prints, strict=True)
        ]
    )
    return msgspec.structs.replace(whole, rows=rows_between(block, span))


def rows_between(block: PackedBars, span: slice, ratio: int = 1) -> dict[int, Row]:
    """The rows of the bars with these numbers, added up; `ratio` rows become one.

    MergeError when the single bars were dropped.
    """
    edges, table = decoded_rows(_single(block).rows, block.counts)
    table = table[:, edges[span.start] : edges[span.stop]]
    if block.volume_lots >= SMALL:
        ones = np.ones(table.shape[1], dtype=np.int64)
        return _summed_slowly(table, ones * ratio, ones)
    return _summed(np.vstack((table[:1] // ratio, table[1:])) if ratio > 1 else table)


def flows_of(block: PackedBars) -> list[FlowBar]:
    """The flows of the single bars; MergeError when they were dropped."""
    return _flows(block, _single(block))


def spans_of(block: PackedBars) -> tuple[tuple[int, int], ...]:
    """(start_ms, end_ms) of the single bars; MergeError when they were dropped."""
    return decoded_spans(_single(block).flows)


def merged_rows(
    blocks: Sequence[PackedBars], row_size: Decimal, *, by_bar: bool = False
) -> dict[int, Row]:
    """Row-wise sum of whole blocks on rows of `row_size`, in their smallest common lot.

    `by_bar` adds the single bars instead of the totals: the same sum, for proofs.
    MergeError when `row_size` is no multiple of theirs.
    """
    if not blocks:
        return {}
    lot = common_step(list({block.lot_size for block in blocks}))
    table, sizes = _bar_rows(blocks) if by_bar else _total_rows(blocks)
    lots = [whole_ratio(block.lot_size, lot) for block in blocks]
    ratios = [whole_ratio(row_size, block.row_size) for block in blocks]
    volume = sum(b.volume_lots * factor for b, factor in zip(blocks, lots, strict=True))
    if volume >= SMALL:
        return _summed_slowly(table, np.repeat(ratios, sizes), np.repeat(lots, sizes))
    if len(set(ratios)) == 1:
        table[0] //= ratios[0]
    else:
        table[0] //= np.repeat(ratios, sizes)
    if max(lots) > 1:
        table[1:3] *= np.repeat(lots, sizes)
    return _summed(table)


def _single(block: PackedBars) -> Columns:
    if block.bars is None:
        raise MergeError("the single bars of this block were dropped; read them from the store")
    return block.bars


def _grid(bar: FootprintBar) -> tuple[Decimal, Decimal, Decimal]:
    return bar.flow.tick_size, bar.flow.lot_size, bar.row_size


def _columns(bars: Sequence[FootprintBar], names: Sequence[str], rows: bytes) -> Columns:
    flows = [bar.flow for bar in bars]
    return Columns(
        flows_to_bytes(flows, names),
        rows,
        sizes_to_bytes([bar.sizes for bar in bars]),
        prints_to_bytes(flows, [bar.largest for bar in bars]),
    )


def _flows(block: PackedBars, columns: Columns) -> list[FlowBar]:
    return flows_from_bytes(columns.flows, block.names, block.tick_size, block.lot_size)


@functools.lru_cache(maxsize=LAST_READ)
def decoded_spans(flows: bytes) -> tuple[tuple[int, int], ...]:
    """(start_ms, end_ms) of the bars of packed flows."""
    return tuple(spans_from_bytes(flows))


@functools.lru_cache(maxsize=LAST_READ)
def decoded_rows(rows: bytes, counts: bytes) -> tuple[NDArray[np.int64], Table]:
    """Where each bar's rows begin and end, and the rows of all of them."""
    numbers = varint.decode(counts)
    edges = np.concatenate(([0], np.cumsum(numbers)))
    table = _table(zlib.decompress(rows), [int(edges[-1])], numbers)
    table.setflags(write=False)
    return edges, table


def _rows_to_bytes(parts: Sequence[dict[int, Row]]) -> bytes:
    """Rows of several bars as four columns: step to the row before (zigzag), buy, sell, trades."""
    steps: list[int] = []
    values: list[Row] = []
    for rows in parts:
        numbers = sorted(rows)
        steps += [row - before for row, before in zip(numbers, [0, *numbers], strict=False)]
        values += [rows[row] for row in numbers]
    signed = [2 * step if step >= 0 else -2 * step - 1 for step in steps]
    columns = list(zip(*values, strict=True)) or [(), (), ()]
    return varint.encode([*signed, *columns[0], *columns[1], *columns[2]])


def _total_rows(blocks: Sequence[PackedBars]) -> tuple[Table, list[int]]:
    """Rows of the totals, block after block, and how many each block has."""
    data = b"".join([block.total.rows for block in blocks])
    sizes = [block.total_count for block in blocks]
    return _table(data, sizes, np.array(sizes, dtype=np.int64)), sizes


def _bar_rows(blocks: Sequence[PackedBars]) -> tuple[Table, list[int]]:
    """Rows of every single bar, in time order, and how many each block has."""
    data = b"".join([zlib.decompress(_single(block).rows) for block in blocks])
    counts = varint.decode(b"".join([block.counts for block in blocks]))
    ends = np.cumsum([varint.count(block.counts) for block in blocks])
    reached = np.concatenate(([0], np.cumsum(counts)))[ends]
    sizes: list[int] = np.diff(reached, prepend=0).tolist()
    return _table(data, sizes, counts), sizes


def _table(data: bytes, sizes: Sequence[int], counts: NDArray[np.int64]) -> Table:
    """Columns from bytes of blocks of `sizes` rows; `counts`: rows of each run of steps."""
    numbers = varint.decode(data)
    parts = []
    at = 0
    for size in sizes:
        parts.append(numbers[at : at + 4 * size].reshape(4, size))
        at += 4 * size
    table = np.concatenate(parts, axis=1)
    steps = (table[0] >> 1) ^ -(table[0] & 1)
    counts = counts[counts > 0]
    starts = np.cumsum(counts) - counts
    # Each run begins with its own row number, so what was added up before it is taken off.
    reached = np.cumsum(steps)
    table[0] = reached - np.repeat(reached[starts] - steps[starts], counts)
    return table


def _summed(table: Table) -> dict[int, Row]:
    """Sums of equal rows, lowest row first; the caller knows that they fit in 63 bits."""
    numbers = table[0]
    if not numbers.size:
        return {}
    low = int(numbers.min())
    span = int(numbers.max()) - low + 1
    if span <= max(DENSE_ROWS, 4 * numbers.size):
        index = numbers - low
        occupied = np.zeros(span, dtype=bool)
        occupied[index] = True
        rows = np.flatnonzero(occupied)
        sums = np.stack([_added(index, column, span)[rows] for column in table[1:]])
        rows += low
    else:
        rows, index = np.unique(numbers, return_inverse=True)
        sums = np.stack([_added(index, column, rows.size) for column in table[1:]])
    return dict(zip(rows.tolist(), zip(*sums.tolist(), strict=True), strict=True))


def _added(index: NDArray[np.int64], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, index, values)
    return sums


def _summed_slowly(
    table: Table, ratios: NDArray[np.int64], lots: NDArray[np.int64]
) -> dict[int, Row]:
    """The same sums in Python's whole numbers, for volumes beyond 63 bits."""
    columns = zip(*table.tolist(), ratios.tolist(), lots.tolist(), strict=True)
    return dict(
        sorted(
            sum_rows(
                {row // ratio: (buy * factor, sell * factor, count)}
                for row, buy, sell, count, ratio, factor in columns
            ).items()
        )
    )
