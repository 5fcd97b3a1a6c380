"""The chronicle: distributions, events and their outcomes of every stream. Pure.

It is told what closed or was revised, and says what is to be stored. What it needs from the store
it asks for first (`missing`), so that a restart, a late repair and normal work are one road.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from orderflow.completeness import Quality
from orderflow.content import bar_hash
from orderflow.detectors import ACROSS, DEPTHS, RULES
from orderflow.detectors.rule import Finding, Look
from orderflow.distribution import Page, is_complete, page_end
from orderflow.event import CORRECTION, HORIZONS_MIN, Change, Event, Source, event_id
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS, TIMEFRAMES
from processor.engine import Results
from processor.eventmaker import KEPT_MS, DueEvents, EventMaker, Minutes, Seen
from processor.hours import DuePage, HourPages
from processor.recent import SLACK, MarketsOf, RecentBars, RowsOf, spot_of

OVERDUE_MS = 24 * 60 * MINUTE_MS
"""After a start, outcomes of events this old are still looked for."""
CORRECTION_RULE = "correction/1"
TRACKED = frozenset({"1m", *DEPTHS})
"""Timeframes of which the newest bars are held."""


def _nobody(name: str) -> None:
    """No other stream."""


class Need(NamedTuple):
    """Something stored that must be loaded first; `what`: events, page or recent."""

    what: str
    timeframe: str
    start_ms: int
    end_ms: int


class Closed(msgspec.Struct, gc=False, frozen=True):
    """A bar that closed or was revised."""

    timeframe: str
    bar: FootprintBar
    quality: Quality
    content_hash: str

    @property
    def flow(self) -> FlowBar:
        """Its flow."""
        return self.bar.flow


class Due(NamedTuple):
    """What is to be stored."""

    events: list[DueEvents]
    pages: list[DuePage]


class Chapter:
    """Everything the chronicle holds of one instrument; bounded by time.

    `spot_minutes`: closed minutes of the spot market of a perpetual, None where it isn't collected.
    """

    def __init__(
        self, instrument: str, spot_minutes: Callable[[str], Minutes | None] = _nobody
    ) -> None:
        self.instrument = instrument
        self.spot_name = spot_of(instrument)
        self.spot_minutes = spot_minutes
        self.maker = EventMaker(instrument)
        self.hours = HourPages(instrument)
        self.recent = RecentBars()
        self.recent_loaded: set[str] = set()
        self.newest_ms = 0

    # What is stored already

    def missing(self, closed: Sequence[Closed]) -> list[Need]:
        """What must be loaded before these bars can be taken."""
        needs: dict[Need, None] = {}
        for bar in closed:
            name, start, end = bar.timeframe, bar.flow.start_ms, bar.flow.end_ms
            for page in self.hours.missing(name, bar.flow):
                needs[Need("page", name, page, page_end(page, name))] = None
            if name in TRACKED and name not in self.recent_loaded:
                span = (DEPTHS.get(name, 0) + SLACK) * TIMEFRAMES[name]
                needs[Need("recent", name, start - span, start)] = None
            if self.maker.from_ms is None:
                first = start - OVERDUE_MS - KEPT_MS
                needs[Need("events", "1m", first, end + MINUTE_MS)] = None
                continue
            pages = [end]
            if name == "1m":
                pages += [end - horizon * MINUTE_MS for horizon in HORIZONS_MIN]
            for at in pages:
                if self.maker.missing(at):
                    needs[Need("events", "1m", at, at + MINUTE_MS)] = None
        return sorted(needs, key=lambda need: ("events", "page", "recent").index(need.what))

    def load_events(self, need: Need, stored: Sequence[tuple[int, list[Event], int]]) -> None:
        """Pages as (minute, events, revision); those that are not stored are empty."""
        for minute, events, revision in stored:
            self.maker.load(minute, events, revision)
        if self.maker.from_ms is None:
            self.maker.from_ms = need.start_ms
        else:
            self.maker.loaded.add(need.start_ms)

    def load_page(
        self, need: Need, said: tuple[Page, int] | None, bars: Sequence[tuple[FlowBar, Quality]]
    ) -> None:
        """A distribution page as it was stored, and the bars it is made of."""
        page, revision = said if said is not None else (None, -1)
        self.hours.load(need.timeframe, need.start_ms, page, revision)
        for bar, quality in bars:
            self.hours.put(need.timeframe, bar, quality)
        self.hours.loaded(need.timeframe, need.start_ms)

    def load_recent(
        self,
        need: Need,
        bars: Sequence[tuple[FootprintBar, Quality]],
        minutes: Minutes,
        wall_ms: int,
    ) -> None:
        """Earlier bars of a timeframe; the newest are looked at again.

        Their events may have been lost in a stop; those that were not stay as they are.
        """
        loaded = [
            Closed(need.timeframe, bar, quality, bar_hash([self.instrument], need.timeframe, bar))
            for bar, quality in bars
        ]
        for bar in loaded:
            self.recent.put(bar.timeframe, bar.bar, bar.quality, bar.content_hash)
        self.recent_loaded.add(need.timeframe)
        for bar in loaded[-SLACK:]:
            if not self.maker.missing(bar.flow.end_ms):
                self._look(bar, minutes, wall_ms, None)
                self.maker.fill_page(bar.flow.end_ms, minutes, wall_ms)

    # What happened

    def take(self, closed: Sequence[Closed], minutes: Minutes, wall_ms: int) -> Due:
        """Everything that follows from bars that closed or were revised."""
        corrections = self._corrections(closed, wall_ms)
        changed: dict[str, list[str]] = {id: [] for id in corrections.values()}
        for bar in closed:
            correction = self._cause(bar, corrections)
            self.hours.put(bar.timeframe, bar.flow, bar.quality)
            if bar.timeframe not in TRACKED:
                continue
            self.recent.put(bar.timeframe, bar.bar, bar.quality, bar.content_hash)
            ids = self._look(bar, minutes, wall_ms, correction)
            if correction is not None:
                start = bar.flow.start_ms
                ids += self.maker.question(bar.timeframe, start, wall_ms, correction)
                changed[correction] += ids
        self._say(closed, corrections, changed, wall_ms)
        self._fill(closed, minutes, wall_ms)
        return self.due()

    def due(self) -> Due:
        """Everything that changed; what can't change any more is let go."""
        found = Due(self.maker.due(), self.hours.due())
        self.maker.forget_before(self.newest_ms - KEPT_MS)
        return found

    def fill_overdue(self, pages: Sequence[int], minutes: Minutes, wall_ms: int) -> None:
        """Outcomes of loaded pages that became due in the meantime."""
        for minute in pages:
            self.maker.fill_page(minute, minutes, wall_ms)

    def look_across(
        self, windows: Sequence[tuple[str, int]], minutes: Minutes, wall_ms: int
    ) -> None:
        """Windows (timeframe, start) of the other market closed: ask again what both decide."""
        for timeframe, start in windows:
            held = self.recent.seen(timeframe, start)
            if held is None or self.maker.missing(held[0].flow.end_ms):
                continue
            bar, state, complete = held
            if self._markets(minutes)(start, bar.flow.end_ms) is None:
                continue
            seen = Seen(timeframe, bar.flow, state, complete)
            self._ask(ACROSS, bar, seen, minutes, (wall_ms, None))
            self.maker.fill_page(bar.flow.end_ms, minutes, wall_ms)

    def _look(
        self, bar: Closed, minutes: Minutes, wall_ms: int, correction: str | None
    ) -> list[str]:
        """Run the rules on a bar; those that need the other market only where it is known."""
        known = self._markets(minutes)(bar.flow.start_ms, bar.flow.end_ms) is not None
        kinds = frozenset(rule.kind for rule in RULES if known or not rule.across)
        seen = Seen(bar.timeframe, bar.flow, str(bar.quality.state), is_complete(bar.quality))
        return self._ask(kinds, bar.bar, seen, minutes, (wall_ms, correction))

    def _ask(
        self,
        kinds: frozenset[str],
        bar: FootprintBar,
        seen: Seen,
        minutes: Minutes,
        said: tuple[int, str | None],
    ) -> list[str]:
        """What rules of these kinds claim of a bar; `said`: when, and by which correction."""
        name, start = seen.timeframe, bar.flow.start_ms
        rules = [rule for rule in RULES if rule.kind in kinds and name in rule.timeframes]
        before = self.recent.before(name, start, DEPTHS.get(name, 0))
        look = Look(name, bar, before, RowsOf(minutes), self._markets(minutes))
        found = [(rule, claim) for rule in rules for claim in rule.find(look)]
        claims = [(rule, claim, self._sources(name, start, claim)) for rule, claim in found]
        return self.maker.look(seen, claims, *said, kinds)

    def _markets(self, minutes: Minutes) -> MarketsOf:
        """The minutes of the spot market beside those of this perpetual."""
        return MarketsOf(minutes, self.spot_name, self.spot_minutes)

    def _sources(self, timeframe: str, start_ms: int, claim: Finding) -> list[Source]:
        """The bars a claim names, its own last."""
        found = [self.recent.source(timeframe, at) for at in (*claim.pivots, start_ms)]
        return [source for source in found if source is not None]

    # Corrections

    def _corrections(self, closed: Sequence[Closed], wall_ms: int) -> dict[int, str]:
        """Ids of the corrections of the minutes whose content was revised."""
        found = {}
        for bar in closed:
            if bar.timeframe != "1m" or bar.quality.revision == 0:
                continue
            known = self.recent.get("1m", bar.flow.start_ms)
            if known is None or known.content_hash != bar.content_hash:
                found[bar.flow.start_ms] = self._correction_id(bar)
        return found

    def _correction_id(self, bar: Closed) -> str:
        window = (bar.flow.start_ms, bar.flow.end_ms, bar.quality.revision)
        return event_id(self.instrument, CORRECTION, None, "1m", window, CORRECTION_RULE)

    @staticmethod
    def _cause(bar: Closed, corrections: dict[int, str]) -> str | None:
        """The first correction inside a bar."""
        inside = (
            id for start, id in corrections.items() if bar.flow.start_ms <= start < bar.flow.end_ms
        )
        return next(inside, None) if bar.quality.revision else None

    def _say(
        self,
        closed: Sequence[Closed],
        corrections: dict[int, str],
        changed: dict[str, list[str]],
        wall_ms: int,
    ) -> None:
        """One correction event per revised minute, listing the windows made anew."""
        minutes = {bar.flow.start_ms: bar for bar in closed if bar.timeframe == "1m"}
        for start, id in corrections.items():
            bar = minutes[start]
            windows = [
                {
                    "timeframe": other.timeframe,
                    "start_ms": other.flow.start_ms,
                    "revision": other.quality.revision,
                    "content_hash": other.content_hash,
                }
                for other in closed
                if other.flow.start_ms <= start < other.flow.end_ms
            ]
            self.maker.correct(
                Event(
                    id=id,
                    kind=CORRECTION,
                    rule=CORRECTION_RULE,
                    instrument=self.instrument,
                    timeframe="1m",
                    start_ms=start,
                    end_ms=bar.flow.end_ms,
                    since_ms=start,
                    side=None,
                    price=None,
                    close=None,
                    state=str(bar.quality.state),
                    evidence={"windows": windows, "events": sorted(set(changed[id]))},
                    sources=[
                        Source("1m", start, bar.quality.revision, bar.content_hash),
                    ],
                    changes=[Change(wall_ms, "stands", is_complete(bar.quality))],
                )
            )

    def _fill(self, closed: Sequence[Closed], minutes: Minutes, wall_ms: int) -> None:
        """Outcomes due at the end of these minutes, and of empty minutes right after them."""
        for bar in closed:
            if bar.timeframe != "1m":
                self.maker.fill_page(bar.flow.end_ms, minutes, wall_ms)
                continue
            end = bar.flow.end_ms
            self.newest_ms = max(self.newest_ms, end)
            self.maker.fill(end, minutes, wall_ms)
            self.maker.fill_page(end, minutes, wall_ms)
            while (after := minutes.get(end)) is not None and after.flow.empty:
                end = after.flow.end_ms
                self.maker.fill(end, minutes, wall_ms)


def closed_bars(results: Results) -> list[Closed]:
    """Minutes, then the windows over them."""
    bars = [
        Closed("1m", minute.bar, minute.quality, bar_hash([minute.instrument], "1m", minute.bar))
        for minute in results.minutes
    ]
    return bars + [
        Closed(window.timeframe, window.bar, window.quality, window.content_hash)
        for window in results.windows
    ]
