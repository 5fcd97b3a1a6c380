"""Sessions: named windows of the day in local time, and UTC days and weeks.

The market never closes, so the names are conventions: the usual nine working hours of the three
foreign-exchange centres, in their own local time and therefore with their own summer time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.timeframe import DAY_MS, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS
"""1970-01-05, a Monday: weeks start on Mondays at 00:00 UTC."""
DAY_MINUTES = 1_440
CUSTOM = re.compile(r"([A-Za-z0-9_+\-/]{2,40}) ([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")

CARD = RuleCard(
    name="sessions",
    version=1,
    family="profile",
    summary="Profiles of Asia, Europe, US, custom hours, and of UTC days, weeks and months.",
    formula=(
        "A session is [start, end) of local wall time in its zone, converted to UTC for each date "
        "with the rules of that zone. Its bar is the exact merge of the minutes inside. day = "
        "00:00 to 24:00 UTC; week = Monday 00:00 UTC, seven days; month = calendar month in UTC."
    ),
    units="ms UTC; rows and lots of the merged bar",
    parameters=(
        Parameter("asia", "Asia/Tokyo 09:00-18:00", "local time", "no summer time"),
        Parameter("europe", "Europe/London 08:00-17:00", "local time", "European summer time"),
        Parameter("us", "America/New_York 08:00-17:00", "local time", "American summer time"),
        Parameter("custom", "none", "ZONE HH:MM-HH:MM", "any zone of the tz database"),
    ),
    ties="A minute belongs to a session when it starts in it; the end is outside.",
    edges=(
        "Sessions overlap (Europe and US), so their volumes do not add up to the day.",
        "An end at or before the start is on the next date; equal times make 24 local hours.",
        "A wall time that a clock change skips or repeats is read with the offset before it.",
        "On days of a clock change a session across it is an hour shorter or longer.",
    ),
    merging="Exact: minutes merge by then; sessions of several days by composite.",
    evidence="What traded during the working hours of a region.",
    not_evidence="Who traded: the hours say nothing about the residence of a trader.",
    source="Convention of foreign-exchange hours; tz database; tradetropy 0.3.1 (zoned anchors)",
    example=Example(
        "One trade every 4 hours from 2025-01-01 00:00 UTC (a Wednesday), in the order of the "
        "table.",
        (
            ("asia", "00:00-09:00 UTC, volume 16"),
            ("europe", "08:00-17:00 UTC, volume 11"),
            ("us", "13:00-22:00 UTC, volume 4"),
            ("previous day at 2025-01-02", "volume 26"),
        ),
    ),
)


class Session(msgspec.Struct, frozen=True):
    """Local hours in a zone; minutes after local midnight, the end excluded."""

    name: str
    zone: str
    start_minute: int
    end_minute: int


NAMED: dict[str, Session] = {
    "asia": Session("asia", "Asia/Tokyo", 9 * 60, 18 * 60),
    "europe": Session("europe", "Europe/London", 8 * 60, 17 * 60),
    "us": Session("us", "America/New_York", 8 * 60, 17 * 60),
}


def parse_session(text: str) -> Session:
    """A session by name, or custom as `Europe/Berlin 09:00-17:30`; ValidationError otherwise."""
    known = NAMED.get(text)
    if known is not None:
        return known
    found = CUSTOM.fullmatch(text)
    if found is None:
        names = ", ".join(NAMED)
        raise ValidationError(f"a session is one of {names}, or like Europe/Berlin 09:00-17:30")
    zone, *times = found.groups()
    hour, minute, end_hour, end_minute = map(int, times)
    if hour > 23 or 60 * end_hour + end_minute > DAY_MINUTES:
        raise ValidationError("session times go from 00:00 to 23:59; the end may be 24:00")
    _zone(zone)
    return Session(text, zone, 60 * hour + minute, 60 * end_hour + end_minute)


def window_of(session: Session, day: date) -> Window:
    """The session that starts on a local date, in UTC ms."""
    end = session.end_minute
    if end <= session.start_minute:
        end += DAY_MINUTES
    zone = _zone(session.zone)
    return Window(_utc_ms(zone, day, session.start_minute), _utc_ms(zone, day, end))


def last_closed(session: Session, now_ms: int) -> Window:
    """The newest session that ended at or before `now_ms`."""
    day = _local_date(session, now_ms) + timedelta(days=1)
    while (window := window_of(session, day)).end_ms > now_ms:
        day -= timedelta(days=1)
    return window


def sessions_within(session: Session, window: Window) -> list[Window]:
    """Every session that lies wholly inside the window, oldest first."""
    day = _local_date(session, window.start_ms) - timedelta(days=1)
    last = _local_date(session, window.end_ms)
    found = []
    while day <= last:
        one = window_of(session, day)
        if one.start_ms >= window.start_ms and one.end_ms <= window.end_ms:
            found.append(one)
        day += timedelta(days=1)
    return found


def utc_day(at_ms: int) -> Window:
    """The UTC day that contains a moment."""
    start = at_ms - at_ms % DAY_MS
    return Window(start, start + DAY_MS)


def utc_week(at_ms: int) -> Window:
    """The UTC week (Monday 00:00) that contains a moment."""
    start = at_ms - (at_ms - FIRST_MONDAY_MS) % WEEK_MS
    return Window(start, start + WEEK_MS)


def previous_day(at_ms: int) -> Window:
    """The last whole UTC day before the one that contains a moment."""
    return utc_day(utc_day(at_ms).start_ms - 1)


def previous_week(at_ms: int) -> Window:
    """The last whole UTC week before the one that contains a moment."""
    return utc_week(utc_week(at_ms).start_ms - 1)


def utc_month(at_ms: int) -> Window:
    """The calendar month in UTC that contains a moment."""
    day = (EPOCH + timedelta(milliseconds=at_ms)).date().replace(day=1)
    following = (day + timedelta(days=31)).replace(day=1)
    return Window(_midnight_ms(day), _midnight_ms(following))


def previous_month(at_ms: int) -> Window:
    """The last whole UTC month before the one that contains a moment."""
    return utc_month(utc_month(at_ms).start_ms - 1)


def bar_of_window(bars: Sequence[FootprintBar], window: Window) -> FootprintBar | None:
    """The exact merge of the bars that start in the window; None without a bar.

    ValidationError when a bar reaches over an end of the window: finer bars are needed then.
    """
    inside = []
    for bar in bars:
        start, end = bar.flow.start_ms, bar.flow.end_ms
        if window.start_ms <= start and end <= window.end_ms:
            inside.append(bar)
        elif start < window.end_ms and end > window.start_ms:
            raise ValidationError("a bar reaches over an end of the window; use finer bars")
    return footprint.then(inside) if inside else None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationError("unknown time zone; use a tz database name") from None


def _utc_ms(zone: ZoneInfo, day: date, minute: int) -> int:
    """A wall time as UTC ms; skipped and repeated times take the offset before the change."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001
    local = wall.replace(tzinfo=zone, fold=0)
    return (local - EPOCH) // timedelta(milliseconds=1)


def _midnight_ms(day: date) -> int:
    return (day - EPOCH.date()).days * DAY_MS


def _local_date(session: Session, at_ms: int) -> date:
    moment = EPOCH + timedelta(milliseconds=at_ms)
    return moment.astimezone(_zone(session.zone)).date()
