"""Bars cut into sessions: UTC days and weeks, named hours in local time, and custom ones. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.footprint import FootprintBar
from orderflow.indicators import sessions
from orderflow.timeframe import DAY_MS, MINUTE_MS, TIMEFRAMES, Window

FIXED = ("day", "week")


class Closing(msgspec.Struct, frozen=True):
    """A session and the exact merge of its bars; `covered_ms` of it had bars, `over` at the end."""

    window: Window
    bar: FootprintBar | None
    covered_ms: int
    over: bool


def windows_of(name: str, span: Window) -> list[Window]:
    """Every session that overlaps the span, oldest first; ValidationError for an unknown one."""
    if name == "day":
        first = sessions.utc_day(span.start_ms).start_ms
        return [Window(at, at + DAY_MS) for at in range(first, span.end_ms, DAY_MS)]
    if name == "week":
        first = sessions.utc_week(span.start_ms).start_ms
        length = sessions.WEEK_MS
        return [Window(at, at + length) for at in range(first, span.end_ms, length)]
    try:
        session = sessions.parse_session(name)
    except ValidationError as error:
        raise ValidationError(f"day, week, or {error}") from None
    return [window for window in _local(session, span) if _overlaps(window, span)]


def closings(bars: Sequence[FootprintBar], name: str) -> list[Closing]:
    """The sessions the bars lie in, oldest first; ValidationError when a bar crosses an end."""
    if not bars:
        return []
    span = Window(bars[0].flow.start_ms, bars[-1].flow.end_ms)
    found = []
    for window in windows_of(name, span):
        inside = _inside(bars, window)
        covered = sum(bar.flow.end_ms - bar.flow.start_ms for bar in inside)
        merged = footprint.then(inside) if inside else None
        found.append(Closing(window, merged, covered, window.end_ms <= span.end_ms))
    return found


def fitting(name: str, wanted: str, at_ms: int) -> str:
    """The longest timeframe, at most `wanted`, whose bars never cross an end of the session."""
    ends = [
        edge
        for window in windows_of(name, Window(at_ms - 2 * DAY_MS, at_ms))
        for edge in (window.start_ms, window.end_ms)
    ]
    fits = [
        timeframe
        for timeframe, length in TIMEFRAMES.items()
        if length <= TIMEFRAMES[wanted] and not any(edge % length for edge in ends)
    ]
    return fits[-1] if fits else "1m"


def _inside(bars: Sequence[FootprintBar], window: Window) -> list[FootprintBar]:
    inside = []
    for bar in bars:
        start, end = bar.flow.start_ms, bar.flow.end_ms
        if window.start_ms <= start and end <= window.end_ms:
            inside.append(bar)
        elif start < window.end_ms and end > window.start_ms:
            minutes = (end - start) // MINUTE_MS
            raise ValidationError(
                f"bars of {minutes} minutes cross a session's end: use finer ones"
            )
    return inside


def _local(session: sessions.Session, span: Window) -> Iterator[Window]:
    day = (sessions.EPOCH + timedelta(milliseconds=span.start_ms)).date() - timedelta(days=2)
    last = (sessions.EPOCH + timedelta(milliseconds=span.end_ms)).date() + timedelta(days=1)
    while day <= last:
        yield sessions.window_of(session, day)
        day += timedelta(days=1)


def _overlaps(window: Window, span: Window) -> bool:
    return window.start_ms < span.end_ms and window.end_ms > span.start_ms
