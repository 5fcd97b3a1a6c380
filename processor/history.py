"""Closed minutes of one instrument in memory, and exact merges of them. Pure.

The newest minutes are held one by one; older ones are packed by the hour, and hours that no window
can begin in keep only their sum. Where a window needs minutes that were dropped the hour is named
in `wanted`, and until it is filled from the store its time counts as not covered.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from orderflow import packed
from orderflow.columns import flows_from_bytes, flows_to_bytes
from orderflow.completeness import Quality
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar, Row
from orderflow.prints import Print, SizeCell
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window, floor_ms
from processor.block import (
    Block,
    Depth,
    Piece,
    block_of,
    minutes_of,
    part_of,
    sum_of,
    thinned,
    whole_of,
)

KEPT_MS = 26 * HOUR_MS
CELLS_KEPT_MS = 2 * HOUR_MS
PACK_AFTER_MS = 15 * MINUTE_MS
"""Minutes are packed when they can hardly be revised any more (the repair horizon)."""
PACK_AT_ONCE = 10
SINGLE_MS = 5 * HOUR_MS
"""Rolling windows of up to four hours begin in hours that keep their minutes."""
EDGE_MS = HOUR_MS
"""So does the rolling day: hours this close to 24 hours ago keep, or get back, their minutes."""


class ClosedMinute(msgspec.Struct, gc=False):
    """One closed minute; `packed`: rows as (row, buy, sell, trades) quadruples."""

    flow: FlowBar
    row_size: Decimal
    packed: array[int]
    sizes: tuple[tuple[int, SizeCell], ...]
    largest: tuple[Print, ...]
    quality: Quality

    @property
    def bar(self) -> FootprintBar:
        """The minute as a footprint bar."""
        return FootprintBar(self.flow, self.row_size, self._rows(), dict(self.sizes), self.largest)

    def part(self, depth: Depth) -> FootprintBar:
        """The minute with as much as a merge is for."""
        if depth == "all":
            return self.bar
        return FootprintBar(self.flow, self.row_size, {} if depth == "flow" else self._rows())

    def _rows(self) -> dict[int, Row]:
        values = self.packed
        return dict(
            zip(
                values[::4], zip(values[1::4], values[2::4], values[3::4], strict=True), strict=True
            )
        )


def closed_minute(bar: FootprintBar, quality: Quality) -> ClosedMinute:
    """Rows as one array of quadruples, a twentieth of the dict's size."""
    rows = array("q", (v for row in sorted(bar.rows) for v in (row, *bar.rows[row])))
    return ClosedMinute(
        bar.flow, bar.row_size, rows, tuple(bar.sizes.items()), bar.largest, quality
    )


class Cells(msgspec.Struct, gc=False, frozen=True):
    """The 5 s bars of one minute, packed."""

    data: bytes
    name: str
    tick_size: Decimal
    lot_size: Decimal


