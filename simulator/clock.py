"""Tape time at play speed: what the simulated venues call now."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_SPEED = 0.0
"""Play as fast as the reader takes: the clock is the newest time delivered."""


def parse_speed(text: str) -> float:
    """`max` or a positive number."""
    speed = MAX_SPEED if text == "max" else float(text)
    if speed < 0 or (speed == 0 and text != "max"):
        raise ValueError("speed must be max or a positive number")
    return speed


class PlayClock:
    """Starts at a tape time, runs once started; at full speed it is moved by the player."""

    def __init__(
        self, start_ms: int, speed: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.start_ms = start_ms
        self.speed = speed
        self.offset_ms = 0
        self._monotonic = monotonic
        self._started_s: float | None = None
        self._moved_ms = start_ms

    def start(self) -> None:
        """Time begins to pass."""
        if self._started_s is None:
            self._started_s = self._monotonic()

    def move(self, event_ms: int) -> None:
        """At full speed: everything up to here was delivered."""
        self._moved_ms = max(self._moved_ms, event_ms)

    def run_on(self) -> None:
        """The tape is over: go on from here in real time."""
        self.start_ms = self.tape_ms()
        self.speed = 1.0
        self._started_s = self._monotonic()

    def tape_ms(self) -> int:
        """The tape's own now."""
        if self._started_s is None:
            return self.start_ms
        if self.speed == MAX_SPEED:
            return self._moved_ms
        return self.start_ms + int((self._monotonic() - self._started_s) * 1_000 * self.speed)

    def now_ms(self) -> int:
        """What the venue says it is: tape time, plus a fault's offset."""
        return self.tape_ms() + self.offset_ms
