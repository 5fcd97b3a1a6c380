"""VPIN of a stream: the same whatever the delivery, invalid after a gap, kept over a restart."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.indicators import vpin
from orderflow.indicators.vpin import Reading
from orderflow.timeframe import DAY_MS, MINUTE_MS
from orderflow.trade import (
    OUT_OF_REACH,
    Connected,
    InstrumentChanged,
    RepairDone,
    TradeBatch,
    Watermark,
)
from processor import checkpoint, toxicity
from processor.engine import Engine
from processor.stream import Stream

START_MS = 1_735_689_600_000 - DAY_MS
NAME = "somewhere:perp:ABCUSDT"
Rows = list[tuple[int, int, int, int, int, int]]
PER_DAY = 120


def tape(seed: int, days: int = 4) -> Rows:
    """(key, event_ms, ticks, lots, side, seq): the same number of trades on every day."""
    draw = random.Random(seed)
    rows: Rows = []
    for day in range(days):
        moments = sorted(draw.sample(range(DAY_MS), PER_DAY))
        for moment in moments:
            key = len(rows) + 1
            at = START_MS + day * DAY_MS + moment
            rows.append((key, at, 1_000, draw.randrange(1, 90), draw.randrange(2), key))
    return rows


def batch(rows: Rows, source: str = "live") -> TradeBatch:
    keys, times, ticks, lots, sides, seqs = (list(c) for c in zip(*rows, strict=True))
    return TradeBatch(NAME, keys, times, ticks, lots, sides, seqs, source=source)  # type: ignore[arg-type]


def engine(sequence: str = "consecutive") -> Engine:
    made = Engine()
    made.handle(
        InstrumentChanged(
            "somewhere",
            "perp",
            "ABCUSDT",
            "ABC",
            "USDT",
            Decimal("0.1"),
            Decimal("0.001"),
            sequence=sequence,  # type: ignore[arg-type]
            last_price=Decimal(100),
        )
    )
    made.handle(Connected([NAME], "c", START_MS))
    return made


def reading(found: Engine) -> Reading:
    """After everything that was given is settled."""
    stream = found.streams[NAME]
    stream.toxicity.follow(stream.ledger, stream.last_event_ms + toxicity.SETTLE_MS + 1, None)
    return stream.toxicity.reading()


def stopped(found: Engine) -> Engine:
    """The same engine after a stop and a start without a hole."""
    blob = checkpoint.encode(found.streams[NAME], [])
    fresh = Engine()
    fresh.streams[NAME], _ = checkpoint.decode(blob, 0, gapless=True)
    return fresh


def restated(rows: Rows, since: int = 0) -> Decimal | None:
    """VPIN from its definition, trade by trade, lot by lot: day one is partial, day two gives the
    first size; `since`: index of the first trade after a gap, whose day is not whole."""
    days = [(row[1] - START_MS) // DAY_MS for row in rows]
    volume = [sum(row[3] for row, d in zip(rows, days, strict=True) if d == n) for n in range(9)]
    torn = days[since - 1] if since else 0
    full: list[tuple[int, int]] = []
    net = size = 0
    bucket = max(1, volume[1] // 50)
    for index, (row, day) in enumerate(zip(rows, days, strict=True)):
        if day < 2 or index < since:
            continue
        for _ in range(row[3]):
            if size == 0:
                whole = day - 1 if day - 1 != torn else day - 2
                bucket = max(1, volume[whole] // 50)
            size += 1
            net += 1 if row[4] else -1
            if size == bucket:
                full.append((abs(net), size))
                net = size = 0
    newest = full[-50:]
    if len(newest) < 50:
        return None
    return (Decimal(sum(n for n, _ in newest)) / sum(s for _, s in newest)).quantize(
        Decimal("0.000001")
    )


@pytest.mark.parametrize("sequence", ["consecutive", "unordered"])
@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=25, deadline=None)
def test_delivery_does_not_matter(sequence: str, seed: int, data: st.DataObject) -> None:
    """Any batching and a stop anywhere give the definition's number."""
    rows = tape(seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=12)))
    found = engine(sequence)
    stop = data.draw(st.integers(0, len(cuts)))
    for place, (i, j) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        found.handle(batch(rows[i:j]))
        if place == stop:
            found = stopped(found)
    told = reading(found)
    assert told.value == restated(rows)
    assert told.reason is None
    assert told.through_ms == rows[-1][1]


@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_hole_that_is_filled_leaves_no_trace(seed: int, data: st.DataObject) -> None:
    """What comes behind a hole waits; once the hole is filled the value is the definition's."""
    rows = tape(seed)
    i = data.draw(st.integers(1, len(rows) - 2))
    j = data.draw(st.integers(i + 1, min(i + 40, len(rows) - 1)))
    found = engine()
    found.handle(batch(rows[:i]))
    found.handle(batch(rows[j:]))
    assert reading(found).through_ms == rows[i - 1][1]
    found = stopped(found)
    found.handle(batch(rows[i:j], "rest"))
    assert reading(found).value == restated(rows)