class MinuteHistory:
    """Closed minutes by start: `recent` ones and packed `blocks` by hour."""

    def __init__(self) -> None:
        self.recent: dict[int, ClosedMinute] = {}
        self.blocks: dict[int, Block] = {}
        self.wanted: set[int] = set()
        self._cells: dict[int, Cells] = {}
        self._unpacked: tuple[Block | None, dict[int, ClosedMinute]] = (None, {})
        self._unfilled: set[int] = set()
        self._sums: set[int] = set()
        self.changes = 0
        """Grows with every minute that is added, changed, packed or let go."""

    @property
    def minutes(self) -> Mapping[int, ClosedMinute]:
        """Every minute in memory by its start; hours that keep only their sum have none."""
        return Minutes(self)

    def put(self, bar: FootprintBar, quality: Quality, cells: Sequence[FlowBar] = ()) -> None:
        """Add or replace a minute."""
        self.changes += 1
        start = bar.flow.start_ms
        hour = floor_ms(start, HOUR_MS)
        block = self.blocks.get(hour)
        if block is not None and start < block.bars.end_ms:
            self._open(hour, block)
        self.recent[start] = closed_minute(bar, quality)
        if cells:
            self._put_cells(start, cells)
        else:
            self._cells.pop(start, None)

    def _put_cells(self, start_ms: int, cells: Sequence[FlowBar]) -> None:
        first = cells[0]
        data = flows_to_bytes(cells, (first.first_name,))
        self._cells[start_ms] = Cells(data, first.first_name, first.tick_size, first.lot_size)

    def holds(self, start_ms: int) -> bool:
        """True when a minute is in memory, be it in the sum of its hour."""
        block = self.blocks.get(floor_ms(start_ms, HOUR_MS))
        packed_in = block is not None and block.bars.start_ms <= start_ms < block.bars.end_ms
        return packed_in or start_ms in self.recent

    def awaits(self, start_ms: int) -> bool:
        """True when a minute is worth reading: it is not in memory, only in the sum of a stored
        hour, or without its 5 s bars."""
        bare = start_ms in self.recent and start_ms not in self._cells
        return bare or floor_ms(start_ms, HOUR_MS) in self._sums or not self.holds(start_ms)

    def fill(self, hour_ms: int, minutes: Sequence[Piece]) -> None:
        """Minutes of a wanted hour, from the store; what is in memory is newer.

        An hour of which the store has less than memory keeps its sum and is not asked for again.
        """
        self.changes += 1
        self.wanted.discard(hour_ms)
        known = self.blocks.get(hour_ms)
        if known is not None and len(minutes) < known.count:
            self._unfilled.add(hour_ms)
            return
        self.blocks.pop(hour_ms, None)
        self._sums.discard(hour_ms)
        for bar, quality in minutes:
            if bar.flow.start_ms not in self.recent:
                self.recent[bar.flow.start_ms] = closed_minute(bar, quality)
        self._pack(hour_ms, [at for at in self.recent if floor_ms(at, HOUR_MS) == hour_ms])

    def put_sum(self, bar: FootprintBar, quality: Quality) -> None:
        """A whole hour as the store has it, for as long as its minutes are not read: after a start
        a day is answered from its hours. What is in memory already is newer and stays."""
        self.changes += 1
        hour = bar.flow.start_ms
        whole = quality.closed and quality.expected_ms == HOUR_MS
        if whole and hour not in self.blocks and not self._any_recent(hour, hour + HOUR_MS):
            with contextlib.suppress(MergeError):
                self.blocks[hour] = sum_of(bar, quality, HOUR_MS // MINUTE_MS)
                self._sums.add(hour)

    def restore(
        self, hour_ms: int, minutes: Sequence[tuple[FootprintBar, Quality, Sequence[FlowBar]]]
    ) -> None:
        """Minutes of an hour from the store with their 5 s bars; what is in memory is newer.

        They replace the hour's sum in one go, so that it never counts as not covered; where the
        store has fewer than it was made of, the sum stays."""
        self.changes += 1
        if hour_ms in self._sums and len(minutes) * MINUTE_MS >= HOUR_MS:
            self._sums.discard(hour_ms)
            self.wanted.discard(hour_ms)
            self.blocks.pop(hour_ms, None)
        for bar, quality, cells in minutes:
            start = bar.flow.start_ms
            if not self.holds(start):
                self.put(bar, quality, cells)
            elif cells and start not in self._cells and self._known(start) == bar.flow:
                self._put_cells(start, cells)

    def _known(self, start_ms: int) -> FlowBar | None:
        """The flow of a minute that is not packed."""
        found = self.recent.get(start_ms)
        return None if found is None else found.flow

    def cells(self, start_ms: int) -> tuple[FlowBar, ...] | None:
        """The 5 s bars of a closed minute; None when they are not in memory."""
        found = self._cells.get(start_ms)
        if found is None:
            return () if start_ms in self.recent else None
        return tuple(flows_from_bytes(found.data, (found.name,), found.tick_size, found.lot_size))

    def tidy(self, newest_ms: int) -> None:
        """Forget, pack and thin what is old enough beside the newest minute."""
        self.changes += 1
        self._forget_before(newest_ms - KEPT_MS, newest_ms)
        due: dict[int, list[int]] = {}
        for start in self.recent:
            if start < newest_ms - PACK_AFTER_MS:
                due.setdefault(floor_ms(start, HOUR_MS), []).append(start)
        for hour, starts in due.items():
            over = hour + HOUR_MS <= newest_ms - PACK_AFTER_MS
            if (over or len(starts) >= PACK_AT_ONCE) and hour not in self.wanted:
                self._pack(hour, starts)
        self._thin(newest_ms)

    def hour_ranges(self, before_ms: int) -> list[Decimal]:
        """High-low of the 24 whole hours that ended an hour before `before_ms`."""
        ranges = []
        for start in range(before_ms - 25 * HOUR_MS, before_ms - HOUR_MS, HOUR_MS):
            block = self.blocks.get(start)
            if block is None or block.count * MINUTE_MS != HOUR_MS:
                continue
            flow = block.flow
            if not flow.empty:
                ranges.append(((flow.high_ticks or 0) - (flow.low_ticks or 0)) * flow.tick_size)
        return ranges

    def pieces(
        self, window: Window, *, depth: Depth = "all", row_size: Decimal | None = None
    ) -> Iterator[Piece]:
        """The closed minutes of a window in time order, merged where they lie packed.

        `row_size` widens the rows: a day on its served rows costs a fraction.
        """
        whole: list[Block] = []
        for hour in range(floor_ms(window.start_ms, HOUR_MS), window.end_ms, HOUR_MS):
            start, end = max(hour, window.start_ms), min(hour + HOUR_MS, window.end_ms)
            block = self.blocks.get(hour)
            alone = block is not None and end - start == HOUR_MS
            if block is not None and alone:
                whole.append(block)
            if whole and not (alone and not self._any_recent(hour, hour + HOUR_MS)):
                yield whole_of(whole, depth, _widest(whole, row_size))
                whole = []
            if block is not None and not alone:
                yield from self._part(hour, block, Window(start, end), depth, row_size)
            for at in range(start, end, MINUTE_MS):
                if (minute := self.recent.get(at)) is not None:
                    yield minute.part(depth), minute.quality
        if whole:
            yield whole_of(whole, depth, _widest(whole, row_size))

    def _part(
        self, hour_ms: int, block: Block, window: Window, depth: Depth, row_size: Decimal | None
    ) -> Iterator[Piece]:
        """A part of a packed hour; one that keeps only its sum is asked for."""
        if not block.thin:
            width = _widest([block], row_size)
            part = part_of(block, window.start_ms, window.end_ms, depth, width)
            if part is not None:
                yield part
        elif hour_ms not in self._unfilled:
            self.wanted.add(hour_ms)

    def flows(self, window: Window) -> Iterator[tuple[int, FlowBar | None]]:
        """Start and flow of every minute of a window; None where it is not in memory."""
        for hour in range(floor_ms(window.start_ms, HOUR_MS), window.end_ms, HOUR_MS):
            block = self.blocks.get(hour)
            known: dict[int, FlowBar] = {}
            if block is not None and not block.thin:
                known = {flow.start_ms: flow for flow in packed.flows_of(block.bars)}
            start, end = max(hour, window.start_ms), min(hour + HOUR_MS, window.end_ms)
            for at in range(start, end, MINUTE_MS):
                minute = self.recent.get(at)
                yield at, known.get(at) if minute is None else minute.flow

    def _any_recent(self, start_ms: int, end_ms: int) -> bool:
        return any(start in self.recent for start in range(start_ms, end_ms, MINUTE_MS))

    def _open(self, hour_ms: int, block: Block) -> None:
        """Take a packed hour apart, because one of its minutes changes."""
        del self.blocks[hour_ms]
        self._sums.discard(hour_ms)
        if block.thin:
            self.wanted.add(hour_ms)
            return
        for bar, quality in minutes_of(block):
            self.recent.setdefault(bar.flow.start_ms, closed_minute(bar, quality))

    def _pack(self, hour_ms: int, starts: Sequence[int]) -> None:
        """Move minutes into their hour's block; those of mixed steps stay as they are."""
        known = self.blocks.get(hour_ms)
        if known is not None and known.thin:
            return
        pieces = [] if known is None else minutes_of(known)
        pieces += [(self.recent[at].bar, self.recent[at].quality) for at in starts]
        pieces.sort(key=lambda piece: piece[0].flow.start_ms)
        try:
            self.blocks[hour_ms] = block_of(pieces)
        except MergeError:
            return
        for at in starts:
            del self.recent[at]

    def _thin(self, newest_ms: int) -> None:
        """Drop the minutes of hours that no window begins in, ask for those of the day's edge."""
        edge = newest_ms - DAY_MS
        fat = []
        for hour, block in self.blocks.items():
            near = edge - EDGE_MS <= hour + HOUR_MS and hour <= edge + EDGE_MS
            if near and block.thin and hour not in self._unfilled:
                self.wanted.add(hour)
            elif not near and not block.thin and hour + HOUR_MS <= newest_ms - SINGLE_MS:
                fat.append(hour)
        for hour in fat:
            self.blocks[hour] = thinned(self.blocks[hour])

    def _forget_before(self, start_ms: int, newest_ms: int) -> None:
        for start in [start for start in self.recent if start < start_ms]:
            del self.recent[start]
        for hour in [hour for hour in self.blocks if hour + HOUR_MS <= start_ms]:
            del self.blocks[hour]
        self._sums &= self.blocks.keys()
        self.wanted = {hour for hour in self.wanted if hour + HOUR_MS > start_ms}
        self._unfilled = {hour for hour in self._unfilled if hour in self.blocks}
        for start in [at for at in self._cells if at < newest_ms - CELLS_KEPT_MS]:
            del self._cells[start]

    def unpacked(self, hour_ms: int) -> dict[int, ClosedMinute]:
        """Minutes of a packed hour; the newest answer is kept."""
        block = self.blocks.get(hour_ms)
        if block is None or block.thin:
            return {}
        if self._unpacked[0] is not block:
            found = {
                bar.flow.start_ms: closed_minute(bar, quality) for bar, quality in minutes_of(block)
            }
            self._unpacked = (block, found)
        return self._unpacked[1]


def _widest(blocks: Sequence[Block], row_size: Decimal | None) -> Decimal:
    """The row asked for, but none narrower than the blocks have."""
    return max([block.bars.row_size for block in blocks] + ([row_size] if row_size else []))


class Minutes(Mapping[int, ClosedMinute]):
    """Closed minutes by start, wherever they lie."""

    def __init__(self, history: MinuteHistory) -> None:
        self._history = history

    def __getitem__(self, start_ms: int) -> ClosedMinute:
        found = self._history.recent.get(start_ms)
        if found is None:
            found = self._history.unpacked(floor_ms(start_ms, HOUR_MS)).get(start_ms)
        if found is None:
            raise KeyError(start_ms)
        return found

    def __iter__(self) -> Iterator[int]:
        history = self._history
        packed_starts = (at for hour in sorted(history.blocks) for at in history.unpacked(hour))
        yield from sorted({*packed_starts, *history.recent})

    def __len__(self) -> int:
        history = self._history
        return len(history.recent) + sum(b.count for b in history.blocks.values() if not b.thin)
