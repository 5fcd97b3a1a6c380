"""The REST weight one address may use: a fifth for everyday work, most of it for repairs. Pure."""

from __future__ import annotations

EVERYDAY_SHARE = 0.2
REPAIR_SHARE = 0.8


class TokenBucket:
    """Tokens that fill up evenly over a minute."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.tokens = per_minute
        self._filled_at_s: float | None = None

    def wait_s(self, weight: float, now_s: float) -> float:
        """Seconds until `weight` tokens are there; a heavier question waits for a full bucket."""
        if self._filled_at_s is not None:
            earned = (now_s - self._filled_at_s) * self.per_minute / 60
            self.tokens = min(self.per_minute, self.tokens + earned)
        self._filled_at_s = now_s
        missing = min(weight, self.per_minute) - self.tokens
        return max(0.0, missing * 60 / self.per_minute)

    def take(self, weight: float) -> None:
        """Use tokens."""
        self.tokens -= weight


class Budget:
    """Weight of one address; everyday questions leave the rest to repairs."""

    def __init__(self, weight_per_minute: int) -> None:
        self._all = TokenBucket(weight_per_minute * REPAIR_SHARE)
        self._everyday = TokenBucket(weight_per_minute * EVERYDAY_SHARE)

    def wait_s(self, weight: int, now_s: float, *, repairing: bool) -> float:
        """0 and the weight is used, or how long to wait before asking again."""
        buckets = [self._all] if repairing else [self._all, self._everyday]
        wait_s = max(bucket.wait_s(weight, now_s) for bucket in buckets)
        if wait_s == 0.0:
            for bucket in buckets:
                bucket.take(weight)
        return wait_s
