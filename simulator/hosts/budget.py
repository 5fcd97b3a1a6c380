"""Request weight per minute: the used weight, then 429 with Retry-After, then a ban."""

from __future__ import annotations

import time
from collections.abc import Callable

BAN_AFTER = 5
BAN_S = 120


class WeightBudget:
    """Counts weight in fixed minutes, as the venue's header does."""

    def __init__(self, limit: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.used = 0
        self.refused = 0
        self._monotonic = monotonic
        self._minute_s = monotonic()
        self._banned_until_s = 0.0

    def spend(self, weight: int) -> tuple[int, int]:
        """(status, Retry-After seconds): 200, 429 over the limit, 418 for going on."""
        now = self._monotonic()
        if now < self._banned_until_s:
            return 418, int(self._banned_until_s - now) + 1
        if now - self._minute_s >= 60:
            self._minute_s, self.used, self.refused = now, 0, 0
        self.used += weight
        if self.used <= self.limit:
            return 200, 0
        self.refused += 1
        if self.refused > BAN_AFTER:
            self._banned_until_s = now + BAN_S
            return 418, BAN_S
        return 429, int(60 - (now - self._minute_s)) + 1
