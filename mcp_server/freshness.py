"""How long an answer may be kept by others: closed windows for a while, everything else not. Pure.

A window that is final changes only when it is revised, which its `revision` and ETag tell. Clients
may keep such an answer for a minute without asking; a CDN that checks keys itself (RFC 9213,
`CDN-Cache-Control`) may as well, and give an old one while it asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcp_server.parameters import moment

KEPT_S, WHILE_ASKING_S = 60, 600
NOT_KEPT = {"Cache-Control": "no-cache"}
KEPT = {
    "Cache-Control": f"private, max-age={KEPT_S}",
    "CDN-Cache-Control": f"max-age={KEPT_S}, stale-while-revalidate={WHILE_ASKING_S}",
}


def freshness(data: dict[str, Any], end_ms: int | None) -> dict[str, str]:
    """Headers of an answer as plain data, for a question up to `end_ms` (None: up to now)."""
    if end_ms is None:
        return NOT_KEPT
    finals = list(_values(data, "final"))
    ends = [text for text in _values(data, "period_end") if isinstance(text, str)]
    if not finals or not ends or not all(value is True for value in finals):
        return NOT_KEPT
    reached = max(moment(text, "period_end") or 0 for text in ends)
    return KEPT if reached >= end_ms else NOT_KEPT


def _values(data: Any, name: str) -> Iterator[Any]:
    """Every value of this name, at any depth."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == name:
                yield value
            else:
                yield from _values(value, name)
    elif isinstance(data, list):
        for value in data:
            yield from _values(value, name)
