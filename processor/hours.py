"""The distribution keeper: complete bars of a stream by hour, ready to be stored. Pure.

A page is due when its hour is over, and again whenever one of its bars changes what is counted.
Putting a bar twice changes nothing, so pages can be rebuilt from stored bars at any time.
"""

from __future__ import annotations

from typing import NamedTuple

from orderflow.completeness import Quality
from orderflow.distribution import Page, buckets, is_complete, page_end, page_of, page_start
from orderflow.flow import FlowBar
from orderflow.timeframe import HOUR_MS, TIMEFRAMES

KEPT_MS = HOUR_MS
"""Pages stay for revisions so long after their end."""


class DuePage(NamedTuple):
    """A page to be stored."""

    instrument: str
    timeframe: str
    page: Page
    revision: int


class Book:
    """The bars of one page, and what was last said of it."""

    __slots__ = ("bars", "changed", "frozen", "revision", "said")

    def __init__(self, said: Page | None = None, revision: int = -1) -> None:
        self.bars: dict[int, tuple[int | None, ...]] = {}
        self.changed = self.frozen = False
        self.said = said
        self.revision = revision


class HourPages:
    """Pages of one instrument that may still change."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.books: dict[tuple[str, int], Book] = {}
        self.newest_ms: dict[str, int] = {}

    def missing(self, timeframe: str, bar: FlowBar) -> list[int]:
        """Starts of the pages that must be loaded before this bar can be put.

        At first the page before as well: its end may have fallen into a stop.
        """
        start = page_start(bar.start_ms, timeframe)
        newest = self.newest_ms.get(timeframe)
        if newest is None:
            return [page_start(start - 1, timeframe), start]
        known = (timeframe, start) in self.books
        return [] if known or start >= newest else [start]

    def load(self, timeframe: str, start_ms: int, said: Page | None, revision: int) -> None:
        """A page as it was stored, or its absence; its bars are to be put again."""
        self.books.setdefault((timeframe, start_ms), Book(said, revision))

    def loaded(self, timeframe: str, start_ms: int) -> None:
        """Every stored bar of a loaded page was put: a page whose bars have expired stays."""
        book = self.books[timeframe, start_ms]
        book.frozen = book.said is not None and len(book.bars) < book.said.bars

    def put(self, timeframe: str, bar: FlowBar, quality: Quality) -> None:
        """Count a closed bar, or count it anew; an incomplete one is not counted."""
        start = page_start(bar.start_ms, timeframe)
        book = self.books.setdefault((timeframe, start), Book())
        length = TIMEFRAMES[timeframe]
        before = book.bars.get(bar.start_ms)
        if is_complete(quality):
            book.bars[bar.start_ms] = buckets(bar, length)
        else:
            book.bars.pop(bar.start_ms, None)
        book.changed = book.changed or before != book.bars.get(bar.start_ms)
        self.newest_ms[timeframe] = max(self.newest_ms.get(timeframe, 0), bar.end_ms)

    def due(self) -> list[DuePage]:
        """Pages that are over and differ from what was last said."""
        found = []
        for (timeframe, start), book in self.books.items():
            over = page_end(start, timeframe) <= self.newest_ms.get(timeframe, 0)
            if not over or not book.changed:
                continue
            book.changed = False
            page = page_of(start, book.bars.values())
            if page == book.said or (book.said is None and page.bars == 0) or book.frozen:
                continue
            book.said, book.revision = page, book.revision + 1
            found.append(DuePage(self.instrument, timeframe, page, book.revision))
        self._forget()
        return found

    def _forget(self) -> None:
        """Let go of pages that ended long before the newest bar of their timeframe."""
        for timeframe, start in list(self.books):
            if page_end(start, timeframe) + KEPT_MS <= self.newest_ms.get(timeframe, 0):
                del self.books[timeframe, start]
