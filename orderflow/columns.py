"""Flow bars and their evidence as columns of whole numbers: what packed blocks keep of them.

A column whose values are all equal is kept once. Numbers are kept as the distance to something
near (the bar before, the low, the id before), which takes fewer bytes; nothing is rounded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from orderflow.completeness import Gap, Quality, State
from orderflow.flow import FlowBar
from orderflow.squeeze import squeezed

Value: TypeAlias = int | bytes | bool | None
SMALL = 2**63
"""zlib's fastest level: the slower ones save one per cent more."""
NAME_FIELDS = ("first_name", "last_name")
NUMBER_FIELDS = tuple(
    name
    for name in FlowBar.__struct_fields__
    if name not in {"tick_size", "lot_size", *NAME_FIELDS}
)
START_FIELDS = ("end_ms", "first_ms", "last_ms")
LOW_FIELDS = ("open_ticks", "high_ticks", "close_ticks")
SIDES = (("buy_quote", "buy_lots"), ("sell_quote", "sell_lots"))
QUALITY_FIELDS = tuple(name for name in Quality.__struct_fields__ if name not in {"state", "gaps"})
STATES = tuple(State)


def flows_to_bytes(flows: Sequence[FlowBar], names: Sequence[str]) -> bytes:
    """Bars of one scale in time order; `names` holds every first and last name."""
    columns: list[list[Value]] = [[] for _ in NUMBER_FIELDS]
    end_ms, last_id = 0, 0
    for bar in flows:
        values = {name: getattr(bar, name) for name in NUMBER_FIELDS}
        _near(values, -1)
        values["start_ms"] -= end_ms
        if bar.first_id is not None:
            values["first_id"] -= last_id
            last_id = bar.last_id or 0
        end_ms = bar.end_ms
        for column, name in zip(columns, NUMBER_FIELDS, strict=True):
            column.append(_plain(values[name]))
    place = {name: index for index, name in enumerate(names)}
    columns += [[place[getattr(bar, name)] for bar in flows] for name in NAME_FIELDS]
    return _squeezed(columns)


def flows_from_bytes(
    data: bytes, names: Sequence[str], tick_size: Decimal, lot_size: Decimal
) -> list[FlowBar]:
    """The inverse of `flows_to_bytes`."""
    flows: list[FlowBar] = []
    end_ms, last_id = 0, 0
    for row in _rows(data):
        values = dict(zip(NUMBER_FIELDS, row, strict=False))
        values["start_ms"] += end_ms
        if values["first_id"] is not None:
            values["first_id"] += last_id
        _near(values, 1)
        if values["last_id"] is not None:
            last_id = values["last_id"]
        end_ms = values["end_ms"]
        for name, index in zip(NAME_FIELDS, row[len(NUMBER_FIELDS) :], strict=True):
            values[name] = names[index]
        flows.append(FlowBar(tick_size=tick_size, lot_size=lot_size, **values))
    return flows


def spans_from_bytes(data: bytes) -> list[tuple[int, int]]:
    """(start_ms, end_ms) of every bar of `flows_to_bytes`, without making the bars."""
    count, columns = msgspec.msgpack.decode(zlib.decompress(data))
    steps, lengths = (columns[NUMBER_FIELDS.index(name)] for name in ("start_ms", "end_ms"))
    steps = steps * count if len(steps) == 1 else steps
    lengths = lengths * count if len(lengths) == 1 else lengths
    found, end_ms = [], 0
    for step, length in zip(steps, lengths, strict=True):
        start_ms = end_ms + step
        end_ms = start_ms + length
        found.append((start_ms, end_ms))
    return found


def qualities_to_bytes(qualities: Sequence[Quality]) -> bytes:
    """Evidence of the same bars; gaps are rare and kept as they are."""
    columns: list[list[Any]] = [
        [getattr(one, name) for one in qualities] for name in QUALITY_FIELDS
    ]
    columns.append([STATES.index(one.state) for one in qualities])
    columns.append([msgspec.to_builtins(one.gaps) for one in qualities])
    return _squeezed(columns)


def qualities_from_bytes(data: bytes) -> list[Quality]:
    """The inverse of `qualities_to_bytes`."""
    found = []
    for row in _rows(data):
        values = dict(zip(QUALITY_FIELDS, row, strict=False))
        gaps = tuple(msgspec.convert(gap, Gap) for gap in row[-1])
        found.append(Quality(state=STATES[row[-2]], gaps=gaps, **values))
    return found


def _near(values: dict[str, Any], sign: int) -> None:
    """Fields as distances within their bar (-1), or back (1); in place.

    Back, the bases are restored before what is counted from them.
    """
    start, low = values["start_ms"], values["low_ticks"]
    for name in START_FIELDS:
        if values[name] is not None:
            values[name] += sign * start
    if low is not None:
        for name in LOW_FIELDS:
            if values[name] is not None:
                values[name] += sign * low
        if sign < 0:
            values["square_quote"] -= _square_base(values, low)
        for quote, lots in SIDES:
            values[quote] += sign * low * values[lots]
        if sign > 0:
            values["square_quote"] += _square_base(values, low)
    if values["last_id"] is not None and values["first_id"] is not None:
        values["last_id"] += sign * values["first_id"]


def _square_base(values: dict[str, Any], low: int) -> int:
    """What is left of the squares is sum of (price - low)^2 x quantity."""
    quotes = int(values["buy_quote"] + values["sell_quote"])
    return 2 * low * quotes - low * low * int(values["buy_lots"] + values["sell_lots"])


def _plain(value: int | None) -> Value:
    """A whole number as MessagePack can hold it: bytes beyond 63 bits."""
    if value is None or -SMALL <= value < SMALL:
        return value
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _number(value: Any) -> Any:
    return int.from_bytes(value, "big", signed=True) if isinstance(value, bytes) else value


def _squeezed(columns: Sequence[list[Any]]) -> bytes:
    """Columns with constant ones kept once, compressed."""
    shortened = [
        column[:1] if all(value == column[0] for value in column) else column for column in columns
    ]
    count = max(map(len, columns))
    return squeezed(msgspec.msgpack.encode([count, shortened]))


def _rows(data: bytes) -> Iterator[tuple[Any, ...]]:
    count, columns = msgspec.msgpack.decode(zlib.decompress(data))
    full = []
    for column in columns:
        if any(type(value) is bytes for value in column):
            column = [_number(value) for value in column]
        full.append(column * count if len(column) == 1 else column)
    return zip(*full, strict=True)
