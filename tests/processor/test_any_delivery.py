"""The same trades give identical content, whatever the batching, the order of delivery, doubled
batches, a checkpoint in the middle, or a hole that is filled late."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.completeness import State
from orderflow.content import bar_hash
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window
from orderflow.trade import (
    OUT_OF_REACH,
    Connected,
    Disconnect,
    GapLost,
    InstrumentChanged,
    KlineClosed,
    RepairDone,
    TradeBatch,
    Watermark,
)
from processor import checkpoint, windows
from processor.engine import Engine
from processor.stream import Stream

START_MS = 1_735_689_600_000
NAME = "somewhere:perp:ABCUSDT"
TRADES = 120
Rows = list[tuple[int, int, int, int, int, int]]


def announced(sequence: str = "consecutive", **changes: Any) -> InstrumentChanged:
    values: dict[str, Any] = {
        "venue": "somewhere",
        "market": "perp",
        "symbol": "ABCUSDT",
        "base": "ABC",
        "quote": "USDT",
        "tick_size": Decimal("0.1"),
        "lot_size": Decimal("0.001"),
        "sequence": sequence,
        "last_price": Decimal(100),
    }
    return InstrumentChanged(**(values | changes))


def tape(seed: int) -> Rows:
    """(key, event_ms, ticks, lots, side, seq) over three minutes, several a millisecond."""
    draw = random.Random(seed)
    at, ticks, seq, side = START_MS + 100, 1_000, 1, 1
    rows: Rows = []
    for key in range(1, TRADES + 1):
        if draw.random() < 0.7:
            at += draw.randrange(0, 3_000)
            seq += 1
            side = draw.randrange(2)
        ticks += draw.randrange(0, 3) * (1 if side else -1)
        rows.append((key, at, max(5, ticks), draw.randrange(1, 90), side, seq))
    return rows


def batch(rows: Rows, source: str = "live") -> TradeBatch:
    keys, times, ticks, lots, sides, seqs = (list(c) for c in zip(*rows, strict=True))
    return TradeBatch(NAME, keys, times, ticks, lots, sides, seqs, source=source)


def engine(sequence: str, **changes: Any) -> Engine:
    made = Engine()
    made.handle(announced(sequence, **changes))
    made.handle(Connected([NAME], "c", START_MS))
    made.handle(Watermark([NAME], START_MS, "c"))
    return made


def content(found: Engine, end_ms: int = START_MS + 4 * MINUTE_MS) -> str:
    """Hash of everything, as one bar."""
    piece = windows.footprint_of(found.streams[NAME], Window(START_MS, end_ms), end_ms)
    assert piece is not None
    return bar_hash([NAME], "all", piece[0])


def through_checkpoint(found: Engine) -> Engine:
    """The same engine after a stop and a start."""
    blob = checkpoint.encode(found.streams[NAME], [])
    fresh = Engine()
    stream, _ = checkpoint.decode(blob, 0)
    fresh.streams[NAME] = stream
    fresh.handle(Connected([NAME], "d", START_MS))
    return fresh


@pytest.mark.parametrize("sequence", ["consecutive", "unordered"])
@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_delivery_does_not_matter(sequence: str, seed: int, data: st.DataObject) -> None:
    """Cut anywhere, shuffled, partly repeated, stopped and started: the same content."""
    rows = tape(seed)
    straight = engine(sequence)
    straight.handle(batch(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, TRADES - 1), max_size=12)))
    pieces = [rows[i:j] for i, j in zip([0, *cuts], [*cuts, TRADES], strict=True)]
    order = data.draw(st.permutations(pieces))
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    stop = data.draw(st.integers(0, len(order)))
    other = engine(sequence)
    for place, piece in enumerate([*order, *again]):
        if place == stop and sequence == "consecutive":
            other = through_checkpoint(other)
        other.handle(batch(piece))
    assert content(other) == content(straight)
    counts = other.streams[NAME].ledger.counts
    assert counts.balanced
    assert counts.applied == TRADES


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_ordered_stop_of_an_unordered_stream(seed: int) -> None:
    """An unordered stream goes on behind its checkpoint; a page that overlaps counts once."""
    rows = tape(seed)
    straight = engine("unordered")
    straight.handle(batch(rows))
    other = engine("unordered")
    other.handle(batch(rows[:50]))
    other = through_checkpoint(other)
    other.handle(batch(rows[30:90], "rest"))
    other.handle(batch(rows[80:]))
    assert content(other) == content(straight)


def advanced(found: Engine, now_ms: int, mono_ms: int = 0) -> Any:
    found.handle(Watermark([NAME], now_ms, "c"))
    return found.advance(lambda name: now_ms, mono_ms)


def candle(found: Engine, start_ms: int, **changes: Any) -> KlineClosed:
    """The venue's candle of a minute, as our own bar has it."""
    stream = found.streams[NAME]
    flow = stream.minutes[start_ms].bar(stream.instrument).flow
    values: dict[str, Any] = {
        "instrument": NAME,
        "start_ms": start_ms,
        "open_ticks": flow.open_ticks or 0,
        "high_ticks": flow.high_ticks or 0,
        "low_ticks": flow.low_ticks or 0,
        "close_ticks": flow.close_ticks or 0,
        "volume_lots": flow.volume_lots,
        "quote_volume": flow.quote(flow.buy_quote + flow.sell_quote),
        "trades": flow.trades,
        "taker_buy_lots": flow.buy_lots,
        "taker_buy_quote": flow.quote(flow.buy_quote),
    }
    return KlineClosed(**(values | changes))


