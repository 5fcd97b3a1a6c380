"""A budget of tokens: the least important entries leave first, and the answer says how many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

HARD_CAP_TOKENS = 8_000
LEAST_TOKENS = 100
ROUNDS = 60
MOST_AT_ONCE = 0.5
"""Several long lists shrink together."""
BYTES_PER_TOKEN = 2.3
"""Compact JSON of digits and short names holds more bytes per token than this; a test compares."""
Worth = Callable[[Any, int], Any]


def _volume(entry: Any, place: int) -> Any:
    """A profile's level by its volume; a key level by how near it is: they come nearest first."""
    volume = entry.get("volume") if isinstance(entry, dict) else None
    return -place if volume is None else float(volume)


def _first(entry: Any, place: int) -> Any:
    return -place


def _last(entry: Any, place: int) -> Any:
    return place


CUT: dict[str, Worth] = {
    "levels": _volume,
    "rows": _last,
    "bars": _last,
    "items": _last,
    "minutes": _last,
    "ladder": _first,
    "size_classes": _last,
    "events": _first,
    "outcomes": _first,
    "gaps": _first,
    "nodes": _first,
    "large_trades": _first,
    "lead_lag": _first,
    "symbols": _first,
    "streams": _first,
    "feeds": _first,
    "missing": _first,
}
"""Lists that may be cut, and what an entry is worth: volume, or being first or last."""


def tokens_of(data: Any) -> int:
    """An upper estimate of the tokens of the compact JSON."""
    return int(len(msgspec.json.encode(data)) / BYTES_PER_TOKEN) + 1


def cut(data: dict[str, Any], most: int) -> dict[str, Any]:
    """The same answer within the budget; `dropped` counts what left, by list."""
    dropped: dict[str, int] = {}
    for _ in range(ROUNDS):
        excess = tokens_of(data) - most
        if excess <= 0:
            break
        found = max(_lists(data), key=_size, default=None)
        if found is None:
            break
        name, holder, size = found
        entries = holder[name]
        share = min(1.0, (excess + 20) / max(1, size))
        leaving = max(1, round(len(entries) * min(share, MOST_AT_ONCE)))
        holder[name] = _kept(name, entries, len(entries) - leaving)
        dropped[name] = dropped.get(name, 0) + leaving
        data["dropped"] = dropped
    return data


def _size(found: tuple[str, dict[str, Any], int]) -> int:
    """An only entry stays while anything inside it can leave."""
    name, holder, size = found
    entries = holder[name]
    return 0 if len(entries) == 1 and _lists(entries) else size


def _kept(name: str, entries: list[Any], count: int) -> list[Any]:
    worth = CUT[name]
    order = sorted(range(len(entries)), key=lambda place: worth(entries[place], place))
    chosen = set(order[len(entries) - count :])
    return [entry for place, entry in enumerate(entries) if place in chosen]


def _lists(value: Any) -> list[tuple[str, dict[str, Any], int]]:
    """(name, holder, tokens) of every list that may be cut and is not empty."""
    found = []
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in CUT and isinstance(inner, list) and inner:
                found.append((name, value, tokens_of(inner)))
            found += _lists(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _lists(inner)
    return found
