"""Percentile context: a window's numbers against the instrument's own earlier bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from backbone.clock import wall_ms
from backbone.live import LiveView
from backbone.store.base import DISTRIBUTIONS, Query, Store
from mcp_server.parameters import Question
from orderflow.answers import Wanted, iso
from orderflow.context_reports import ContextReport, InstrumentContext, RankReport
from orderflow.distribution import (
    ALL_HOURS_DAYS,
    LEAST_N,
    MEASURES,
    SAME_HOUR_DAYS,
    SIGNED,
    Measure,
    hours_of,
    is_complete,
    matching_hour,
    measures,
    over_before,
    page_from_body,
    page_start,
    series_name,
)
from orderflow.errors import StoreError
from orderflow.histogram import Histogram, merge
from orderflow.parts import FootprintPart
from orderflow.report import Report
from orderflow.symbols import Selection
from orderflow.timeframe import DAY_MS, MINUTE_MS, TIMEFRAMES, Window, floor_ms

Hours = Literal["same", "all"]
R = TypeVar("R", bound=Report)
FRESH_MS = 60_000
"""Merged histories are read from the store again after so long."""
MOST_CACHED = 2_000
CLOSING_MINUTES = 3
"""A closed minute is looked for so far back."""
TOO_SHORT = "distributions are kept for timeframes of a minute and longer"
NOT_OVER = "the window is not over; ask for window=rolling"
AWAY_MS = 5_000
AWAY = "the stored history can't be read right now"
NOT_SEEN = "the instrument has no closed window of this length yet"


def hours_asked(asked: Question) -> Hours:
    """The hours a question wants to be compared with."""
    return "all" if asked.context == "all_hours" else "same"


def days_back(hours: Hours) -> int:
    """How many days of history a window is compared with."""
    return SAME_HOUR_DAYS if hours == "same" else ALL_HOURS_DAYS


def told(
    name: str,
    hours: Hours,
    before_ms: int,
    found: dict[str, InstrumentContext],
    reason: str | None,
) -> ContextReport:
    """The context of a window that begins at `before_ms`, or why there is none."""
    return ContextReport(
        timeframe=name,
        hours=hours,
        days=days_back(hours),
        least_n=LEAST_N,
        before=iso(before_ms),
        window=iso(before_ms) if found else None,
        instruments=found,
        reason=reason,
    )


class History(NamedTuple):
    """Merged histograms by measure, and how they were read."""

    histograms: Mapping[str, Histogram]
    read_wall_ms: int


class Context:
    """Percentiles from the `distributions` collection, cached for a minute."""

    def __init__(self, live: LiveView, store: Store) -> None:
        self.live = live
        self.store = store
        self.cache: dict[tuple[str, str, str, int], History] = {}
        self._away_until_ms = 0

    async def added(
        self, report: R, asked: Question, selection: Selection, window: Window, wanted: Wanted
    ) -> R:
        """The report with its context, where a full answer asks for it."""
        if asked.detail != "full" or asked.context == "none":
            return report
        found = await self.of(selection, wanted.name, window, wanted.kind, hours_asked(asked))
        return report.model_copy(update={"context": found})

    async def of(
        self, selection: Selection, name: str, window: Window, kind: str, hours: Hours
    ) -> ContextReport:
        """The context of a window: of its closed minutes when it rolls."""
        now = max(self.live.now_ms(i.name) for i in selection.instruments)
        reason = None
        if name not in TIMEFRAMES:
            reason = TOO_SHORT
        elif kind == "aligned" and window.end_ms > now:
            reason = NOT_OVER
        found: dict[str, InstrumentContext] = {}
        before = window.start_ms
        if reason is None:
            parts = [self._closed(item.name, window) for item in selection.instruments]
            seen = [part for part in parts if part is not None]
            before = min([before, *(part.window.start_ms for part in seen)])
            found, reason = await self._instruments(seen, name, hours)
        return told(name, hours, before, found, reason)

    async def _instruments(
        self, parts: Sequence[FootprintPart], name: str, hours: Hours
    ) -> tuple[dict[str, InstrumentContext], str | None]:
        """Contexts by instrument, or why there is none; a store that failed is left in peace."""
        wall = wall_ms()
        if wall < self._away_until_ms:
            return {}, AWAY
        try:
            found = {
                part.instrument.name: await self._instrument(part, name, hours) for part in parts
            }
        except StoreError:
            self._away_until_ms = wall + AWAY_MS
            return {}, AWAY
        return found, None if found else NOT_SEEN

    def _closed(self, instrument: str, window: Window) -> FootprintPart | None:
        """The newest window of this length, not after the asked one, whose minutes are closed."""
        now = self.live.now_ms(instrument)
        end = min(window.end_ms, floor_ms(now, MINUTE_MS))
        for _ in range(CLOSING_MINUTES):
            part = self.live.footprint(instrument, Window(end - window.length_ms, end))
            if part is not None and part.quality.closed:
                return part
            end -= MINUTE_MS
        return None

    async def _instrument(self, part: FootprintPart, name: str, hours: Hours) -> InstrumentContext:
        history = await self._history(part.instrument.name, name, part.window, hours)
        return ranks_of(part, name, history.histograms)

    async def _history(self, instrument: str, name: str, window: Window, hours: Hours) -> History:
        """Histograms of the bars that ended before the window began."""
        before = page_start(window.start_ms, name)
        hour = matching_hour(window, name) if hours == "same" else 0
        key = (instrument, name, hours, before + hour)
        wall = wall_ms()
        known = self.cache.get(key)
        if known is not None and wall - known.read_wall_ms < FRESH_MS:
            return known
        starts = [hour] if hours == "same" else hours_of(name)
        days = days_back(hours)
        merged: dict[str, list[Histogram]] = {measure: [] for measure in MEASURES}
        for start in starts:
            series = series_name(name, start)
            span = (window.start_ms - days * DAY_MS, window.start_ms)
            records = await self.store.query(
                Query(DISTRIBUTIONS, instrument, series, *span, wall, days + 1, wall)
            )
            pages = [page_from_body(record.start_ms, record.body) for record in records]
            for page in over_before(pages, name, window.start_ms):
                for measure in MEASURES:
                    merged[measure].append(page.histogram(measure))
        history = History({measure: merge(parts) for measure, parts in merged.items()}, wall)
        while len(self.cache) >= MOST_CACHED:
            del self.cache[next(iter(self.cache))]
        self.cache[key] = history
        return history


def ranks_of(
    part: FootprintPart, name: str, histograms: Mapping[str, Histogram]
) -> InstrumentContext:
    """The numbers of a window, each against its histogram."""
    found = measures(part.bar.flow, TIMEFRAMES[name])
    incomplete = None if is_complete(part.quality) else f"the window is {part.quality.state}"
    return InstrumentContext(
        **{
            measure: _rank(measure, value, histograms[measure], incomplete)
            for measure, value in found.items()
        }
    )


def _rank(name: str, measure: Measure, history: Histogram, incomplete: str | None) -> RankReport:
    """One number's rank, or why it has none."""
    n = history.n
    reason = incomplete
    if measure.bucket is None:
        reason = "not defined without trades"
    elif reason is None and n < LEAST_N:
        reason = f"{n} complete bars; at least {LEAST_N} are needed"
    if reason is not None or measure.bucket is None:
        return RankReport(
            value=measure.value, percentile=None, at_least=None, at_most=None, n=n, reason=reason
        )
    rank = history.rank(measure.bucket)
    folded = history.folded().rank(abs(measure.bucket)) if name in SIGNED else None
    return RankReport(
        value=measure.value,
        percentile=rank.percentile,
        at_least=rank.at_least,
        at_most=rank.at_most,
        magnitude_percentile=None if folded is None else folded.percentile,
        n=n,
    )
