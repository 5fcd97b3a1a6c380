"""A checkpoint of a stream without numbers holds each trade once, and reads back as it was."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow import ledger as ledgers
from orderflow.content import bar_hash
from orderflow.ledger import UnorderedLedger
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import checkpoint
from processor.engine import Engine
from processor.minute import Minute, fresh_minute
from processor.stream import Stream

START_MS = 1_735_689_600_000
NAME = "somewhere:perp:ABCUSDT"
FEW = 64
Rows = list[tuple[int, int, int, int, int, int]]


def tape(seed: int, count: int, *, numbered: bool = True) -> Rows:
    """(key, event_ms, ticks, lots, side, seq) over two minutes; keys say nothing about order."""
    draw = random.Random(seed)
    times = sorted(START_MS + draw.randrange(2 * MINUTE_MS) for _ in range(count))
    return [
        (
            draw.getrandbits(128),
            at,
            1_000 + draw.randrange(-9, 9),
            draw.randrange(1, 90),
            draw.randrange(2),
            number + 1 if numbered else 0,
        )
        for number, at in enumerate(times)
    ]


def batch(rows: Rows, source: str = "live") -> TradeBatch:
    keys, times, ticks, lots, sides, seqs = (list(c) for c in zip(*rows, strict=True))
    return TradeBatch(NAME, keys, times, ticks, lots, sides, seqs, source=source)  # type: ignore[arg-type]


def engine() -> Engine:
    made = Engine()
    made.handle(
        InstrumentChanged(
            *("somewhere", "perp", "ABCUSDT", "ABC", "USDT"),
            Decimal("0.1"),
            Decimal("0.001"),
            sequence="unordered",
            last_price=Decimal(100),
        )
    )
    made.handle(Connected([NAME], "c", START_MS))
    return made


def stopped(found: Engine) -> Engine:
    """The same engine after a stop and a start without a hole."""
    fresh = Engine()
    stream, _ = checkpoint.decode(checkpoint.encode(found.streams[NAME], []), 0, gapless=True)
    fresh.adopt(stream)
    return fresh


def told(found: Engine, at_ms: int) -> None:
    found.handle(Watermark([NAME], at_ms, "c"))
    found.advance_one(NAME, at_ms, at_ms - START_MS)


def content(stream: Stream) -> list[str]:
    minutes = [stream.minutes[start].bar(stream.instrument) for start in sorted(stream.minutes)]
    return [bar_hash([NAME], "1m", bar) for bar in minutes]


@pytest.mark.parametrize("numbered", [True, False])
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 299), max_size=4, unique=True))
def test_restarts_leave_no_mark(numbered: bool, seed: int, cuts: list[int]) -> None:
    """Content, VPIN's volume and what is remembered are the same with and without restarts, also
    where a page that overlaps is delivered again behind each."""
    kept = ledgers.RECENT_IDS
    ledgers.RECENT_IDS = FEW
    try:
        rows = tape(seed, 300, numbered=numbered)
        straight, other = engine(), engine()
        places = [0, *sorted(cuts), len(rows)]
        for begin, end in pairwise(places):
            for one in (straight, other):
                one.handle(batch(rows[begin:end]))
                told(one, rows[end - 1][1])
            other = stopped(other)
            other.handle(batch(rows[max(0, end - FEW) : end], "rest"))
        a, b = straight.streams[NAME], other.streams[NAME]
        assert content(a) == content(b)
        assert a.ledger.counts.applied == b.ledger.counts.applied == len(rows)
        assert a.toxicity.day_lots == b.toxicity.day_lots
        assert [one[3] for one in a.toxicity.loose] == [one[3] for one in b.toxicity.loose]
        assert a.toxicity.settled_ms == b.toxicity.settled_ms
        assert b.ledger.counts.balanced
    finally:
        ledgers.RECENT_IDS = kept


def test_what_is_remembered_is_read_back() -> None:
    """Ids of trades in cells are not saved beside them; those of refused trades are."""
    found = engine()
    rows = tape(5, 50)
    refused = batch(rows[:49])
    refused.rejected = [(77, "block_trade")]
    found.handle(refused)
    told(found, rows[48][1])
    stream = found.streams[NAME]
    blob = checkpoint.encode(stream, [])
    saved = checkpoint.DECODER.decode(blob).state
    assert [key for key, _ in saved.seen] == [77]
    assert saved.toxicity.loose == []
    again, _ = checkpoint.decode(blob, 0)
    assert isinstance(again.ledger, UnorderedLedger)
    assert isinstance(stream.ledger, UnorderedLedger)
    assert again.ledger.ids == stream.ledger.ids
    assert again.toxicity.loose == stream.toxicity.loose


def test_cells_before_the_horizon_are_folded_in_the_checkpoint_only() -> None:
    """More trades than outlive a restart: the checkpoint has the older cells as sums."""
    rows = tape(9, ledgers.RECENT_IDS + 1_000)
    found = engine()
    found.handle(batch(rows))
    stream = found.streams[NAME]
    before = content(stream)
    again, _ = checkpoint.decode(checkpoint.encode(stream, []), 0)
    assert isinstance(again.ledger, UnorderedLedger)
    horizon = again.ledger.horizon_ms
    assert horizon == rows[999][1] + 1
    cells = [c for m in again.minutes.values() for c in m.cells.items()]
    assert all(bool(cell.loose) == (start + 5_000 > horizon) for start, cell in cells)
    assert all(c.loose for m in stream.minutes.values() for c in m.cells.values())
    assert content(again) == before == content(stream)


def test_a_checkpoint_that_held_everything_twice_is_read() -> None:
    """Versions before kept ids and VPIN's trades beside the cells: nothing counts twice."""
    found = engine()
    rows = tape(3, 40)
    found.handle(batch(rows))
    told(found, rows[-1][1])
    stream = found.streams[NAME]
    ledger = stream.ledger
    assert isinstance(ledger, UnorderedLedger)
    whole = checkpoint.DECODER.decode(checkpoint.encode(stream, []))
    whole.state.seen = list(ledger.recent)
    whole.state.toxicity = stream.toxicity
    again, _ = checkpoint.decode(msgspec.json.encode(whole), 0)
    assert isinstance(again.ledger, UnorderedLedger)
    assert list(again.ledger.recent) == list(ledger.recent)
    assert again.toxicity.loose == stream.toxicity.loose
    assert content(again) == content(stream)


def test_finer_steps_after_a_checkpoint_was_made() -> None:
    """What a cell remembers of its own JSON and sums is forgotten when its steps change."""
    found = engine()
    stream = found.streams[NAME]
    found.handle(batch(tape(4, 30)))
    checkpoint.encode(stream, [])
    minute: Minute = next(iter(stream.minutes.values()))
    plain = fresh_minute(stream.instrument, minute.start_ms, 1)
    assert plain.cells == {}
    for cell in minute.cells.values():
        cell.folded()
    minute.rescale(10, 1, stream.instrument)
    loose = [one for cell in minute.cells.values() for one in cell.loose]
    assert all(one[4] > 5_000 for one in loose)
    saved = checkpoint.DECODER.decode(checkpoint.encode(stream, [])).state.minutes[0]
    assert [one for cell in saved.cells.values() for one in cell.loose] == loose
    assert all(cell.folded().tallies[-1].close_ticks > 5_000 for cell in minute.cells.values())
