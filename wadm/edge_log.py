"""Requests that nginx answered from its own cache, counted from its access log."""

from __future__ import annotations

from pathlib import Path

import msgspec

HITS = frozenset({"HIT", "STALE", "UPDATING"})


class Line(msgspec.Struct):
    """The fields of a line that matter here."""

    time_ms: float = 0
    key_id: str = ""
    cache: str = ""
    status: str = ""


def edge_hits(path: Path, key_id: str, since_ms: int) -> int:
    """Answers from the cache for one key since a wall time; other lines are passed over."""
    decoder = msgspec.json.Decoder(Line)
    count = 0
    with path.open("rb") as lines:
        for text in lines:
            try:
                line = decoder.decode(text)
            except msgspec.DecodeError:
                continue
            fresh = line.time_ms * 1_000 >= since_ms
            count += line.key_id == key_id and line.cache in HITS and fresh
    return count
