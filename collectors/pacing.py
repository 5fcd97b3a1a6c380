"""How fast to try again: backoff with full jitter, and a limit of connects. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Chance = Callable[[], float]
"""A number in [0, 1)."""


class Backoff:
    """Delays in seconds: full jitter below a ceiling that doubles until `reset`."""

    def __init__(self, chance: Chance, first_s: float = 1.0, longest_s: float = 60.0) -> None:
        self._chance = chance
        self._first_s = first_s
        self._longest_s = longest_s
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """The delay before the next try."""
        delay = self._chance() * self._ceiling_s
        self._ceiling_s = min(2 * self._ceiling_s, self._longest_s)
        return delay

    def reset(self) -> None:
        """It worked: begin with the shortest delay again."""
        self._ceiling_s = self._first_s


class ConnectLimiter:
    """Connects of one venue: a first burst, then one per second, and 150 in five minutes.

    Binance allows 300 in five minutes and address, Bybit 500; a second collector of the venue may
    use the same address.
    """

    def __init__(
        self, burst: int = 10, per_window: int = 150, window_s: float = 300.0, every_s: float = 1.0
    ) -> None:
        self._tokens = float(burst)
        self._burst = float(burst)
        self._every_s = every_s
        self._per_window = per_window
        self._window_s = window_s
        self._filled_at_s: float | None = None
        self._taken: deque[float] = deque()

    def wait_s(self, now_s: float) -> float:
        """0 and one connect is counted, or how long to wait before asking again."""
        if self._filled_at_s is not None:
            earned = (now_s - self._filled_at_s) / self._every_s
            self._tokens = min(self._burst, self._tokens + earned)
        self._filled_at_s = now_s
        while self._taken and self._taken[0] <= now_s - self._window_s:
            self._taken.popleft()
        if len(self._taken) >= self._per_window:
            return self._taken[0] + self._window_s - now_s
        if self._tokens < 1:
            return (1 - self._tokens) * self._every_s
        self._tokens -= 1
        self._taken.append(now_s)
        return 0.0
