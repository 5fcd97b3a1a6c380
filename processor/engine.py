"""The engine: stream events and time in, due results out. Pure.

No clock, no I/O: `advance` is told the venue's time and a monotonic time.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from backbone.closings import Closing, Closings
from orderflow import grid
from orderflow.completeness import Quality
from orderflow.content import bar_hash
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument
from orderflow.mixed import MixedTrades
from orderflow.timeframe import TIMEFRAMES, Window, aligned
from orderflow.trade import (
    Connected,
    Disconnect,
    GapLost,
    InstrumentChanged,
    KlineClosed,
    RepairDone,
    RepairRequest,
    TradeBatch,
    Watermark,
    instrument_of,
)
from processor import bulk, trust, windows
from processor.grids import Grid, Grids
from processor.said import Said, SaidBook
from processor.stream import MinuteResult, Stream


class WindowResult(NamedTuple):
    """An aligned window that closed, or that changed after it closed."""

    instrument: str
    timeframe: str
    bar: FootprintBar
    quality: Quality
    content_hash: str


class Results(NamedTuple):
    """What became due."""

    minutes: list[MinuteResult]
    windows: list[WindowResult]
    repairs: list[RepairRequest]


LONGER = {name: length for name, length in TIMEFRAMES.items() if name != "1m"}


class Engine:
    """Every collected stream and its windows."""

    def __init__(
        self, fixed_rows: dict[str, Decimal] | None = None, first_repair_id: int = 1
    ) -> None:
        self.fixed_rows = fixed_rows or {}
        self.first_repair_id = first_repair_id
        self.streams: dict[str, Stream] = {}
        self.said = SaidBook()
        self.unknown = 0
        self.version = 0
        self.closings = Closings()

    # Events

    def handle(self, event: object) -> None:
        """Apply one event; events of instruments that were never announced are counted."""
        self.version += 1
        if isinstance(event, TradeBatch):
            self._trades(event)
        elif isinstance(event, MixedTrades):
            self._mixed(event)
        elif isinstance(event, Watermark):
            for name in event.instruments:
                if (stream := self.streams.get(name)) is not None:
                    stream.on_watermark(event)
        elif isinstance(event, Connected | Disconnect):
            self._connection(event)
        elif isinstance(event, InstrumentChanged):
            self.announce(event)
        elif isinstance(event, KlineClosed | GapLost | RepairDone):
            self._single(event)

    def _trades(self, batch: TradeBatch) -> None:
        stream = self.streams.get(batch.instrument)
        if stream is not None:
            stream.on_trades(batch)
        else:
            self.unknown += len(batch)

    def _mixed(self, burst: MixedTrades) -> None:
        for number in bulk.apply(self.streams, burst):
            self._trades(burst.batch(number))

    def _connection(self, event: Connected | Disconnect) -> None:
        for name in event.instruments:
            if (stream := self.streams.get(name)) is None:
                continue
            if isinstance(event, Connected):
                stream.on_connected(event)
            else:
                stream.on_disconnect(event)

    def _single(self, event: KlineClosed | GapLost | RepairDone) -> None:
        stream = self.streams.get(event.instrument)
        if stream is None:
            return
        if isinstance(event, KlineClosed):
            stream.on_kline(event)
        elif isinstance(event, GapLost):
            stream.on_gap_lost(event)
        else:
            stream.on_repair_done(event)

    def announce(self, event: InstrumentChanged) -> Stream:
        """A new instrument, or a changed definition of a known one."""
        instrument = instrument_of(event)
        known = self.streams.get(instrument.name)
        if known is None:
            return self.adopt(Stream(instrument, self._grids(instrument, event)))
        trust.redefine(known, instrument, event.scale)
        return known

    def adopt(self, stream: Stream) -> Stream:
        """Take a stream in; its questions are numbered apart from those of an earlier life,
        whose answers may still be on their way."""
        stream.repairs.next_id = max(stream.repairs.next_id, self.first_repair_id)
        self.streams[stream.instrument.name] = stream
        return stream

    def _grids(self, instrument: Instrument, event: InstrumentChanged) -> Grids:
        fixed = self.fixed_rows.get(instrument.symbol)
        if not event.hour_ranges and event.last_price is None and fixed is None:
            return Grids(None)
        price = event.last_price or instrument.tick_size
        hour_range = grid.median_range(event.hour_ranges, price)
        if fixed is not None:
            row = grid.smallest_row([instrument.tick_size], fixed)
            hour_range = max(hour_range, row * grid.BASE_ROWS_PER_HOUR)
            return Grids(Grid(row, hour_range), fixed=True)
        return Grids(Grid(grid.base_row([instrument.tick_size], hour_range), hour_range))

    # Time

    def advance(self, now_ms: Callable[[str], int], mono_ms: int) -> Results:
        """Everything that is due on every stream."""
        total = Results([], [], [])
        for name in self.streams:
            found = self.advance_one(name, now_ms(name), mono_ms)
            total.minutes.extend(found.minutes)
            total.windows.extend(found.windows)
            total.repairs.extend(found.repairs)
        return total

    def advance_one(self, name: str, now_ms: int, mono_ms: int) -> Results:
        """Everything that is due on one stream; `now_ms` is its venue's clock."""
        stream = self.streams[name]
        minutes, repairs = stream.advance(now_ms, mono_ms)
        if not minutes:
            return Results([], [], repairs)
        self.version += 1
        closed = self._windows(stream, minutes, now_ms)
        stream.history.tidy(max(minute.bar.flow.start_ms for minute in minutes))
        for minute in minutes:
            self._note(minute, "1m")
        for window in closed:
            self._note(window, window.timeframe)
        return Results(minutes, closed, repairs)

    def _note(self, result: MinuteResult | WindowResult, timeframe: str) -> None:
        start, revision = result.bar.flow.start_ms, result.quality.revision
        closing = Closing(self.version, result.instrument, timeframe, start, revision)
        self.closings.add(closing)

    def _windows(
        self, stream: Stream, minutes: list[MinuteResult], now_ms: int
    ) -> list[WindowResult]:
        """Aligned windows over these minutes that are over; each of them once."""
        results = []
        seen: set[tuple[str, int]] = set()
        limit = stream.next_close_ms or 0
        for minute in minutes:
            start = minute.bar.flow.start_ms
            for timeframe, length in LONGER.items():
                window = aligned(start, length)
                if window.end_ms > limit or (timeframe, window.start_ms) in seen:
                    continue
                seen.add((timeframe, window.start_ms))
                result = self._window(stream, timeframe, window, now_ms)
                if result is not None:
                    results.append(result)
        return results

    def _window(
        self, stream: Stream, timeframe: str, window: Window, now_ms: int
    ) -> WindowResult | None:
        """One closed window, unless the same was said before."""
        piece = windows.footprint_of(stream, window, now_ms)
        if piece is None:
            return None
        bar, quality = piece
        name = stream.instrument.name
        content = bar_hash([name], timeframe, bar)
        before = self.said.get((name, timeframe, window.start_ms))
        revision = 0
        if before is not None:
            revision = before.revision + (content != before.content_hash)
        quality = msgspec.structs.replace(quality, revision=revision)
        if before is not None and (before.content_hash, before.quality) == (content, quality):
            return None
        self.said[name, timeframe, window.start_ms] = Said(revision, content, quality)
        return WindowResult(name, timeframe, bar, quality, content)

    def forget_said(self, instrument: str, before_ms: int) -> None:
        """Drop what was said of an instrument's windows that can't change any more."""
        self.said.forget(instrument, before_ms)
