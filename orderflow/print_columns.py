"""Size classes and largest prints of several bars as columns: what packed blocks keep of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from orderflow import varint
from orderflow.flow import FlowBar
from orderflow.prints import Print, SizeCell, Sizes
from orderflow.squeeze import squeezed


def sizes_to_bytes(parts: Sequence[Sizes]) -> bytes:
    """Classes of each bar: how many, then their numbers and the four sums, column by column."""
    counts = [len(sizes) for sizes in parts]
    numbers = [number for sizes in parts for number in sizes]
    cells = [cell for sizes in parts for cell in sizes.values()]
    columns = [value for column in zip(*cells, strict=True) for value in column]
    return squeezed(varint.encode([*counts, *numbers, *columns]))


def sizes_from_bytes(data: bytes, bars: int) -> list[dict[int, SizeCell]]:
    """The inverse of `sizes_to_bytes`, for a known number of bars."""
    values = varint.decode(zlib.decompress(data))
    counts = values[:bars].tolist()
    numbers, *columns = values[bars:].reshape(5, -1).tolist()
    cells = list(zip(*columns, strict=True))
    found = []
    at = 0
    for count in counts:
        found.append(dict(zip(numbers[at : at + count], cells[at : at + count], strict=True)))
        at += count
    return found


def prints_to_bytes(flows: Sequence[FlowBar], parts: Sequence[Sequence[Print]]) -> bytes:
    """Largest prints of each bar; times from its start, prices from its low."""
    counts = [len(prints) for prints in parts]
    rows = [
        (item.event_ms - bar.start_ms, item.price_ticks - (bar.low_ticks or 0), item.qty_lots,
         item.side)
        for bar, prints in zip(flows, parts, strict=True)
        for item in prints
    ]  # fmt: skip
    columns = [value for column in zip(*rows, strict=True) for value in column]
    return squeezed(varint.encode([*counts, *columns]))


def prints_from_bytes(data: bytes, flows: Sequence[FlowBar]) -> list[tuple[Print, ...]]:
    """The inverse of `prints_to_bytes`, for the same bars."""
    values = varint.decode(zlib.decompress(data))
    counts = values[: len(flows)].tolist()
    rows = list(zip(*values[len(flows) :].reshape(4, -1).tolist(), strict=True))
    found = []
    at = 0
    for bar, count in zip(flows, counts, strict=True):
        low = bar.low_ticks or 0
        found.append(
            tuple(
                Print(bar.start_ms + offset, low + above, lots, side)
                for offset, above, lots, side in rows[at : at + count]
            )
        )
        at += count
    return found