def test_a_lost_hole_makes_it_invalid_until_refilled() -> None:
    """After ids that nobody has any more there is no value until 50 new buckets are full."""
    rows = tape(3, days=6)
    found = engine()
    hole = 3 * PER_DAY + 20
    found.handle(batch(rows[:hole]))
    assert reading(found).value is not None
    found.handle(batch(rows[hole + 1 : hole + 30]))
    stream: Stream = found.streams[NAME]
    stream.ledger.give_up(stream.ledger.gaps()[0])  # type: ignore[union-attr]
    told = reading(found)
    assert (told.value, told.reason) == (
        None,
        f"{told.filled} of 50 buckets filled since: ids missing for good",
    )
    found.handle(batch(rows[hole + 30 :]))
    again = reading(found)
    assert again.value == restated(rows, since=hole + 1)
    assert again.value is not None


def test_a_late_trade_of_a_stream_without_numbers_makes_it_invalid() -> None:
    """Order is lost when a trade comes after later ones were counted."""
    rows = tape(4)
    found = engine("unordered")
    found.handle(batch(rows[:-10] + rows[-9:]))
    assert reading(found).value is not None
    found.handle(batch(rows[-10:-9], "rest"))
    told = reading(found)
    assert told.value is None
    assert told.reason is not None
    assert "late trade" in told.reason


def test_too_much_waiting_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind a hole is bounded."""
    monkeypatch.setattr(toxicity, "MOST_WAITING", 50)
    rows = tape(5)
    found = engine()
    found.handle(batch(rows[:-100]))
    found.handle(batch(rows[-99:]))
    told = reading(found)
    assert told.value is None
    assert found.streams[NAME].toxicity.waiting == []
    assert told.through_ms == rows[-1][1]


def test_what_waits_behind_a_hole_is_one_run() -> None:
    """Trades that come one by one behind a hole join into a run, so that the ten-thousandth costs
    as much as the first; once the hole is filled the value is that of an undisturbed stream."""
    rows = tape(5)
    found, calm = engine(), engine()
    calm.handle(batch(rows))
    found.handle(batch(rows[:-100]))
    for row in [*rows[-99:-40], *rows[-39:]]:
        found.handle(batch([row]))
    waiting = found.streams[NAME].toxicity.waiting
    assert [(one.first, one.last) for one in waiting] == [
        (rows[-99][0], rows[-41][0]),
        (rows[-39][0], rows[-1][0]),
    ]
    found.handle(batch(rows[-40:-39], "rest"))
    found.handle(batch(rows[-100:-99], "rest"))
    assert reading(found) == reading(calm)
    assert found.streams[NAME].toxicity.waiting == []


def test_a_rejected_trade_is_no_hole() -> None:
    """An id that is in no bar counts as seen."""
    rows = tape(6)
    found = engine()
    found.handle(batch(rows[:-10]))
    odd = batch(rows[-9:])
    odd.rejected = [(rows[-10][0], "zero")]
    found.handle(odd)
    told = reading(found)
    assert told.through_ms == rows[-1][1]
    assert told.value == restated(rows[:-10] + rows[-9:])


def test_no_value_before_a_whole_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket size is a fiftieth of a whole UTC day: before that there is none."""
    rows = tape(7, days=2)
    found = engine()
    found.handle(batch(rows))
    told = reading(found)
    assert (told.value, told.bucket_lots) == (None, None)
    assert told.reason == (
        "no whole UTC day of volume since the begin: the bucket size is not known"
    )


def test_finer_lots_change_nothing() -> None:
    """A venue that counts in finer lots changes no value."""
    rows = tape(8)
    found = engine()
    found.handle(batch(rows))
    before = reading(found)
    found.streams[NAME].toxicity.rescale(10)
    after = reading(found)
    assert before.value == after.value
    assert before.bucket_lots is not None
    assert after.bucket_lots == 10 * before.bucket_lots


def test_an_answer_that_never_comes_ends_the_wait() -> None:
    """A repair out of reach: the hole is lost, and with it the value."""
    rows = tape(9)
    found = engine()
    found.handle(batch(rows[:-60]))
    found.handle(batch(rows[-59:]))
    at = rows[-1][1]
    found.handle(Watermark([NAME], at, "c"))
    stream = found.streams[NAME]
    asked = []
    for mono in range(0, 20 * MINUTE_MS, MINUTE_MS):
        _, requests = stream.advance(at, mono)
        asked += requests
        for request in requests:
            found.handle(
                RepairDone(NAME, request.repair_id, False, OUT_OF_REACH)  # type: ignore[call-arg]
            )
    told = reading(found)
    assert asked
    assert told.value is None
    assert told.through_ms == at
    assert told.buckets == vpin.BUCKETS
