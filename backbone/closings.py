"""Closings: which windows closed or were revised, at which position of the updates. Pure.

A stream of answers that was interrupted finds here what it missed, as long as it is kept.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MOST = 20_000


class Closing(NamedTuple):
    """A window of one instrument that closed or was revised; `start_ms` is exchange time."""

    position: int
    instrument: str
    timeframe: str
    start_ms: int
    revision: int


class Closings:
    """The newest of them in order; everything after position `floor` is here."""

    def __init__(self, most: int = MOST) -> None:
        self.floor = 0
        self._most = most
        self._kept: deque[Closing] = deque()

    def add(self, closing: Closing) -> None:
        """One more, at a position not before the last one."""
        self._kept.append(closing)
        if len(self._kept) > self._most:
            self.floor = self._kept.popleft().position

    def since(self, position: int) -> list[Closing]:
        """Those after a position, in order; ask for none before `floor`."""
        found: list[Closing] = []
        for closing in reversed(self._kept):
            if closing.position <= position:
                break
            found.append(closing)
        found.reverse()
        return found

    def restart(self, floor: int) -> None:
        """What came until this position was not seen, or counts otherwise."""
        self._kept.clear()
        self.floor = floor
