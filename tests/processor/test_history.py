"""Packed history answers like plain minutes, and says what it has not."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.completeness import Quality, State, merge_qualities
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window
from processor.block import Piece
from processor.history import EDGE_MS, KEPT_MS, SINGLE_MS, MinuteHistory

DAY = 1_700_006_400_000 // DAY_MS * DAY_MS


def minute_at(number: int, size: int = 1) -> Piece:
    """A minute with a few trades, or with none, always the same for its number."""
    start = DAY + number * MINUTE_MS
    quality = Quality(
        State.VERIFIED,
        MINUTE_MS,
        MINUTE_MS,
        closed=True,
        final=True,
        revision=0,
        applied_through_ms=start + MINUTE_MS,
    )
    if number % 7 == 3:
        return bar_of([], start, 0, 5), quality
    trades = [
        (1_000 + (number * 13 + k) % 90, size + (number + k) % 50, (number + k) % 3 > 0)
        for k in range(1 + number % 5)
    ]
    return bar_of(trades, start, 1 + 10 * number, 5), quality


def filled(count: int, tidy_every: int = 1) -> tuple[MinuteHistory, dict[int, Piece]]:
    """A history that took `count` minutes one after the other."""
    history, known = MinuteHistory(), {}
    for number in range(count):
        piece = known[number] = minute_at(number)
        history.put(*piece)
        if number % tidy_every == 0:
            history.tidy(DAY + number * MINUTE_MS)
    return history, known


def same_window(history: MinuteHistory, known: dict[int, Piece], first: int, last: int) -> None:
    """The merge of the history's pieces is the merge of the minutes."""
    window = Window(DAY + first * MINUTE_MS, DAY + last * MINUTE_MS)
    wanted = [known[k] for k in range(first, last) if k in known]
    found = list(history.pieces(window))
    assert footprint.then([bar for bar, _ in found]) == footprint.then([bar for bar, _ in wanted])
    quality = merge_qualities([one for _, one in wanted], in_time=True)
    assert merge_qualities([one for _, one in found], in_time=True) == quality
    flows = [bar.flow for bar, _ in history.pieces(window, depth="flow")]
    total = footprint.then([FootprintBar(bar, Decimal(5), {}) for bar in flows]).flow
    assert total == footprint.then([bar for bar, _ in wanted]).flow
    wide = list(history.pieces(window, depth="rows", row_size=Decimal(25)))
    rows = footprint.then([bar for bar, _ in wide]).coarsened(Decimal(25)).rows
    assert rows == footprint.then([bar for bar, _ in wanted]).coarsened(Decimal(25)).rows
    assert [bar for _, bar in history.flows(window)] == [
        known[k][0].flow if k in known else None for k in range(first, last)
    ]


LONG = filled(290)


@given(st.integers(0, 289), st.integers(0, 289))
def test_any_window_equals_its_minutes(a: int, b: int) -> None:
    """Whole packed hours, parts of them and recent minutes merge to the same bar and evidence."""
    history, known = LONG
    assert len(history.blocks) == 5
    assert 0 < len(history.recent) < 60
    same_window(history, known, min(a, b), max(a, b) + 1)


def test_minutes_read_like_a_mapping() -> None:
    """Every minute is found by its start, wherever it lies, and nothing else is."""
    history, known = LONG
    assert len(history.minutes) == len(known)
    assert list(history.minutes) == [DAY + k * MINUTE_MS for k in known]
    for number in (0, 59, 60, 200, 289):
        minute = history.minutes[DAY + number * MINUTE_MS]
        assert (minute.bar, minute.quality) == known[number]
        assert history.holds(DAY + number * MINUTE_MS)
    assert history.minutes.get(DAY + 290 * MINUTE_MS) is None
    assert not history.holds(DAY + 290 * MINUTE_MS)


@pytest.mark.parametrize("number", [0, 30, 59, 61, 119])
def test_a_revised_minute_in_a_packed_hour(number: int) -> None:
    """The hour is taken apart, the minute replaced, and packed again."""
    history, known = filled(150)
    bar, quality = minute_at(number + 1_000, 7)
    span = {"start_ms": DAY + number * MINUTE_MS, "end_ms": DAY + (number + 1) * MINUTE_MS}
    bar = msgspec.structs.replace(bar, flow=msgspec.structs.replace(bar.flow, **span), largest=())
    known[number] = (bar, msgspec.structs.replace(quality, revision=1))
    history.put(*known[number])
    same_window(history, known, 0, 150)
    history.tidy(DAY + 149 * MINUTE_MS)
    assert DAY + number * MINUTE_MS not in history.recent
    same_window(history, known, 0, 150)


