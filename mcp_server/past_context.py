"""Percentile context of stored windows: each row against what was known when it was published.

A row is compared with complete bars of pages that were over before it began, in the revision that
had been published by then: a later bar, and a later repair of an earlier one, never enter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from backbone.clock import wall_ms
from backbone.store.base import DISTRIBUTIONS, Query, Record, Store
from mcp_server.context import AWAY, NOT_OVER, Hours, days_back, ranks_of, told
from orderflow.context_reports import ContextReport, InstrumentContext
from orderflow.distribution import (
    MEASURES,
    Page,
    hours_of,
    matching_hour,
    page_end,
    page_from_body,
    series_name,
)
from orderflow.errors import StoreError
from orderflow.histogram import Histogram, merge
from orderflow.parts import FootprintPart
from orderflow.report import Report
from orderflow.timeframe import DAY_MS, TIMEFRAMES

R = TypeVar("R", bound=Report)
Rows = Sequence[Sequence[FootprintPart]]
Histograms = dict[str, Histogram]


class Kept(NamedTuple):
    """A page as the store has it now, and since when."""

    page: Page
    series: str
    revision: int
    published_ms: int


class Sliding:
    """Histograms of the pages in a span that only moves forward: each enters and leaves once."""

    def __init__(self, pages: Iterable[Kept], timeframe: str) -> None:
        self.pages = sorted(pages, key=lambda kept: kept.page.start_ms)
        self.timeframe = timeframe
        self.first = self.end = 0
        self.histograms: Histograms = {measure: Histogram() for measure in MEASURES}

    def move(self, from_ms: int, before_ms: int) -> Sequence[Kept]:
        """The pages that begin at `from_ms` or later and are over at `before_ms`."""
        pages = self.pages
        while self.end < len(pages) and self._ends_ms(self.end) <= before_ms:
            self._count(pages[self.end].page, 1)
            self.end += 1
        while self.first < self.end and pages[self.first].page.start_ms < from_ms:
            self._count(pages[self.first].page, -1)
            self.first += 1
        return pages[self.first : self.end]

    def _ends_ms(self, place: int) -> int:
        return page_end(self.pages[place].page.start_ms, self.timeframe)

    def _count(self, page: Page, sign: int) -> None:
        for measure, counted in page.counts.items():
            counts = self.histograms[measure].counts
            for bucket, count in counted.items():
                left = counts.get(bucket, 0) + sign * count
                if left:
                    counts[bucket] = left
                else:
                    del counts[bucket]


class PastContext:
    """Contexts of the rows of a history answer, in one pass over their pages."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def added(
        self, items: list[R], rows: Rows, name: str, hours: Hours, as_of_ms: int | None
    ) -> list[R]:
        """The items, each with the context of its row; unchanged below a minute."""
        if name not in TIMEFRAMES or not rows:
            return items
        contexts = await self.of(rows, name, hours, as_of_ms)
        pairs = zip(items, contexts, strict=True)
        return [item.model_copy(update={"context": context}) for item, context in pairs]

    async def of(
        self, rows: Rows, name: str, hours: Hours, as_of_ms: int | None
    ) -> list[ContextReport]:
        """The context of every row, rows in time order."""
        found: list[dict[str, InstrumentContext]] = [{} for _ in rows]
        reason = None
        try:
            for place in range(len(rows[0])):
                column = [parts[place] for parts in rows]
                for one, context in zip(
                    found, await self._column(column, name, hours, as_of_ms), strict=True
                ):
                    if context is not None:
                        one[column[0].instrument.name] = context
        except StoreError:
            found, reason = [{} for _ in rows], AWAY
        starts = [parts[0].window.start_ms for parts in rows]
        return [
            told(name, hours, start, one, None if one else reason or NOT_OVER)
            for start, one in zip(starts, found, strict=True)
        ]

    async def _column(
        self, column: Sequence[FootprintPart], name: str, hours: Hours, as_of_ms: int | None
    ) -> list[InstrumentContext | None]:
        """One instrument's contexts; None for a window that is not over."""
        days = days_back(hours)
        span = (column[0].window.start_ms - days * DAY_MS, column[-1].window.start_ms)
        sliding: dict[int, Sliding] = {}
        contexts: list[InstrumentContext | None] = []
        for part in column:
            window = part.window
            if window.end_ms > part.now_ms:
                contexts.append(None)
                continue
            hour = matching_hour(window, name) if hours == "same" else -1
            if hour not in sliding:
                starts = [hour] if hours == "same" else hours_of(name)
                pages = await self._pages(part, name, starts, span, as_of_ms)
                sliding[hour] = Sliding(pages, name)
            slide = sliding[hour]
            held = slide.move(window.start_ms - days * DAY_MS, window.start_ms)
            known = slide.histograms
            if as_of_ms is None and part.published_ms is not None:
                known = await self._known(held, part, part.published_ms, known)
            contexts.append(ranks_of(part, name, known))
        return contexts

    async def _pages(
        self,
        part: FootprintPart,
        name: str,
        starts: Sequence[int],
        span: tuple[int, int],
        as_of_ms: int | None,
    ) -> list[Kept]:
        found = []
        most = (span[1] - span[0]) // DAY_MS + 2
        for start in starts:
            series = series_name(name, start)
            wall = wall_ms()
            query = Query(
                DISTRIBUTIONS, part.instrument.name, series, *span, wall, most, as_of_ms or wall
            )
            found += [_kept(record, series) for record in await self.store.query(query)]
        return found

    async def _known(
        self, held: Sequence[Kept], part: FootprintPart, published_ms: int, newest: Histograms
    ) -> Histograms:
        """What had been published with the row: pages of later are left out or read as they were;
        `newest` where that changes nothing."""
        late = [kept for kept in held if kept.published_ms > published_ms]
        if not late:
            return newest
        pages = [kept.page for kept in held if kept.published_ms <= published_ms]
        for kept in late:
            if kept.revision:
                start = kept.page.start_ms
                span = (start, start + 1)
                query = Query(
                    DISTRIBUTIONS,
                    part.instrument.name,
                    kept.series,
                    *span,
                    wall_ms(),
                    1,
                    published_ms,
                )
                records = await self.store.query(query)
                pages += [page_from_body(record.start_ms, record.body) for record in records]
        return {measure: merge(page.histogram(measure) for page in pages) for measure in MEASURES}


def _kept(record: Record, series: str) -> Kept:
    page = page_from_body(record.start_ms, record.body)
    return Kept(page, series, record.revision, record.published_at_ms)