def test_close_verify_revise() -> None:
    """A minute closes, is repaired with a revision, verified without one, and let go when final."""
    rows = tape(5)
    first = [row for row in rows if row[1] < START_MS + MINUTE_MS]
    found = engine("consecutive")
    found.handle(batch(first[:5]))
    found.handle(batch(first[7:]))
    (closed,) = advanced(found, START_MS + MINUTE_MS + 2_500).minutes
    assert (closed.quality.state, closed.quality.missing) == (State.REPAIRING, 2)
    assert not closed.quality.final
    (request,) = advanced(found, START_MS + MINUTE_MS + 2_600, 600).repairs
    assert (request.first_key, request.last_key) == (first[5][0], first[6][0])
    found.handle(batch(first[5:7], "rest"))
    found.handle(RepairDone(NAME, request.repair_id, complete=True))
    (revised,) = advanced(found, START_MS + MINUTE_MS + 2_700, 700).minutes
    assert (revised.quality.state, revised.quality.revision) == (State.CONTIGUOUS, 1)
    found.handle(candle(found, START_MS))
    (proven,) = advanced(found, START_MS + MINUTE_MS + 2_800, 800).minutes
    assert (proven.quality.state, proven.quality.final) == (State.VERIFIED, True)
    assert proven.quality.revision == 1
    stream = found.streams[NAME]
    assert stream.verified_minutes == 1
    assert START_MS not in stream.minutes
    found.handle(batch(first[:3]))
    assert stream.ledger.counts.duplicate == 3


def test_a_hole_that_stays() -> None:
    """What the venue can't give any more is listed and the minute is partial, for good."""
    rows = [row for row in tape(9) if row[1] < START_MS + MINUTE_MS]
    found = engine("consecutive")
    found.handle(batch(rows[:4]))
    found.handle(batch(rows[6:]))
    (request,) = (
        advanced(found, START_MS + 61_000, 0).repairs
        or advanced(found, START_MS + 62_500, 600).repairs
    )
    found.handle(RepairDone(NAME, request.repair_id, complete=False, reason=OUT_OF_REACH))
    results = advanced(found, START_MS + 63_000, 700)
    assert results.minutes[-1].quality.state is State.PARTIAL
    assert results.minutes[-1].quality.gaps[0].missing == 2
    assert found.streams[NAME].lost_gaps == 1
    (final,) = advanced(found, START_MS + 64_000, 2_000_000).minutes
    assert final.quality.final
    assert found.streams[NAME].unverified_minutes == 1


def test_candle_that_differs() -> None:
    """A difference that ids excuse is the venue's own; one that nothing excuses is asked for."""
    rows = [row for row in tape(3) if row[1] < START_MS + MINUTE_MS]
    found = engine("consecutive")
    found.handle(batch(rows))
    advanced(found, START_MS + 62_500)
    found.handle(candle(found, START_MS, volume_lots=1))
    (minute,) = advanced(found, START_MS + 62_600, 1).minutes
    assert minute.quality.state is State.VENUE_ADJUSTMENT
    loose = engine("unordered")
    loose.handle(batch(rows))
    advanced(loose, START_MS + 62_500)
    loose.handle(candle(loose, START_MS, volume_lots=1, taker_buy_lots=None))
    (minute,) = advanced(loose, START_MS + 62_600, 1).minutes
    assert minute.quality.state is State.REPAIRING
    (request,) = advanced(loose, START_MS + 63_600, 1_000).repairs
    loose.handle(RepairDone(NAME, request.repair_id, complete=True))
    (minute,) = advanced(loose, START_MS + 63_700, 1_100).minutes
    assert minute.quality.state is State.PARTIAL


