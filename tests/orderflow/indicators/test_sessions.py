"""Sessions: local hours with their own summer time, UTC days and weeks, exact merges."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.indicators.sessions import (
    bar_of_window,
    last_closed,
    parse_session,
    previous_day,
    previous_month,
    previous_week,
    sessions_within,
    utc_day,
    utc_month,
    utc_week,
    window_of,
)
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("name", "day", "start", "end"),
    [
        ("asia", date(2024, 1, 15), "2024-01-15T00:00", "2024-01-15T09:00"),
        ("asia", date(2024, 7, 15), "2024-07-15T00:00", "2024-07-15T09:00"),
        ("europe", date(2024, 1, 15), "2024-01-15T08:00", "2024-01-15T17:00"),
        ("europe", date(2024, 7, 15), "2024-07-15T07:00", "2024-07-15T16:00"),
        ("us", date(2024, 3, 8), "2024-03-08T13:00", "2024-03-08T22:00"),
        ("us", date(2024, 3, 11), "2024-03-11T12:00", "2024-03-11T21:00"),
        ("us", date(2024, 11, 4), "2024-11-04T13:00", "2024-11-04T22:00"),
        ("America/Chicago 17:00-16:00", date(2024, 1, 15), "2024-01-15T23:00", "2024-01-16T22:00"),
        ("UTC 00:00-24:00", date(2024, 1, 15), "2024-01-15T00:00", "2024-01-16T00:00"),
    ],
)
def test_windows_in_utc(name: str, day: date, start: str, end: str) -> None:
    """Local hours become UTC with the zone's own rules, also between the change dates of zones."""
    assert window_of(parse_session(name), day) == Window(ms(start), ms(end))


def test_days_of_a_clock_change() -> None:
    """A session across the change is an hour shorter or longer; a skipped time has one meaning."""
    night = parse_session("Europe/Berlin 00:00-06:00")
    assert window_of(night, date(2024, 3, 31)).length_ms == 5 * HOUR_MS
    assert window_of(night, date(2024, 10, 27)).length_ms == 7 * HOUR_MS
    skipped = parse_session("Europe/Berlin 02:30-06:00")
    assert window_of(skipped, date(2024, 3, 31)).start_ms == ms("2024-03-31T01:30")
    repeated = parse_session("Europe/Berlin 02:30-06:00")
    assert window_of(repeated, date(2024, 10, 27)).start_ms == ms("2024-10-27T00:30")


@pytest.mark.parametrize(
    "text",
    ["", "moon", "Europe/Nowhere 09:00-10:00", "Europe/Berlin 9-10", "Europe/Berlin 25:00-26:00",
     "../etc/passwd 09:00-10:00", "UTC 10:00-24:30", "asia\n"],
)  # fmt: skip
def test_unknown_sessions(text: str) -> None:
    """What is no session is refused, and the message says what is allowed."""
    with pytest.raises(ValidationError):
        parse_session(text)


@given(
    st.sampled_from(["asia", "europe", "us", "America/Chicago 17:00-16:00"]),
    st.integers(ms("2020-01-01"), ms("2030-01-01")),
)
def test_last_closed(name: str, now_ms: int) -> None:
    """The newest session that is over: the next one ends after now; it lies in its own window."""
    session = parse_session(name)
    found = last_closed(session, now_ms)
    assert found.end_ms <= now_ms
    assert found.end_ms > now_ms - 26 * HOUR_MS
    week = Window(found.start_ms - 6 * DAY_MS, found.end_ms)
    within = sessions_within(session, week)
    assert within[-1] == found
    assert len(within) in (6, 7)
    assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(within))


@given(st.integers(0, ms("2100-01-01")))
def test_utc_days_and_weeks(at_ms: int) -> None:
    """Days begin at 00:00 UTC, weeks on Mondays, and the previous one ends where this begins."""
    day, week = utc_day(at_ms), utc_week(at_ms)
    assert day.start_ms <= at_ms < day.end_ms
    assert week.start_ms <= at_ms < week.end_ms
    assert datetime.fromtimestamp(week.start_ms / 1000, UTC).isoweekday() == 1
    assert previous_day(at_ms).end_ms == day.start_ms
    assert previous_week(at_ms).end_ms == week.start_ms
    assert week.length_ms == 7 * previous_day(at_ms).length_ms
    month = utc_month(at_ms)
    assert month.start_ms <= at_ms < month.end_ms
    assert previous_month(at_ms).end_ms == month.start_ms
    first = datetime.fromtimestamp(month.start_ms / 1000, UTC)
    assert (first.day, first.hour, first.minute) == (1, 0, 0)
    assert 28 * DAY_MS <= month.length_ms <= 31 * DAY_MS


def test_the_bar_of_a_window() -> None:
    """Minutes inside merge exactly, minutes outside do not count, nothing inside is None."""
    bars = [bar_of([(k + 1, 1, True)], k * MINUTE_MS, k + 1) for k in range(5)]
    window = Window(MINUTE_MS, 4 * MINUTE_MS)
    assert bar_of_window(bars, window) == footprint.then(bars[1:4])
    assert bar_of_window(bars, Window(DAY_MS, 2 * DAY_MS)) is None
    with pytest.raises(ValidationError, match="finer bars"):
        bar_of_window(bars, Window(MINUTE_MS // 2, 4 * MINUTE_MS))
