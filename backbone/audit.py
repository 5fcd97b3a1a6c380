"""The audit: what an administrator or a key's owner changed. Entries are added, never changed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from backbone.clock import wall_ms
from backbone.store.base import AUDIT, Record, Store

DAY_MS = 86_400_000
KEPT_MS = 400 * DAY_MS
SERIES = "entry"
DIGITS = 15
PAGE = 500


async def append_audit(store: Store, actor: str, action: str, about: Mapping[str, Any]) -> None:
    """One entry under a name of its own, in the order of time; no write can replace it."""
    now = wall_ms()
    entry = Record(
        collection=AUDIT,
        instrument=f"{now:0{DIGITS}d}-{secrets.token_hex(8)}",
        timeframe=SERIES,
        start_ms=now,
        revision=0,
        applied_through_ms=now,
        published_at_ms=now,
        expires_at_ms=now + KEPT_MS,
        body={"actor": actor, "action": action, **about},
    )
    await store.put([entry])


async def audit_entries(store: Store, since_ms: int) -> list[dict[str, Any]]:
    """Entries since a wall time, oldest first, at most PAGE of them."""
    after = (f"{since_ms:0{DIGITS}d}", "", -1, -1)
    found = await store.scan(AUDIT, after, PAGE)
    now = wall_ms()
    return [{"at_ms": r.start_ms, **r.body} for r in found if r.expires_at_ms > now]