@pytest.mark.parametrize("sequence", ["consecutive", "unordered"])
def test_outage(sequence: str) -> None:
    """While nobody delivers the minute is repairing; the answer to the repair settles it."""
    rows = tape(4)
    found = engine(sequence)
    found.handle(batch(rows[:40]))
    found.handle(Disconnect([NAME], "c", rows[39][1], "closed"))
    stream = found.streams[NAME]
    open_minute = rows[39][1] // MINUTE_MS * MINUTE_MS
    assert quality(stream, open_minute, rows[39][1] + 5).state is State.REPAIRING
    found.handle(Connected([NAME], "e", rows[60][1]))
    found.advance(lambda name: rows[60][1], 0)
    requests = found.advance(lambda name: rows[60][1], 600).repairs
    assert len(requests) == 1
    assert requests[0].first_key == (41 if sequence == "consecutive" else None)
    found.handle(batch(rows[40:61], "rest"))
    found.handle(RepairDone(NAME, requests[0].repair_id, complete=True))
    found.handle(batch(rows[61:]))
    found.advance(lambda name: rows[61][1], 700)
    assert quality(stream, open_minute, rows[61][1]).state is not State.REPAIRING
    assert stream.reconnects == 1


def quality(stream: Stream, start_ms: int, now_ms: int) -> Any:
    flow = stream.open_bar(start_ms).flow
    return stream.evidence.quality(start_ms, flow, now_ms, revision=0, closed=False)


def test_dropped_without_ids() -> None:
    """Trades of an unordered stream that were dropped on our side are a hole that stays."""
    rows = tape(4)
    found = engine("unordered")
    found.handle(batch(rows[:10]))
    found.handle(GapLost(NAME, rows[9][1], rows[9][1] + 50, "buffer"))
    stream = found.streams[NAME]
    minute = rows[9][1] // MINUTE_MS * MINUTE_MS
    assert quality(stream, minute, rows[9][1] + 100).state is State.PARTIAL


def test_changed_tick_and_lot() -> None:
    """A finer tick and lot in the middle of a minute keep every price and quantity exact."""
    rows = tape(6)[:20]
    found = engine("consecutive")
    found.handle(batch(rows[:10]))
    before = found.streams[NAME].minutes[START_MS].bar(found.streams[NAME].instrument)
    found.handle(announced(tick_size=Decimal("0.05"), lot_size=Decimal("0.0001"), scale=1))
    after = found.streams[NAME].minutes[START_MS].bar(found.streams[NAME].instrument)
    assert bar_hash(["x"], "1m", before) == bar_hash(["x"], "1m", after)
    fine = batch([(k, at, t * 2, lots * 10, side, seq) for k, at, t, lots, side, seq in rows[10:]])
    fine.scale = 1
    found.handle(fine)
    whole = engine("consecutive")
    whole.handle(batch(rows))
    assert content(found) == content(whole)


def test_unknown_instruments_are_counted() -> None:
    """Trades of an instrument nobody announced change nothing."""
    found = Engine()
    found.handle(batch(tape(1)[:3]))
    found.handle(KlineClosed(NAME, 0, 0, 0, 0, 0, 0, Decimal(0)))
    assert found.unknown == 3
    assert found.streams == {}


def test_grid_changes_at_midnight_only() -> None:
    """After a day of its own hours a stream gets a new base row at 00:00 UTC; windows over the
    change use the wider row and keep every lot."""
    found = engine("consecutive")
    stream = found.streams[NAME]
    key, lots = 1, 0
    for minute in range(24 * 60 + 30):
        at = START_MS + minute * MINUTE_MS
        swing = 4_000 if minute % 2 else 0
        rows = [(key, at, 10_000 + swing, 3, 1, key), (key + 1, at + 9, 10_000, 2, 0, key)]
        key, lots = key + 2, lots + 5
        found.handle(batch(rows))
        advanced(found, at + MINUTE_MS + 1)
    days = {day: grid.row_size for day, grid in stream.grids.days.items()}
    assert len(set(days.values())) == 2
    window = Window(START_MS + 23 * HOUR_MS, START_MS + DAY_MS + 30 * MINUTE_MS)
    piece = windows.footprint_of(stream, window, window.end_ms)
    assert piece is not None
    assert piece[0].row_size == max(days.values())
    assert sum(b + s for b, s, _ in piece[0].rows.values()) == 5 * 90
