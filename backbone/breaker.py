"""The one circuit breaker: stop asking what keeps failing, try again carefully. Pure.

Closed: everything passes. After `threshold` failures in a row it is open: nothing passes for a
delay with full jitter below a ceiling that doubles. Then half open: one try decides. A failure
that names its own pause (a ban, Retry-After) opens at once and for at least that long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

BreakerState = Literal["closed", "half_open", "open"]
PROBE_S = 30.0
"""A probe that has no result after this long is taken for lost."""
AGAIN_S = 0.1
"""Others ask again this soon while a probe is under way."""


class BreakerStatus(msgspec.Struct, gc=False, frozen=True):
    """A breaker as it stands: failures in a row, how often it opened, when it lets a try pass."""

    name: str
    state: BreakerState
    failures: int
    opened: int
    retry_in_ms: int | None = None


class Breaker:
    """Times are monotonic seconds; `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        name: str,
        chance: Callable[[], float],
        *,
        threshold: int = 5,
        first_s: float = 1.0,
        longest_s: float = 60.0,
    ) -> None:
        self.name = name
        self._chance = chance
        self._threshold = threshold
        self._first_s = first_s
        self._longest_s = longest_s
        self._ceiling_s = first_s
        self._until_s: float | None = None
        self._probing_s: float | None = None
        self.failures = 0
        self.opened = 0

    def state(self, now_s: float) -> BreakerState:
        """What it does with a try that comes now."""
        if self._until_s is None:
            return "closed"
        return "open" if now_s < self._until_s else "half_open"

    def wait_s(self, now_s: float) -> float:
        """0 and this try may be made (and must be reported), or how long to wait."""
        if self._until_s is None:
            return 0.0
        if now_s < self._until_s:
            return self._until_s - now_s
        if self._probing_s is not None and now_s - self._probing_s < PROBE_S:
            return AGAIN_S
        self._probing_s = now_s
        return 0.0

    def succeeded(self) -> None:
        """A try had its answer: closed, with the shortest delay again."""
        self._until_s = self._probing_s = None
        self._ceiling_s = self._first_s
        self.failures = 0

    def failed(self, now_s: float, pause_s: float | None = None) -> None:
        """A try failed; `pause_s` is the pause the other side asked for."""
        self.failures += 1
        if pause_s is not None:
            self._open(now_s + pause_s)
        elif self._until_s is not None or self.failures >= self._threshold:
            self._open(now_s + self._delay_s())

    def abandoned(self) -> None:
        """A try ended without saying anything about the other side."""
        self._probing_s = None

    def _delay_s(self) -> float:
        """Full jitter, but never less than a tenth of the ceiling."""
        delay_s = max(0.1, self._chance()) * self._ceiling_s
        self._ceiling_s = min(2 * self._ceiling_s, self._longest_s)
        return delay_s

    def _open(self, until_s: float) -> None:
        if self._until_s is None:
            self.opened += 1
        self._until_s = max(until_s, self._until_s or 0.0)
        self._probing_s = None

    def status(self, now_s: float) -> BreakerStatus:
        """For /status and /metrics."""
        retry_ms = None if self._until_s is None else max(0, int((self._until_s - now_s) * 1_000))
        return BreakerStatus(self.name, self.state(now_s), self.failures, self.opened, retry_ms)
