"""What was made of closed minutes and is asked for again and again. Pure.

The closed part of a rolling window stays what it is for a minute, while it is asked for ten times a
second: merged once, an answer merges it with the open minute. A sum is good as long as no minute of
its stream was added, changed, packed or let go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from typing import TypeVar

from processor.history import MinuteHistory

T = TypeVar("T")
MOST_ROWS = 150_000
"""Rows of all that is kept together, about 25 MB; what was not asked for the longest goes first."""
EACH = 32
"""Whatever is kept counts as so many rows more than it has."""


class Kept:
    """Results by history and name."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most = most_rows
        self._rows = 0
        self._kept: OrderedDict[tuple[MinuteHistory, Hashable], tuple[int, int, Sized]] = (
            OrderedDict()
        )

    def found(
        self,
        history: MinuteHistory,
        name: Hashable,
        make: Callable[[], T],
        rows: Callable[[T], int] = len,  # type: ignore[assignment]
    ) -> T:
        """What `make` gives, made anew only after the history changed."""
        key = (history, name)
        known = self._kept.pop(key, None)
        if known is not None and known[0] == history.changes:
            self._kept[key] = known
            return known[2]  # type: ignore[return-value]
        if known is not None:
            self._rows -= known[1]
        result = make()
        weight = rows(result) + EACH
        self._kept[key] = (history.changes, weight, result)  # type: ignore[assignment]
        self._rows += weight
        while self._rows > self._most:
            self._rows -= self._kept.popitem(last=False)[1][1]
        return result