def test_old_hours_keep_their_sum_only() -> None:
    """Hours no rolling window begins in are thin; a window that needs their minutes says so."""
    count = (KEPT_MS - HOUR_MS) // MINUTE_MS
    history, known = filled(count, tidy_every=30)
    newest = DAY + (count - 1) * MINUTE_MS
    history.tidy(newest)
    for hour, block in history.blocks.items():
        young = hour + HOUR_MS > newest - SINGLE_MS
        edge = newest - DAY_MS
        near = edge - EDGE_MS <= hour + HOUR_MS and hour <= edge + EDGE_MS
        if not near:
            assert block.thin == (not young)
        elif block.thin:
            assert hour in history.wanted
    thin = next(h for h, b in sorted(history.blocks.items()) if b.thin and h not in history.wanted)
    window = Window(thin + 10 * MINUTE_MS, thin + 2 * HOUR_MS)
    covered = sum(quality.covered_ms for _, quality in history.pieces(window))
    assert covered == HOUR_MS
    assert thin in history.wanted
    first = (thin - DAY) // MINUTE_MS
    history.fill(thin, [known[first + k] for k in range(60)])
    assert thin not in history.wanted
    same_window(history, known, first + 10, first + 60)


def test_a_store_that_has_less_than_memory_takes_nothing_away() -> None:
    """The sum of an hour stays when its minutes are gone from the store, and nobody asks again."""
    count = (KEPT_MS - HOUR_MS) // MINUTE_MS
    history, known = filled(count, tidy_every=60)
    thin = next(h for h, b in sorted(history.blocks.items()) if b.thin)
    list(history.pieces(Window(thin, thin + MINUTE_MS)))
    first = (thin - DAY) // MINUTE_MS
    history.fill(thin, [known[first]])
    assert history.blocks[thin].count == 60
    list(history.pieces(Window(thin, thin + MINUTE_MS)))
    assert thin not in history.wanted


def test_a_late_minute_of_a_thin_hour_brings_the_hour_back() -> None:
    """A revision of an hour without minutes waits for the store, and wins over it."""
    count = (KEPT_MS - HOUR_MS) // MINUTE_MS
    history, known = filled(count, tidy_every=60)
    thin = next(h for h, b in sorted(history.blocks.items()) if b.thin)
    first = (thin - DAY) // MINUTE_MS
    bar, quality = known[first]
    known[first] = (bar, msgspec.structs.replace(quality, revision=3))
    history.put(*known[first])
    assert thin in history.wanted
    stored = [minute_at(first + k) for k in range(60)]
    history.fill(thin, stored)
    same_window(history, known, first, first + 60)


def test_minutes_of_mixed_steps_stay_unpacked() -> None:
    """A tick that changes within an hour keeps its minutes as they are; windows stay exact."""
    history, known = filled(20)
    for number in range(20, 100):
        bar, quality = minute_at(number)
        known[number] = (bar.rescaled(Decimal("0.5"), Decimal(1)), quality)
        history.put(*known[number])
        history.tidy(DAY + number * MINUTE_MS)
    window = Window(DAY, DAY + 100 * MINUTE_MS)
    found = footprint.then([bar for bar, _ in history.pieces(window)])
    assert found == footprint.then([bar for bar, _ in known.values()])


def test_what_is_too_old_is_forgotten() -> None:
    """26 hours are kept, 5 s bars for two of them."""
    history, _ = filled(27 * 60, tidy_every=10)
    newest = DAY + (27 * 60 - 1) * MINUTE_MS
    history.tidy(newest)
    assert min(history.blocks) >= newest - KEPT_MS - HOUR_MS
    assert history.cells(DAY) is None
    ranges = history.hour_ranges(DAY + 26 * HOUR_MS)
    assert len(ranges) >= 23


