"""Closed minutes of one hour of one instrument, packed, with the evidence of each. Pure."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from orderflow import flow, packed
from orderflow.columns import qualities_from_bytes, qualities_to_bytes
from orderflow.completeness import Quality, merge_qualities
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.packed import PackedBars

Piece = tuple[FootprintBar, Quality]
"""A bar and the evidence behind it."""

Depth = Literal["histogram", "flow", "rows", "all"]
"""What a merge is for: volume at price alone (flow and evidence of a packed hour are then not made
for its part), the flow alone, both, or the prints by size too."""


class Block(msgspec.Struct, gc=False, frozen=True):
    """Minutes of one hour in time order; `flow`, `quality`: of all of them together.

    A thin block has only their sum left: it answers for the whole hour or not at all.
    """

    bars: PackedBars
    qualities: bytes
    flow: FlowBar
    quality: Quality
    count: int

    @property
    def thin(self) -> bool:
        """True when single minutes are not in it."""
        return self.bars.bars is None


def block_of(minutes: Sequence[Piece]) -> Block:
    """Pack minutes; MergeError when they can't share a block."""
    qualities = [quality for _, quality in minutes]
    bars = packed.pack([bar for bar, _ in minutes])
    return Block(
        bars,
        qualities_to_bytes(qualities),
        packed.then([bars]).flow,
        merge_qualities(qualities, in_time=True),
        len(minutes),
    )


def sum_of(bar: FootprintBar, quality: Quality, count: int) -> Block:
    """A thin block of so many minutes, from their sum; MergeError for rows beyond 63 bits."""
    return Block(packed.pack_total(bar), b"", bar.flow, quality, count)


def minutes_of(block: Block) -> list[Piece]:
    """The minutes as they were packed."""
    return list(zip(packed.unpack(block.bars), qualities_from_bytes(block.qualities), strict=True))


def thinned(block: Block) -> Block:
    """Only the sum."""
    return msgspec.structs.replace(block, bars=packed.totals_only(block.bars), qualities=b"")


def part_of(
    block: Block, start_ms: int, end_ms: int, depth: Depth, row_size: Decimal
) -> Piece | None:
    """The minutes that start in [start_ms, end_ms) as one."""
    if depth == "histogram":
        return _histogram_of(block, start_ms, end_ms, row_size)
    flows = packed.flows_of(block.bars)
    chosen = [k for k, bar in enumerate(flows) if start_ms <= bar.start_ms < end_ms]
    if not chosen:
        return None
    span = slice(chosen[0], chosen[-1] + 1)
    quality = merge_qualities(qualities_from_bytes(block.qualities)[span], in_time=True)
    if depth == "all":
        part = packed.between(block.bars, start_ms, end_ms)
        return None if part is None else (part.coarsened(row_size), quality)
    total = functools.reduce(flow.then, flows[span])
    if depth == "flow":
        return FootprintBar(total, row_size, {}), quality
    return _rows_of(block.bars, span, total, row_size), quality


def _histogram_of(block: Block, start_ms: int, end_ms: int, row_size: Decimal) -> Piece | None:
    """Only the rows of the minutes that start in [start_ms, end_ms)."""
    spans = packed.spans_of(block.bars)
    chosen = [k for k, (start, _) in enumerate(spans) if start_ms <= start < end_ms]
    if not chosen:
        return None
    first, last, bars = chosen[0], chosen[-1], block.bars
    total = FlowBar(spans[first][0], spans[last][1], bars.tick_size, bars.lot_size)
    return _rows_of(bars, slice(first, last + 1), total, row_size), block.quality


def _rows_of(bars: PackedBars, span: slice, total: FlowBar, row_size: Decimal) -> FootprintBar:
    rows = packed.rows_between(bars, span, whole_ratio(row_size, bars.row_size))
    return FootprintBar(total, row_size, rows)


def whole_of(blocks: Sequence[Block], depth: Depth, row_size: Decimal) -> Piece:
    """Consecutive blocks as one."""
    quality = merge_qualities([block.quality for block in blocks], in_time=True)
    parts = [block.bars for block in blocks]
    if depth == "all":
        return packed.then(parts).coarsened(row_size), quality
    total = functools.reduce(flow.then, [block.flow for block in blocks])
    rows = {} if depth == "flow" else packed.merged_rows(parts, row_size)
    return FootprintBar(total, row_size, rows), quality
