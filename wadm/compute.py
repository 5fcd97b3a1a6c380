"""wadm compute: the engine of the server over tapes or stored bars, for notebooks and back-checks.

from pathlib import Path
from wadm.compute import TapeSource, compute
bars = compute(TapeSource(Path("day.zip"), "binance:spot:BTCUSDT"), timeframe="5m").frame()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from backbone.clock import wall_ms
from backbone.settings import Settings
from backbone.store.base import EVENTS, FOOTPRINTS, Query, Record
from orderflow import grid
from orderflow.answers import iso
from orderflow.completeness import Quality
from orderflow.distribution import is_complete
from orderflow.encoding import bar_from_body
from orderflow.errors import ConfigError
from orderflow.event import EVENT_SERIES, HORIZONS_MIN, Event, events_from_body
from orderflow.footprint import FootprintBar
from orderflow.studies import STUDIES, find_study, studied
from orderflow.studies.calendar import FIXED, fitting
from orderflow.studies.study import Options, Studied
from orderflow.timeframe import TIMEFRAMES, parse_timeframe
from processor.chronicle import Chapter, closed_bars
from processor.engine import Results
from wadm.columns import COLUMNS, Row, Running, row_lines
from wadm.compose import opened_store
from wadm.replay import Replay
from wadm.tables import Computed
from wadm.tape_vpin import tape_vpin

TABLES: tuple[str, ...] = ("windows", "rows", "events", *STUDIES)
"""Windows with columns, volume at price, events, and every study by name."""
DEFAULT_INDICATORS = ("flow", "profile")
PAGE = 500
"""Stored bars read at once."""
Progress = Callable[[int, int], None]
"""Called with (done, of)."""
Piece = tuple[FootprintBar, Quality | None]
NO_OPTIONS = Options()


class Source(Protocol):
    """Where bars and events come from."""

    @property
    def instrument(self) -> str:
        """Canonical name of what is computed."""
        ...

    def pieces(self, timeframe: str, progress: Progress) -> Iterator[Piece]:
        """Windows in time order with their evidence."""
        ...

    def events(self, progress: Progress) -> Iterator[Event]:
        """Events in time order."""
        ...


@dataclass(frozen=True, slots=True)
class TapeSource:
    """A tape file; its steps are inferred unless given. The last window is as it stands.

    A tape holds no candles to compare with, so its minutes are `contiguous` at best.
    """

    path: Path
    instrument: str
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    row_size: Decimal | None = None

    def _replay(self) -> Replay:
        return Replay(
            self.path,
            self.instrument,
            tick_size=self.tick_size,
            lot_size=self.lot_size,
            row_size=self.row_size,
        )

    def pieces(self, timeframe: str, progress: Progress) -> Iterator[Piece]:
        """Every window of the tape, on its served rows unless `row_size` is given."""
        played = self._replay()
        of = len(played.trades)
        for _, bar, quality in played.pieces(TIMEFRAMES[timeframe]):
            if self.row_size is None:
                served = grid.served_row(bar.row_size, played.hour_range, timeframe)
                bar = bar.coarsened(max(served, bar.row_size))
            progress(played.applied, of)
            yield bar, quality
        progress(of, of)

    def vpin(self, timeframe: str, options: Options, progress: Progress) -> Studied:
        """VPIN from single trades at the end of every window; `options.bucket` fixes its size."""
        return tape_vpin(self._replay(), TIMEFRAMES[timeframe], options.bucket, progress)

    def events(self, progress: Progress) -> Iterator[Event]:
        """What the detectors see, with the outcomes inside the tape; published when seen."""
        played = self._replay()
        chapter = Chapter(played.name)
        of = len(played.trades)

        def on_results(results: Results, now_ms: int) -> None:
            if results.minutes:
                chapter.take(closed_bars(results), played.stream.history.minutes, now_ms)
                progress(played.applied, of)

        played.on_results = on_results
        for _ in played.pieces(TIMEFRAMES["1d"]):
            pass
        progress(of, of)
        for minute in sorted(chapter.maker.pages):
            yield from chapter.maker.events(minute)


@dataclass(frozen=True, slots=True)
class StoreSource:
    """Bars and events of [start_ms, end_ms) as a server stored them, with their proof."""

    settings: Settings
    source: str
    instrument: str
    start_ms: int
    end_ms: int

    def pieces(self, timeframe: str, progress: Progress) -> Iterator[Piece]:
        """Stored windows on their stored rows; expired ones are gone."""
        for record in self._records(FOOTPRINTS, timeframe, progress):
            yield bar_from_body(record.body)

    def events(self, progress: Progress) -> Iterator[Event]:
        """Stored events."""
        for record in self._records(EVENTS, EVENT_SERIES, progress):
            yield from events_from_body(record.body)

    def _records(self, collection: str, timeframe: str, progress: Progress) -> list[Record]:
        """Read on a thread of its own, so that it also works inside a notebook's loop."""
        work = self._read(collection, timeframe, progress)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    async def _read(self, collection: str, timeframe: str, progress: Progress) -> list[Record]:
        found: list[Record] = []
        end = self.end_ms
        async with opened_store(self.settings, self.source) as store:
            while end > self.start_ms:
                query = Query(
                    collection, self.instrument, timeframe, self.start_ms, end, wall_ms(), PAGE
                )
                records = await store.query(query)
                found = [*records, *found]
                end = records[0].start_ms if len(records) == PAGE else self.start_ms
                progress(self.end_ms - end, self.end_ms - self.start_ms)
        return found


