"""When to try again: doubling pauses with full jitter, and a limit on attempts. Pure."""

from __future__ import annotations

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 60.0


class Backoff:
    """Pauses of 1 s doubling to 60 s, each drawn evenly from zero up to that (full jitter)."""

    def __init__(
        self, draw: Callable[[], float], first_s: float = FIRST_S, longest_s: float = LONGEST_S
    ) -> None:
        self._draw = draw
        self._first_s = first_s
        self._longest_s = longest_s
        self.failures = 0

    def next_s(self) -> float:
        """The pause before the next attempt."""
        ceiling = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return ceiling * self._draw()

    def succeeded(self) -> None:
        """Data came: start over."""
        self.failures = 0


class Bucket:
    """A token bucket: `rate_per_s` tokens a second, at most `burst` saved up."""

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.tokens = burst
        self._at_s = now_s

    def wait_s(self, tokens: float, now_s: float) -> float:
        """Take tokens now or in advance; the seconds to wait before using them."""
        self.tokens = min(self.burst, self.tokens + (now_s - self._at_s) * self.rate_per_s)
        self._at_s = now_s
        self.tokens -= tokens
        return max(0.0, -self.tokens / self.rate_per_s)
