"""Sums that are kept say what sums made anew say, whatever happened to the minutes in between."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow.completeness import Quality, State
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import DAY_MS, MINUTE_MS, Window
from processor import windows
from processor.block import Piece
from processor.grids import Grid, Grids
from processor.history import MinuteHistory
from processor.kept import Kept
from processor.stream import Stream

DAY = 1_700_006_400_000 // DAY_MS * DAY_MS
COIN = Instrument(
    *("somewhere", Market.SPOT, "ABCUSDT", "ABC", "USDT"), Decimal("0.1"), Decimal("0.001")
)
MINUTES = 150
WINDOWS = [(0, 150), (20, 80), (59, 61), (90, 155), (149, 151), (150, 155)]


def minute_at(number: int, size: int) -> Piece:
    """A minute with trades of that size."""
    start = DAY + number * MINUTE_MS
    trades = [(1_000 + (number * 13 + k) % 40, size + k, k % 2 > 0) for k in range(1 + number % 4)]
    quality = Quality(
        *(State.VERIFIED, MINUTE_MS, MINUTE_MS),
        closed=True,
        final=size % 2 > 0,
        revision=size,
        applied_through_ms=start + MINUTE_MS,
    )
    return bar_of(trades, start, 1 + 10 * number, 5), quality


def stream_of(minutes: int) -> Stream:
    """So many closed minutes."""
    stream = Stream(COIN, Grids(Grid(Decimal("0.5"), Decimal(100)), fixed=True))
    for number in range(minutes):
        stream.history.put(*minute_at(number, 1))
        stream.history.tidy(DAY + number * MINUTE_MS)
    stream.next_close_ms = DAY + minutes * MINUTE_MS
    stream.coverage.observed_from_ms = DAY
    return stream


def asked(stream: Stream, now_ms: int) -> list[object]:
    """Everything that is made of closed minutes, of some windows."""
    found: list[object] = []
    for first, last in WINDOWS:
        window = Window(DAY + first * MINUTE_MS, DAY + last * MINUTE_MS)
        found += [
            windows.footprint_of(stream, window, now_ms, again=True),
            windows.flow_of(stream, window, MINUTE_MS, now_ms),
            windows.cumulative_delta(stream, window.end_ms, now_ms),
        ]
    return found


STEPS = st.one_of(
    st.tuples(st.just("revise"), st.integers(0, MINUTES - 1), st.integers(2, 9)),
    st.tuples(st.just("close"), st.just(0), st.integers(1, 9)),
    st.tuples(st.just("tidy"), st.integers(MINUTES, 40 * 60), st.just(0)),
    st.tuples(st.just("fill"), st.integers(0, 2), st.integers(1, 9)),
)


@given(st.lists(STEPS, max_size=6))
@settings(max_examples=12, deadline=None)
def test_a_kept_sum_is_the_sum(steps: list[tuple[str, int, int]]) -> None:
    """Minutes revised, closed, packed, filled and let go between two questions."""
    stream, closed = stream_of(MINUTES), MINUTES
    history = stream.history
    for what, number, size in [("nothing", 0, 0), *steps]:
        if what == "revise":
            history.put(*minute_at(number, size))
        elif what == "close":
            history.put(*minute_at(closed, size))
            closed += 1
            stream.next_close_ms = DAY + closed * MINUTE_MS
        elif what == "tidy":
            history.tidy(DAY + number * MINUTE_MS)
        elif what == "fill":
            hour = range(60 * number, 60 * number + 60)
            history.fill(DAY + 3_600_000 * number, [minute_at(k, size) for k in hour])
        now_ms = DAY + closed * MINUTE_MS + 30_000
        first, second = asked(stream, now_ms), asked(stream, now_ms)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(windows, "KEPT", Kept(most_rows=0))
            assert first == second == asked(stream, now_ms)


def test_the_same_question_is_answered_from_what_is_kept() -> None:
    """Until a minute changes, and only for its own history."""
    kept, made = Kept(), []
    histories = [MinuteHistory(), MinuteHistory()]

    def make() -> list[int]:
        made.append(1)
        return [len(made)]

    assert [kept.found(histories[0], "a", make) for _ in range(3)] == [[1]] * 3
    assert kept.found(histories[1], "a", make) == [2]
    assert kept.found(histories[0], "b", make) == [3]
    histories[0].put(*minute_at(0, 1))
    assert kept.found(histories[0], "a", make) == [4]
    assert kept.found(histories[1], "a", make) == [2]


def test_what_is_kept_is_bounded() -> None:
    """What was not asked for the longest goes; something too large is not kept at all."""
    kept, made = Kept(most_rows=100), []
    history = MinuteHistory()

    def make() -> list[int]:
        made.append(1)
        return list(range(10))

    for name in ("a", "b", "a", "c", "a", "b"):
        kept.found(history, name, make)
    assert len(made) == 4
    kept.found(history, "large", lambda: list(range(100)))
    kept.found(history, "a", make)
    assert len(made) == 5


def test_who_asks_once_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that close are merged once."""
    monkeypatch.setattr(windows, "KEPT", None)
    stream = stream_of(70)
    found = windows.footprint_of(stream, Window(DAY, DAY + 3_600_000), DAY + 70 * MINUTE_MS)
    assert found is not None
    assert msgspec.structs.asdict(found[1])["closed"] is True
