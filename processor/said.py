"""What was last said of every closed window, by instrument. Pure.

A checkpoint holds what was said of one instrument, so nobody ever looks through those of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orderflow.completeness import Quality

Key = tuple[str, str, int]
"""Instrument, timeframe and start of a window."""


class Said(NamedTuple):
    """What was last said of a closed window."""

    revision: int
    content_hash: str
    quality: Quality


class SaidBook:
    """A mapping by `Key`, kept by instrument."""

    def __init__(self) -> None:
        self._books: dict[str, dict[tuple[str, int], Said]] = {}

    def get(self, key: Key) -> Said | None:
        """What was said of a window, if anything was."""
        book = self._books.get(key[0])
        return None if book is None else book.get(key[1:])

    def __getitem__(self, key: Key) -> Said:
        return self._books[key[0]][key[1:]]

    def __setitem__(self, key: Key, said: Said) -> None:
        self._books.setdefault(key[0], {})[key[1:]] = said

    def items(self) -> Iterator[tuple[Key, Said]]:
        """Everything."""
        for name, book in self._books.items():
            for (timeframe, start_ms), said in book.items():
                yield (name, timeframe, start_ms), said

    def of(self, instrument: str) -> Iterator[tuple[str, int, Said]]:
        """Timeframe, start and what was said, of one instrument."""
        for (timeframe, start_ms), said in self._books.get(instrument, {}).items():
            yield timeframe, start_ms, said

    def forget(self, instrument: str, before_ms: int) -> None:
        """Drop the windows of an instrument that began before."""
        book = self._books.get(instrument)
        if book is not None:
            for key in [key for key in book if key[1] < before_ms]:
                del book[key]
