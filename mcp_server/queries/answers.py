"""One function per answer; transport-free, so REST and MCP can't disagree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import msgspec

from backbone.breaker import BreakerStatus
from backbone.live import FeedStatus, LiveView, StreamStatus
from backbone.store.base import Store
from mcp_server.context import Context, hours_asked
from mcp_server.derivatives import DerivativeQueries
from mcp_server.events import EventQueries
from mcp_server.parameters import Question
from mcp_server.past_context import PastContext, R, Rows
from mcp_server.queries.compare import CompareQueries
from mcp_server.queries.indicators import IndicatorQueries
from mcp_server.queries.levels import LevelQueries
from mcp_server.queries.lines import market_line, whole_line
from mcp_server.queries.reading import Reading, flow_part
from mcp_server.queries.waits import WaitQueries
from orderflow import answers, footprint, readings, reports
from orderflow.answers import iso
from orderflow.completeness import merge_qualities
from orderflow.errors import NotFoundError, RequestError, ValidationError
from orderflow.status_reports import BreakerLine, FeedLine, StatusReport, StreamLine
from orderflow.symbols import Selection
from orderflow.timeframe import (
    MINUTE_MS,
    PERIODS,
    TIMEFRAMES,
    Window,
    parse_period,
    parse_timeframe,
)

DEFAULT_TIMEFRAME = "1h"
DEFAULT_PERIOD = "5m"
ECHOED = re.compile(r"[A-Za-z0-9:/._-]{1,40}")
UNREADABLE = "?"
"""Said instead of text that can't be a symbol: what a caller sends is never passed on."""


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
        self.read = Reading(live, store)
        self.context = Context(live, store)
        self.past = PastContext(store)
        self.about_events = EventQueries(live, store)
        self.about_levels = LevelQueries(self.read)
        self.about_sides = CompareQueries(self.read, self.about_events)
        self.about_indicators = IndicatorQueries(self.read)
        self.about_waits = WaitQueries(self.read, self.about_events)
        self.about_derivatives = DerivativeQueries(live, store)

    # Answers

    async def volume_profile(
        self, asked: Question
    ) -> reports.VolumeProfileReport | reports.ProfileHistory:
        """The profile of one window, or of several aligned ones."""
        timeframe = parse_timeframe(DEFAULT_TIMEFRAME if asked.name is None else asked.name)
        selection = self.read.selection(asked)
        wanted = self.read.wanted(asked, selection, timeframe)
        if not asked.history:
            window = self.read.window(asked, selection, TIMEFRAMES[timeframe])
            parts = self.read.footprints(selection, window)
            report = answers.volume_profile_report(selection, parts, wanted)
            if asked.detail == "full":
                report = await self.read.described(report, selection, parts, wanted)
            return await self.context.added(report, asked, selection, window, wanted)
        rows = await self.read.history(asked, selection, timeframe)
        items = [answers.volume_profile_report(selection, parts, wanted) for parts in rows]
        items = await self._in_context(items, rows, asked, timeframe)
        return reports.ProfileHistory(symbol=selection.symbol, timeframe=timeframe, items=items)

    async def order_flow(self, asked: Question) -> reports.OrderFlowReport | reports.FlowHistory:
        """Order flow of one window, or of several aligned ones of a minute or longer."""
        period = parse_period(DEFAULT_PERIOD if asked.name is None else asked.name)
        selection = self.read.selection(asked)
        wanted = self.read.wanted(asked, selection, period)
        length = PERIODS[period]
        if not asked.history:
            window = self.read.window(asked, selection, length)
            parts = self.read.flows(selection, window)
            flow = answers.order_flow_report(selection, parts, wanted)
            if asked.detail == "full":
                flow = await self._described_flow(flow, selection, window)
            return await self.context.added(flow, asked, selection, window, wanted)
        if length < MINUTE_MS and asked.as_of_ms is not None:
            raise ValidationError("as_of needs a period of a minute or longer")
        if length < MINUTE_MS:
            windows = self.read.range(asked, selection, length)
            items = [
                answers.order_flow_report(selection, self.read.flows(selection, window), wanted)
                for window in windows
            ]
        else:
            rows = await self.read.history(asked, selection, period)
            items = [
                answers.order_flow_report(selection, [flow_part(part) for part in parts], wanted)
                for parts in rows
            ]
            items = await self._in_context(items, rows, asked, period)
        return reports.FlowHistory(symbol=selection.symbol, period=period, items=items)

    async def _in_context(self, items: list[R], rows: Rows, asked: Question, name: str) -> list[R]:
        """Rows with their context, each as of its own close, where it is asked for by name."""
        if asked.context in {None, "none"}:
            return items
        hours = hours_asked(asked)
        return await self.past.added(items, rows, name, hours, asked.as_of_ms)

    async def _described_flow(
        self,
        report: reports.OrderFlowReport,
        selection: Selection,
        window: Window,
    ) -> reports.OrderFlowReport:
        """The report with its largest prints, its make-up and the market's state in words."""
        parts = self.read.flows(selection, window)
        prints = [] if window.length_ms < MINUTE_MS else self.read.footprints(selection, window)
        recent = self.read.recent(selection, window.end_ms)
        found = readings.ladder(recent)
        absorbed = await self.about_events.absorbed(selection, window)
        return report.model_copy(
            update={
                "large_trades": readings.large_trades(prints) if prints else None,
                "market_state": readings.market_state(parts, found, absorbed),
                "reading": readings.flow_reading(parts, prints, found),
            }
        )

    async def footprint(self, asked: Question) -> reports.FootprintReport:
        """Aligned bars, the newest DEFAULT_BARS unless a range is asked for."""
        timeframe = parse_timeframe(DEFAULT_TIMEFRAME if asked.name is None else asked.name)
        selection = self.read.selection(asked)
        names = [i.name for i in selection.instruments]
        bars = []
        history = await self.read.history(asked, selection, timeframe)
        for parts in history:
            bar = footprint.beside([part.bar for part in parts])
            quality = merge_qualities([part.quality for part in parts])
            rows = asked.detail == "rows"
            bars.append(answers.footprint_bar_report(names, timeframe, bar, quality, rows=rows))
        bars = await self._in_context(bars, history, asked, timeframe)
        return reports.FootprintReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.live.source,
            timeframe=timeframe,
            bars=bars,
        )

    async def snapshot(
        self, symbols: Sequence[str], asked: Question, period: str | None, form: str = "answers"
    ) -> reports.SnapshotReport:
        """Several symbols, whole answers or a line each; a symbol's problem stays in its line."""
        if form == "lines":
            asked = replace(asked, detail="summary")
        lines = []
        for symbol in symbols:
            try:
                both = await self.summary(asked.with_symbol(symbol), period)
            except RequestError as error:
                shown = symbol if ECHOED.fullmatch(symbol) else UNREADABLE
                lines.append(reports.SnapshotLine(symbol=shown, error=f"{error.code}: {error}"))
            else:
                lines.append(market_line(both) if form == "lines" else whole_line(both))
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

    async def symbols(self, detail: str = "full") -> reports.SymbolsReport:
        """Everything collected; a summary leaves out row sizes but the base."""
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
                    row_sizes=_sizes(self.live.default_row_sizes(i.name), detail),
                )
                for i in sorted(self.live.instruments(), key=lambda i: i.name)
            ],
            timeframes=list(TIMEFRAMES),
            periods=list(PERIODS),
        )

    async def status(self) -> StatusReport:
        """Streams and connections as they are."""
        streams = [self.live.stream(i.name) for i in self.live.instruments()]
        lags = [s.lag_ms for s in streams if s.lag_ms is not None]
        return StatusReport(
            source=self.live.source,
            ready=self.live.ready,
            version=version("wadm"),
            worst_lag_ms=max(lags, default=None),
            streams=[_stream_line(s) for s in sorted(streams, key=lambda s: s.instrument)],
            feeds=[_feed_line(f) for f in self.feeds()],
            breakers=[BreakerLine(**msgspec.structs.asdict(b)) for b in self.breakers()],
            rest=self.rest(),
        )


def _sizes(sizes: dict[str, str], detail: str) -> dict[str, str]:
    return {"base": sizes["base"]} if detail == "summary" else sizes


def _stream_line(status: StreamStatus) -> StreamLine:
    values: dict[str, Any] = {name: getattr(status, name, None) for name in StreamLine.model_fields}
    for name in ("last_event", "watermark", "last_ingested_timestamp", "last_ingested_at"):
        at = getattr(status, f"{name}_ms")
        values[name] = None if at is None else iso(at)
    return StreamLine(**values)


def _feed_line(status: FeedStatus) -> FeedLine:
    values = {name: getattr(status, name) for name in FeedLine.model_fields}
    return FeedLine(**(values | {"instruments": len(status.instruments)}))
