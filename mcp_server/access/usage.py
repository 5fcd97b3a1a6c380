"""Usage: how much each key asked, counted here and written once a minute."""

from __future__ import annotations

import secrets
from collections import Counter

from backbone.clock import wall_ms
from backbone.store.base import KEY_USAGE, Record, Store

FLUSH_S = 60.0
KEPT_MS = 90 * 86_400_000


class Usage:
    """Counts since the last writing; each server writes a series of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.requests: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._last_ms = 0
        self._server = secrets.token_hex(4)

    async def flush(self) -> None:
        """Write and start over; what could not be written is counted on."""
        now = self._last_ms = max(wall_ms(), self._last_ms + 1)
        asked = dict(self.requests)
        refused = dict(self.refused)
        records = [
            Record(
                collection=KEY_USAGE,
                instrument=key_id,
                timeframe=self._server,
                start_ms=now,
                revision=0,
                applied_through_ms=now,
                published_at_ms=now,
                expires_at_ms=now + KEPT_MS,
                body={"requests": asked.get(key_id, 0), "refused": refused.get(key_id, 0)},
            )
            for key_id in sorted(asked.keys() | refused.keys())
        ]
        if records:
            await self.store.put(records)
            self.requests.subtract(asked)
            self.refused.subtract(refused)
            self.requests += Counter()
            self.refused += Counter()