def test_cells_come_back_as_they_were() -> None:
    """The 5 s bars of a minute are packed and unpacked without loss."""
    history = MinuteHistory()
    bar, quality = minute_at(1)
    cells = [
        msgspec.structs.replace(bar.flow, start_ms=DAY + k * 5_000, end_ms=DAY + (k + 1) * 5_000)
        for k in range(3)
    ]
    history.put(bar, quality, cells)
    assert history.cells(bar.flow.start_ms) == tuple(cells)
    history.put(*minute_at(2))
    assert history.cells(DAY + 2 * MINUTE_MS) == ()


def hour_of(number: int) -> Piece:
    """An hour as the store has it: the merge of its minutes."""
    minutes = [minute_at(k) for k in range(60 * number, 60 * number + 60)]
    quality = merge_qualities([quality for _, quality in minutes], in_time=True)
    return footprint.then([bar for bar, _ in minutes]), quality


def same_sum(history: MinuteHistory, known: dict[int, Piece], first: int, last: int) -> None:
    """The merge of the history's pieces is that of the minutes, whole hours of them."""
    found = list(history.pieces(Window(DAY + first * MINUTE_MS, DAY + last * MINUTE_MS)))
    wanted = [known[k] for k in range(first, last)]
    assert footprint.then([bar for bar, _ in found]) == footprint.then([bar for bar, _ in wanted])
    quality = merge_qualities([one for _, one in wanted], in_time=True)
    assert merge_qualities([one for _, one in found], in_time=True) == quality


def hour_minutes(number: int, count: int = 60) -> list[tuple[FootprintBar, Quality, list[FlowBar]]]:
    """Its minutes as the store has them, with their 5 s bars."""
    pieces = [minute_at(k) for k in range(60 * number, 60 * number + count)]
    return [(bar, quality, [] if bar.flow.empty else [bar.flow]) for bar, quality in pieces]


def test_hours_of_the_store_answer_like_their_minutes_until_those_are_read() -> None:
    """Sums of whole hours give what their minutes give, which then take their places."""
    history, known = MinuteHistory(), {k: minute_at(k) for k in range(180)}
    for number in range(3):
        history.put_sum(*hour_of(number))
    same_sum(history, known, 0, 180)
    history.wanted = {DAY}
    for number in (2, 1, 0):
        history.restore(DAY + number * HOUR_MS, hour_minutes(number))
    assert set(history.minutes) == {DAY + k * MINUTE_MS for k in range(180)}
    assert not history.wanted
    for first in (0, 7, 61):
        same_window(history, known, first, 180)


def test_a_sum_stays_where_the_store_has_less_and_memory_is_newer() -> None:
    """An hour of which minutes are missing keeps its sum; an hour that was not whole has none."""
    history, known = MinuteHistory(), {k: minute_at(k) for k in range(180)}
    history.put(*minute_at(65, size=9))
    for number in range(3):
        history.put_sum(*hour_of(number))
    assert DAY + HOUR_MS not in history.blocks
    history.restore(DAY, hour_minutes(0, count=59))
    same_sum(history, known, 0, 60)
    assert history.blocks[DAY].thin
    assert history.awaits(DAY)
    part = Quality(
        State.PARTIAL,
        HOUR_MS,
        HOUR_MS - 1,
        closed=True,
        final=True,
        revision=0,
        applied_through_ms=0,
    )
    history.put_sum(hour_of(3)[0], part)
    assert DAY + 3 * HOUR_MS not in history.blocks


def test_a_late_minute_takes_the_place_of_a_sum() -> None:
    """What changes inside an hour that is only a sum asks for its minutes."""
    history, known = MinuteHistory(), {k: minute_at(k) for k in range(60)}
    history.put_sum(*hour_of(0))
    known[5] = minute_at(5, size=9)
    history.put(*known[5])
    assert history.wanted == {DAY}
    history.restore(DAY, hour_minutes(0))
    same_window(history, known, 0, 60)


def test_minutes_that_were_read_without_their_cells_get_them() -> None:
    """A second reading brings the 5 s bars."""
    history = MinuteHistory()
    history.restore(DAY, [(bar, quality, []) for bar, quality, _ in hour_minutes(0)])
    assert history.awaits(DAY)
    assert history.cells(DAY) == ()
    history.restore(DAY, hour_minutes(0))
    assert history.cells(DAY) == (minute_at(0)[0].flow,)
    assert not history.awaits(DAY)
