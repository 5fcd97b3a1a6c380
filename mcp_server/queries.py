"""One function per answer; transport-free, so REST and MCP can't disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import msgspec

from backbone.breaker import BreakerStatus
from backbone.clock import wall_ms
from backbone.live import FeedStatus, LiveView, StreamStatus
from backbone.store.base import FOOTPRINTS, Query, Store
from mcp_server.context import Context
from mcp_server.derivatives import DerivativeQueries
from mcp_server.events import EventQueries
from mcp_server.parameters import MOST_FULL_BARS, Question
from mcp_server.selection import selected
from orderflow import answers, footprint, reports
from orderflow.answers import Wanted, iso
from orderflow.completeness import Quality, State, merge_qualities
from orderflow.encoding import bar_from_body
from orderflow.errors import NotFoundError, NotReadyError, RequestError, StoreError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import checked_row
from orderflow.instrument import Instrument
from orderflow.parts import FlowPart, FootprintPart
from orderflow.symbols import Selection
from orderflow.timeframe import (
    CELL_MS,
    MINUTE_MS,
    PERIODS,
    TIMEFRAMES,
    Window,
    aligned,
    floor_ms,
    parse_period,
    parse_timeframe,
    rolling,
)

DEFAULT_TIMEFRAME = "1h"
DEFAULT_PERIOD = "5m"
DEFAULT_BARS = 24
RETRY_S = 5


class Queries:
    """Questions about now from the live view, history from the store (live where newer)."""

    def __init__(
        self,
        live: LiveView,
        store: Store,
        feeds: Callable[[], Sequence[FeedStatus]],
        breakers: Callable[[], Sequence[BreakerStatus]] = tuple,
        rest: Callable[[], dict[str, dict[str, int]]] = dict,
    ) -> None:
        self.live = live
        self.store = store
        self.feeds = feeds
        self.breakers = breakers
        self.rest = rest
        self.context = Context(live, store)
        self.about_events = EventQueries(live, store)
        self.about_derivatives = DerivativeQueries(live, store)

    # Answers

    async def volume_profile(
        self, asked: Question
    ) -> reports.VolumeProfileReport | reports.ProfileHistory:
        """The profile of one window, or of several aligned ones."""
        timeframe = parse_timeframe(DEFAULT_TIMEFRAME if asked.name is None else asked.name)
        selection = self._selection(asked)
        wanted = self._wanted(asked, selection, timeframe)
        if not asked.history:
            window = self._window(asked, selection, TIMEFRAMES[timeframe])
            report = answers.volume_profile_report(
                selection, self._footprints(selection, window), wanted
            )
            return await self.context.added(report, asked, selection, window, wanted)
        items = [
            answers.volume_profile_report(selection, parts, wanted)
            for parts in await self._history(asked, selection, timeframe)
        ]
        return reports.ProfileHistory(symbol=selection.symbol, timeframe=timeframe, items=items)

    async def order_flow(self, asked: Question) -> reports.OrderFlowReport | reports.FlowHistory:
        """Order flow of one window, or of several aligned ones of a minute or longer."""
        period = parse_period(DEFAULT_PERIOD if asked.name is None else asked.name)
        selection = self._selection(asked)
        wanted = self._wanted(asked, selection, period)
        length = PERIODS[period]
        if not asked.history:
            window = self._window(asked, selection, length)
            flow = answers.order_flow_report(selection, self._flows(selection, window), wanted)
            return await self.context.added(flow, asked, selection, window, wanted)
        if length < MINUTE_MS:
            windows = self._range(asked, selection, length)
            items = [
                answers.order_flow_report(selection, self._flows(selection, window), wanted)
                for window in windows
            ]
        else:
            items = [
                answers.order_flow_report(selection, [_flow_part(part) for part in parts], wanted)
                for parts in await self._history(asked, selection, period)
            ]
        return reports.FlowHistory(symbol=selection.symbol, period=period, items=items)

    async def footprint(self, asked: Question) -> reports.FootprintReport:
        """Aligned bars, the newest DEFAULT_BARS unless a range is asked for."""
        timeframe = parse_timeframe(DEFAULT_TIMEFRAME if asked.name is None else asked.name)
        selection = self._selection(asked)
        names = [i.name for i in selection.instruments]
        bars = []
        for parts in await self._history(asked, selection, timeframe):
            bar = footprint.beside([part.bar for part in parts])
            quality = merge_qualities([part.quality for part in parts])
            rows = asked.detail != "summary" and asked.detail == "rows"
            bars.append(answers.footprint_bar_report(names, timeframe, bar, quality, rows=rows))
        return reports.FootprintReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.live.source,
            timeframe=timeframe,
            bars=bars,
        )

    async def snapshot(
        self, symbols: Sequence[str], asked: Question, period: str | None
    ) -> reports.SnapshotReport:
        """Profile and flow of several symbols; a symbol's own problem stays in its line."""
        lines = []
        for symbol in symbols:
            try:
                both = await self.summary(asked.with_symbol(symbol), period)
            except RequestError as error:
                lines.append(reports.SnapshotLine(symbol=symbol, error=f"{error.code}: {error}"))
            else:
                lines.append(
                    reports.SnapshotLine(
                        symbol=both.symbol, profile=both.volume_profile, flow=both.order_flow
                    )
                )
        return reports.SnapshotReport(
            source=self.live.source,
            timeframe=parse_timeframe(DEFAULT_TIMEFRAME if asked.name is None else asked.name),
            period=parse_period(DEFAULT_PERIOD if period is None else period),
            symbols=lines,
        )

    async def summary(self, asked: Question, period: str | None) -> reports.SummaryReport:
        """Profile and flow of one symbol, now; context is asked for with the single answers."""
        asked = replace(asked, context="none")
        profile = await self.volume_profile(asked)
        flow = await self.order_flow(
            replace(asked, name=DEFAULT_PERIOD if period is None else period)
        )
        if isinstance(profile, reports.ProfileHistory) or isinstance(flow, reports.FlowHistory):
            raise NotFoundError("a summary is about now")
        return reports.SummaryReport(
            symbol=profile.symbol,
            source=self.live.source,
            volume_profile=profile,
            order_flow=flow,
        )

    async def symbols(self) -> reports.SymbolsReport:
        """Everything collected."""
        return reports.SymbolsReport(
            source=self.live.source,
            symbols=[
                reports.SymbolLine(
                    symbol=i.symbol,
                    instrument=i.name,
                    exchange=i.venue,
                    market=str(i.market),
                    base=i.base,
                    quote=i.quote,
                    tick_size=i.tick_size,
                    lot_size=i.lot_size,
                    status=i.status,
                    row_sizes=self.live.default_row_sizes(i.name),
                )
                for i in sorted(self.live.instruments(), key=lambda i: i.name)
            ],
            timeframes=list(TIMEFRAMES),
            periods=list(PERIODS),
        )

    async def status(self) -> reports.StatusReport:
        """Streams and connections as they are."""
        streams = [self.live.stream(i.name) for i in self.live.instruments()]
        lags = [s.lag_ms for s in streams if s.lag_ms is not None]
        return reports.StatusReport(
            source=self.live.source,
            ready=self.live.ready,
            version=version("wadm"),
            worst_lag_ms=max(lags, default=None),
            streams=[_stream_line(s) for s in sorted(streams, key=lambda s: s.instrument)],
            feeds=[_feed_line(f) for f in self.feeds()],
            breakers=[reports.BreakerLine(**msgspec.structs.asdict(b)) for b in self.breakers()],
            rest=self.rest(),
        )

    # Selection and windows

    def _selection(self, asked: Question) -> Selection:
        instruments = self.live.instruments()
        if not instruments:
            raise NotReadyError("nothing is collected yet; try again", retry_after_s=RETRY_S)
        return selected(asked.symbol, instruments, asked.exchange, asked.market)

    def _wanted(self, asked: Question, selection: Selection, name: str) -> Wanted:
        sizes = [self.live.default_row_sizes(i.name) for i in selection.instruments]
        base = max(Decimal(size["base"]) for size in sizes)
        if asked.row_size is not None:
            row_size = checked_row(asked.row_size, base)
        else:
            row_size = max(Decimal(size.get(name, size["base"])) for size in sizes)
        kind = asked.window or ("aligned" if asked.history else "rolling")
        return Wanted(
            name=name,
            kind=kind,
            source=self.live.source,
            detail=asked.detail,
            va_method=asked.va_method,
            row_size=row_size,
            max_levels=asked.max_levels,
            history=asked.history,
        )

    def _now_ms(self, selection: Selection) -> int:
        now = max(self.live.now_ms(i.name) for i in selection.instruments)
        if now == 0:
            raise NotReadyError("the venue has not answered yet", retry_after_s=RETRY_S)
        return now

    def _window(self, asked: Question, selection: Selection, length: int) -> Window:
        now = self._now_ms(selection)
        return aligned(now, length) if asked.window == "aligned" else rolling(now, length)

    def _range(self, asked: Question, selection: Selection, length: int) -> list[Window]:
        """Aligned windows of [start, end), at most `limit` of them, the newest kept."""
        now = self._now_ms(selection)
        most = asked.limit or (DEFAULT_BARS if asked.start_ms is None else MOST_FULL_BARS)
        end = floor_ms(now, length) + length
        if asked.end_ms is not None:
            end = min(end, floor_ms(asked.end_ms - 1, length) + length)
        start = end - most * length
        if asked.start_ms is not None:
            start = max(start, -(-asked.start_ms // length) * length)
        return [Window(at, at + length) for at in range(start, end, length) if at <= now]

    # Parts

    def _footprints(self, selection: Selection, window: Window) -> list[FootprintPart]:
        """Every stream's part; a stream without one makes the answer partial."""
        found = {i.name: self.live.footprint(i.name, window) for i in selection.instruments}
        self._any(found.values())
        return [found[i.name] or self._missing(i, window) for i in selection.instruments]

    def _flows(self, selection: Selection, window: Window) -> list[FlowPart]:
        step = CELL_MS if window.length_ms <= 5 * MINUTE_MS else MINUTE_MS
        found = {i.name: self.live.flow(i.name, window, step) for i in selection.instruments}
        self._any(found.values())
        return [
            found[i.name] or _flow_part(self._missing(i, window), step)
            for i in selection.instruments
        ]

    def _any(self, found: Iterable[object]) -> None:
        if any(part is not None for part in found):
            return
        if not self.live.ready:
            raise NotReadyError("no live trades yet; try again", retry_after_s=RETRY_S)
        raise NotFoundError("this window was not collected; see /status for what is")

    def _missing(self, instrument: Instrument, window: Window) -> FootprintPart:
        """A stream that saw nothing of the window: no numbers, and the evidence says so."""
        now = self.live.now_ms(instrument.name)
        expected = max(0, min(window.end_ms, now) - window.start_ms)
        flow = FlowBar(window.start_ms, window.end_ms, instrument.tick_size, instrument.lot_size)
        base = Decimal(self.live.default_row_sizes(instrument.name)["base"])
        quality = Quality(State.PARTIAL, 0, expected, False, False, 0, window.start_ms)
        watermark = self.live.stream(instrument.name).watermark_ms or 0
        return FootprintPart(
            instrument, window, FootprintBar(flow, base, {}), quality, watermark, now
        )

    async def _history(
        self, asked: Question, selection: Selection, name: str
    ) -> list[list[FootprintPart]]:
        """Parts of aligned windows in time order; windows nobody collected are left out.

        While the store is away, what is still in memory answers; StoreError beyond that.
        """
        length = TIMEFRAMES[name]
        windows = self._range(asked, selection, length)
        stored: dict[str, dict[int, FootprintPart]] = {i.name: {} for i in selection.instruments}
        away: StoreError | None = None
        for instrument in selection.instruments:
            try:
                stored[instrument.name] = await self._stored(instrument, name, windows)
            except StoreError as error:
                away = error
        rows: list[list[FootprintPart]] = []
        for window in windows:
            found = {
                i.name: stored[i.name].get(window.start_ms) or self.live.footprint(i.name, window)
                for i in selection.instruments
            }
            if away is not None and None in found.values():
                raise away
            if any(part is not None for part in found.values()):
                rows.append(
                    [found[i.name] or self._missing(i, window) for i in selection.instruments]
                )
        if not rows:
            self._any([])
        return rows

    async def _stored(
        self, instrument: Instrument, name: str, windows: Sequence[Window]
    ) -> dict[int, FootprintPart]:
        if not windows:
            return {}
        query = Query(
            collection=FOOTPRINTS,
            instrument=instrument.name,
            timeframe=name,
            start_ms=windows[0].start_ms,
            end_ms=windows[-1].end_ms,
            now_ms=wall_ms(),
            limit=len(windows),
        )
        now = self.live.now_ms(instrument.name)
        parts = {}
        for record in await self.store.query(query):
            bar, quality = bar_from_body(record.body)
            window = Window(record.start_ms, record.start_ms + TIMEFRAMES[name])
            parts[record.start_ms] = FootprintPart(
                instrument, window, bar, quality, quality.applied_through_ms, now
            )
        return parts


def _flow_part(part: FootprintPart, step_ms: int = MINUTE_MS) -> FlowPart:
    """The flow of a stored window; its steps and the day's running delta are not kept with it."""
    return FlowPart(
        instrument=part.instrument,
        window=part.window,
        bar=part.bar.flow,
        quality=part.quality,
        watermark_ms=part.watermark_ms,
        now_ms=part.now_ms,
        step_ms=step_ms,
        bars=(),
        cvd_lots=None,
        cvd_anchor_ms=None,
    )


def _stream_line(status: StreamStatus) -> reports.StreamLine:
    values: dict[str, Any] = {
        name: getattr(status, name, None) for name in reports.StreamLine.model_fields
    }
    for name in ("last_event", "watermark", "last_ingested_timestamp", "last_ingested_at"):
        at = getattr(status, f"{name}_ms")
        values[name] = None if at is None else iso(at)
    return reports.StreamLine(**values)


def _feed_line(status: FeedStatus) -> reports.FeedLine:
    values = {name: getattr(status, name) for name in reports.FeedLine.model_fields}
    return reports.FeedLine(**(values | {"instruments": len(status.instruments)}))
