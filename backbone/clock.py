"""The three clocks: exchange time is in the trades; here are wall time and the venue's own time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

Monotonic = Callable[[], float]
"""Seconds that never go back."""

monotonic_s: Monotonic = time.monotonic


_wall_ns: list[Callable[[], int]] = [time.time_ns]


def wall_ms() -> int:
    """Wall time in UTC milliseconds: for publishing and expiry, never for buckets."""
    return _wall_ns[-1]() // 1_000_000


@contextlib.contextmanager
def wall_clock(now_ns: Callable[[], int]) -> Iterator[None]:
    """Another wall clock for the whole process meanwhile: runs in virtual time have their own."""
    _wall_ns.append(now_ns)
    try:
        yield
    finally:
        _wall_ns.pop()


def monotonic_ms() -> int:
    """Monotonic milliseconds, for timers."""
    return int(time.monotonic() * 1_000)


class VenueClock:
    """What time it is at a venue: the newest exchange time seen, and monotonic time since then.

    It never goes back, and it follows a tape that is played faster than real time.
    """

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen_ms = 0
        self._seen_at_s = 0.0

    @property
    def known(self) -> bool:
        """False before the venue said anything."""
        return self._seen_ms > 0

    def observe(self, event_ms: int) -> None:
        """The venue stamped something with this time."""
        if event_ms > self.now_ms():
            self._seen_ms, self._seen_at_s = event_ms, self._monotonic()

    def now_ms(self) -> int:
        """The venue's time; 0 while it is not known."""
        if not self._seen_ms:
            return 0
        return self._seen_ms + int((self._monotonic() - self._seen_at_s) * 1_000)


class ForwardClock:
    """The wall clock, but never earlier than before: a store keeps the later of two writes, and a
    clock that was set back must not make the newer one lose."""

    def __init__(self, clock: Callable[[], int] = wall_ms) -> None:
        self._clock = clock
        self._newest_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        self._newest_ms = max(self._newest_ms, self._clock())
        return self._newest_ms
