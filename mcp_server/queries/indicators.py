"""One indicator over a stretch of bars: the studies of orderflow over live and stored bars."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from typing import cast

import msgspec

from backbone.store import LIVE
from mcp_server.parameters import MOST_BARS, Question, choice, moment, number
from mcp_server.queries.reading import Reading
from orderflow import flow, footprint, proof
from orderflow.answers import iso
from orderflow.completeness import merge_qualities
from orderflow.errors import NotFoundError, ValidationError
from orderflow.fact_reports import ShortQuality
from orderflow.flow import FlowBar
from orderflow.indicators import INDICATORS
from orderflow.parts import FootprintPart
from orderflow.studies import find_study, studied
from orderflow.studies.calendar import FIXED, fitting, windows_of
from orderflow.studies.study import OPERATIONS, Operation, Options, Study
from orderflow.study_reports import IndicatorReport
from orderflow.symbols import Selection
from orderflow.timeframe import DAY_MS, TIMEFRAMES, Window, floor_ms, parse_timeframe

STUDY_NAMES = ("session", "anchor", "windows", "operation", "other")
INDICATOR = (
    "exchange",
    "market",
    "timeframe",
    "start",
    "end",
    "limit",
    "as_of",
    *STUDY_NAMES,
    "numbers",
    "max_tokens",
)
MOST_WINDOWS = 30
WEEK_DAYS = 7
NOTHING = "no closed bar of this time was collected; ask other bars with timeframe, or start"
Parts = list[list[FootprintPart]]


def study_options(values: Mapping[str, str]) -> Options:
    """The options of a study from text; every error names the parameter."""
    return Options(
        session=values.get("session", "day"),
        anchor_ms=moment(values.get("anchor"), "anchor"),
        windows=number(values.get("windows"), "windows", MOST_WINDOWS) or 5,
        operation=cast("Operation", choice(values, "operation", OPERATIONS, "compare")),
        other=interval(values.get("other"), "other"),
    )


def interval(text: str | None, name: str) -> Window | None:
    """START/END as a window."""
    if text is None:
        return None
    start, _, end = text.partition("/")
    first, last = moment(start, name), moment(end, name)
    if first is None or last is None or first >= last:
        raise ValidationError(f"{name} must be START/END, its start before its end")
    return Window(first, last)


class IndicatorQueries:
    """Answers about single indicators."""

    def __init__(self, read: Reading) -> None:
        self.read = read

    async def indicator(self, name: str, asked: Question, options: Options) -> IndicatorReport:
        """A study over bars up to now, or of [start, end); ValidationError lists what is known."""
        study = find_study(name)
        selection = self.read.selection(asked)
        now = self.read.now_ms(selection)
        if asked.as_of_ms is not None and self.read.live.source == LIVE:
            now = min(now, asked.as_of_ms)
        timeframe = self._timeframe(study, asked, options, now)
        parts = await self._parts(study, asked, options, (selection, timeframe, now))
        if not parts:
            raise NotFoundError(NOTHING)
        bars = [footprint.beside([part.bar for part in row]) for row in parts]
        if asked.start_ms is not None and asked.end_ms is not None:
            first = Window(asked.start_ms, asked.end_ms)
            options = msgspec.structs.replace(options, first=first)
        found = await asyncio.to_thread(studied, study.name, bars, options)
        return IndicatorReport(
            name=study.name,
            algo=INDICATORS[study.name].algo,
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.read.live.source,
            timeframe=timeframe,
            bars_used=len(bars),
            period_start=iso(bars[0].flow.start_ms),
            period_end=iso(bars[-1].flow.end_ms),
            facts=found.facts,
            items=found.items,
            reason=found.reason,
            quality=self._quality(study, asked, selection, parts, timeframe),
        )

    def _timeframe(self, study: Study, asked: Question, options: Options, now_ms: int) -> str:
        """The asked bars, or the study's own, cut to fit a session of odd hours."""
        if asked.name is not None:
            return study.checked(parse_timeframe(asked.name))
        if "session" in study.takes and options.session not in FIXED:
            return fitting(options.session, study.timeframe, now_ms)
        return study.timeframe

    async def _parts(
        self, study: Study, asked: Question, options: Options, about: tuple[Selection, str, int]
    ) -> Parts:
        """Bars of the stretch, and of the other window, in time order, each once."""
        selection, timeframe, now = about
        length = TIMEFRAMES[timeframe]
        end = asked.end_ms or floor_ms(now, length) + length
        start = asked.start_ms
        if start is None and asked.limit is not None:
            start = end - asked.limit * length
        if start is None:
            start = self._start(study, options, end)
            if options.anchor_ms is None:
                start = max(start, end - MOST_BARS * length)
        spans = [Window(max(0, start), end)]
        if options.other is not None and study.name == "profile_algebra":
            spans.append(options.other)
        found: dict[int, list[FootprintPart]] = {}
        for span in spans:
            for row in await self._rows(asked, selection, timeframe, span):
                found[row[0].window.start_ms] = row
        rows = [found[at] for at in sorted(found)]
        if study.closed_only:
            rows = [row for row in rows if row[0].window.end_ms <= now]
        return rows

    @staticmethod
    def _start(study: Study, options: Options, end_ms: int) -> int:
        """Where the default stretch begins: at the anchor, or with whole sessions."""
        if options.anchor_ms is not None and "anchor" in study.takes:
            return options.anchor_ms
        start = end_ms - study.span_ms
        if "windows" in study.takes:
            days = WEEK_DAYS if options.session == "week" else 1
            start = end_ms - (options.windows + 1) * days * DAY_MS
        if "session" in study.takes:
            start = windows_of(options.session, Window(start, start + DAY_MS))[0].start_ms
        return start

    async def _rows(
        self, asked: Question, selection: Selection, timeframe: str, span: Window
    ) -> Parts:
        count = -(-span.length_ms // TIMEFRAMES[timeframe])
        if count > MOST_BARS:
            raise ValidationError(
                f"{count} bars of {timeframe}; at most {MOST_BARS}: ask longer ones"
            )
        question = replace(
            asked,
            name=timeframe,
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            limit=count + 1,
            detail="summary",
        )
        try:
            return await self.read.history(question, selection, timeframe)
        except NotFoundError:
            return []

    def _quality(
        self,
        study: Study,
        asked: Question,
        selection: Selection,
        parts: Parts,
        timeframe: str,
    ) -> ShortQuality:
        """The proof of every bar together, stream by stream."""
        streams = [_stream([row[place] for row in parts]) for place in range(len(parts[0]))]
        wanted = self.read.wanted(
            replace(asked, detail="full", limit=1 if asked.history else None), selection, timeframe
        )
        full = proof.quality(
            [part for part, _ in streams],
            [bar for _, bar in streams],
            replace(wanted, history=asked.history),
            "",
            INDICATORS[study.name].algo,
            TIMEFRAMES[timeframe],
        )
        return proof.shortened(full)


def _stream(parts: Sequence[FootprintPart]) -> tuple[FootprintPart, FlowBar]:
    """One stream's bars as one part, and its flow."""
    first, last = parts[0], parts[-1]
    whole = msgspec.structs.replace(
        last,
        window=Window(first.window.start_ms, last.window.end_ms),
        quality=merge_qualities([part.quality for part in parts], in_time=True),
    )
    return whole, reduce(flow.then, chain(part.bar.flow for part in parts))
