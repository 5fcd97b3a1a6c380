"""The REST weight one address may use: a fifth for everyday work, most of it for repairs. Pure.

In no 60 seconds more than the share is used, however the venue cuts its minutes: a part of the
share may be used at once, and only the rest of it flows in over a minute.
"""

from __future__ import annotations

EVERYDAY_SHARE = 0.2
REPAIR_SHARE = 0.8


AT_ONCE = 0.05


class TokenBucket:
    """At most `most` tokens in any minute: a twentieth of them at once, the rest evenly."""

    def __init__(self, most: float) -> None:
        self.size = most * AT_ONCE
        self.per_minute = most - self.size
        self.tokens = self.size
        self._filled_at_s: float | None = None

    def wait_s(self, weight: float, now_s: float) -> float:
        """Seconds until `weight` tokens are there; a heavier question waits for a full bucket."""
        if self._filled_at_s is not None:
            earned = (now_s - self._filled_at_s) * self.per_minute / 60
            self.tokens = min(self.size, self.tokens + earned)
        self._filled_at_s = now_s
        missing = min(weight, self.size) - self.tokens
        return 0.0 if missing <= 1e-9 else missing * 60 / self.per_minute

    def take(self, weight: float) -> None:
        """Use tokens."""
        self.tokens -= weight


class Budget:
    """Weight of one address; everyday questions leave the rest to repairs."""

    def __init__(self, weight_per_minute: int) -> None:
        self.weight_per_minute = weight_per_minute
        self.used = 0
        self._all = TokenBucket(weight_per_minute * REPAIR_SHARE)
        self._everyday = TokenBucket(weight_per_minute * EVERYDAY_SHARE)

    def wait_s(self, weight: int, now_s: float, *, repairing: bool) -> float:
        """0 and the weight is used, or how long to wait before asking again."""
        buckets = [self._all] if repairing else [self._all, self._everyday]
        wait_s = max(bucket.wait_s(weight, now_s) for bucket in buckets)
        if wait_s == 0.0:
            self.used += weight
            for bucket in buckets:
                bucket.take(weight)
        return wait_s