def compute(
    source: Source,
    *,
    timeframe: str | None = None,
    indicators: Sequence[str] = DEFAULT_INDICATORS,
    table: str = "windows",
    options: Options = NO_OPTIONS,
    progress: Progress = lambda done, of: None,
) -> Computed:
    """One table of a tape or of stored bars, the same numbers as the server's.

    `windows`: one row a window (of an hour unless asked), with the columns of the chosen
    indicators (COLUMNS). `rows`: volume at price of every window. `events`: what the detectors
    saw, with outcomes; all timeframes. Any other name is a study (STUDIES): its items as rows,
    its facts beside them. ConfigError or ValidationError for what does not exist; DomainError for
    a tape whose prices fit no step.
    """
    if table not in TABLES:
        raise ConfigError(f"table must be one of: {', '.join(TABLES)}")
    if table in STUDIES:
        return _studied(source, table, timeframe, options, progress)
    name = parse_timeframe(timeframe or "1h")
    if unknown := [indicator for indicator in indicators if indicator not in COLUMNS]:
        raise ConfigError(f"unknown indicator {unknown[0]}; allowed: {', '.join(COLUMNS)}")
    if table == "events":
        rows = [_event_row(event) for event in source.events(progress)]
        return Computed(table, source.instrument, "", rows)
    rows = []
    running = Running()
    for bar, quality in source.pieces(name, progress):
        head: Row = {"period_start": iso(bar.flow.start_ms), "period_end": iso(bar.flow.end_ms)}
        if table == "rows":
            rows += [head | line for line in row_lines(bar)]
            continue
        for indicator in indicators:
            head |= COLUMNS[indicator](bar, running)
        rows.append(head | _proof(quality))
    return Computed(table, source.instrument, name, rows)


def _studied(
    source: Source, table: str, timeframe: str | None, options: Options, progress: Progress
) -> Computed:
    """A study over every window of the source; a tape gives VPIN from its trades."""
    study = find_study(table)
    wanted = None if timeframe is None else parse_timeframe(timeframe)
    if table == "vpin" and isinstance(source, TapeSource):
        name = wanted or study.timeframe
        found = source.vpin(name, options, progress)
    else:
        name = study.checked(wanted)
        if timeframe is None and "session" in study.takes and options.session not in FIXED:
            name = fitting(options.session, name, wall_ms())
        bars = _bars(source, name, options, progress)
        found = studied(table, bars, options)
    rows = found.items or ([found.facts] if found.facts else [])
    return Computed(table, source.instrument, name, rows, found.facts, found.reason)


def _bars(
    source: Source, timeframe: str, options: Options, progress: Progress
) -> list[FootprintBar]:
    """The windows a study reads; a comparison may be of two stretches."""
    every = [bar for bar, _ in source.pieces(timeframe, progress)]
    if options.first is None or options.other is None:
        return every
    return [
        bar
        for bar in every
        if any(
            span.start_ms <= bar.flow.start_ms < span.end_ms
            for span in (options.first, options.other)
        )
    ]


def _proof(quality: Quality | None) -> Row:
    """How far the window is proven."""
    if quality is None:
        return {"state": "unknown", "complete": False}
    return {"state": str(quality.state), "complete": is_complete(quality)}


def _event_row(event: Event) -> Row:
    """An event in one row, with the newest outcome of every horizon."""
    row: Row = {
        "id": event.id,
        "kind": event.kind,
        "rule": event.rule,
        "timeframe": event.timeframe,
        "period_start": iso(event.start_ms),
        "at": iso(event.at_ms),
        "side": event.side,
        "price": event.price,
        "close": event.close,
        "state": event.state,
        "complete": event.now.complete,
        "status": event.now.status,
        "evidence": event.evidence,
    }
    for minutes in HORIZONS_MIN:
        outcome = event.outcome(minutes)
        row[f"return_{minutes}m"] = None if outcome is None else outcome.change
    return row
