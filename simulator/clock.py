"""The simulated venues' clock: tape time at play speed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orderflow.errors import ConfigError

MAX = "max"


def loop_s() -> float:
    """Seconds of the running event loop, which tests may drive."""
    return asyncio.get_running_loop().time()


def parse_speed(text: str) -> float | str:
    """`max` or a positive number; ConfigError for anything else."""
    try:
        speed = MAX if text == MAX else float(text)
    except ValueError:
        speed = 0.0
    if speed != MAX and not 0 < float(speed) < float("inf"):
        raise ConfigError("speed must be max or a positive number")
    return speed


class PlayClock:
    """Tape time in ms. `monotonic_s` is the wall clock it runs on.

    At a numeric speed time flows once started. At `max` it stands wherever the player has moved it,
    until `run_on` lets it flow in real time after the tape.
    """

    def __init__(self, start_ms: int, speed: float | str, monotonic_s: Callable[[], float]) -> None:
        if speed != MAX and not (isinstance(speed, (int, float)) and speed > 0):
            raise ValueError(f"speed is a positive number or 'max', not {speed!r}")
        self.speed: float | None = None if speed == MAX else float(speed)
        self._monotonic_s = monotonic_s
        self._base_ms = start_ms
        self._started_s: float | None = None

    def now_ms(self) -> int:
        """Tape time."""
        if self._started_s is None or self.speed is None:
            return self._base_ms
        return self._base_ms + int((self._monotonic_s() - self._started_s) * 1000 * self.speed)

    def start(self) -> None:
        """Let time flow from here on (at `max`: nothing flows, the player moves)."""
        if self._started_s is None:
            self._started_s = self._monotonic_s()

    def move_to(self, now_ms: int) -> None:
        """Stand at a later time; one that flow has reached already changes nothing."""
        if now_ms > self.now_ms():
            self._base_ms = now_ms
            self._started_s = self._started_s and self._monotonic_s()

    def run_on(self) -> None:
        """Flow in real time from now on, whatever the speed was (slower speeds are kept)."""
        if self.speed is None:
            self.speed = 1.0
            self._started_s = self._monotonic_s()
