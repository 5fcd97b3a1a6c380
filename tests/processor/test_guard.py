"""Odd trades: held, then contradicted or confirmed; a new numbering of a venue; lost trust."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.completeness import Gap, State
from orderflow.instrument import Market
from orderflow.ledger import ConsecutiveLedger, UnorderedLedger
from orderflow.sanity import Newest, odd_id
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import (
    IDS_SKIP,
    Connected,
    InstrumentChanged,
    RepairDone,
    TradeBatch,
    Watermark,
)
from processor import checkpoint, trust
from processor.engine import Engine
from processor.guard import Guard
from processor.stream import Stream

START_MS = 1_735_689_600_000
NAME = "somewhere:spot:ABCUSDT"
Row = tuple[int, int, int]


def batch(rows: list[Row], source: str = "live") -> TradeBatch:
    """(key, milliseconds after the start, price in ticks) as trades of one lot."""
    return TradeBatch(
        NAME,
        [row[0] for row in rows],
        [START_MS + row[1] for row in rows],
        [row[2] for row in rows],
        [1] * len(rows),
        [1] * len(rows),
        source=source,  # type: ignore[arg-type]
    )


def engine(sequence: str = "consecutive") -> tuple[Engine, Stream]:
    from decimal import Decimal

    made = Engine()
    announced = InstrumentChanged(
        "somewhere",
        Market.SPOT,
        "ABCUSDT",
        "ABC",
        "USDT",
        Decimal("0.1"),
        Decimal("0.001"),
        sequence,  # type: ignore[arg-type]
        last_price=Decimal(100),
    )
    made.handle(announced)
    made.handle(Connected([NAME], "c", START_MS))
    made.handle(Watermark([NAME], START_MS, "c"))
    return made, made.streams[NAME]


def lots(stream: Stream) -> int:
    return sum(m.bar(stream.instrument).flow.volume_lots for m in stream.minutes.values())


def test_one_price_far_off_is_the_venues_mistake() -> None:
    """A fill far from the market is held, then quarantined by its neighbour; its id is no hole."""
    made, stream = engine()
    made.handle(batch([(1, 1, 1_000), (2, 2, 1_001)]))
    made.handle(batch([(3, 3, 28_000)]))
    assert stream.ledger.counts.held == 1
    assert stream.ledger.counts.balanced
    made.handle(batch([(4, 4, 1_002)]))
    assert stream.ledger.counts.quarantined == {"price_far_off": 1}
    assert stream.evidence.open_holes() == []
    assert lots(stream) == 3


def test_a_market_that_really_moved_is_believed() -> None:
    """Three trades that agree on a far price are applied, all of them."""
    made, stream = engine()
    made.handle(batch([(1, 1, 1_000)]))
    made.handle(batch([(2, 2, 100), (3, 3, 101), (4, 4, 99), (5, 5, 98)]))
    assert lots(stream) == 5
    assert stream.ledger.counts.quarantined == {}
    assert stream.ledger.counts.balanced


def test_venue_numbers_anew() -> None:
    """Ids of the past with newer times are a new epoch, not an eternal gap or duplicates; what
    they can't tell is declared, and old ids that still arrive are refused."""
    made, stream = engine()
    made.handle(batch([(key, key, 1_000) for key in range(900, 910)]))
    made.handle(batch([(1, 30_000, 1_000), (2, 30_010, 1_000)]))
    assert stream.ledger.counts.held == 2
    made.handle(batch([(2, 30_010, 1_000), (3, 30_020, 1_000), (4, 30_030, 1_000)]))
    ledger = stream.ledger
    assert isinstance(ledger, ConsecutiveLedger)
    assert (ledger.epoch, ledger.next_key, ledger.counts.duplicate) == (1, 5, 1)
    assert lots(stream) == 14
    (gap,) = stream.coverage.lost
    assert gap == Gap(START_MS + 909, START_MS + 30_000, "ids restarted")
    made.handle(batch([(911, 910, 1_000)]))
    assert ledger.counts.quarantined == {"old_epoch": 1}
    assert ledger.gaps() == []
    flow = stream.minutes[START_MS].bar(stream.instrument).flow
    assert flow.last_ms == START_MS + 30_030
    quality = stream.evidence.quality(START_MS, flow, START_MS + 61_000, revision=0, closed=False)
    assert quality.state is State.PARTIAL


def test_one_wrong_id_is_no_new_numbering() -> None:
    """A single trade with an id nothing leads to is refused, and its id stays unseen."""
    made, stream = engine()
    made.handle(batch([(10, 1, 1_000)]))
    made.handle(batch([(10**12, 2, 1_000)]))
    made.handle(batch([(11, 3, 1_000)]))
    assert stream.ledger.counts.quarantined == {"id_far_off": 1}
    assert stream.evidence.open_holes() == []
    made.handle(batch([(10**12, 4, 1_000)], "rest"))
    assert stream.ledger.counts.quarantined == {"id_far_off": 2}
    odd = batch([])
    odd.rejected = [(10**13, "zero_qty"), (12, "zero_qty")]
    made.handle(odd)
    assert stream.evidence.open_holes() == []
    assert stream.ledger.counts.quarantined == {"id_far_off": 2, "zero_qty": 2}
    assert stream.ledger.counts.balanced


def test_a_time_far_back_is_held() -> None:
    """A new id with a time of long ago is quarantined by the next trade."""
    made, stream = engine()
    made.handle(batch([(1, 200_000, 1_000)]))
    made.handle(batch([(2, 1, 1_000)]))
    made.handle(batch([(3, 200_001, 1_000)]))
    assert stream.ledger.counts.quarantined == {"time_far_off": 1}
    assert stream.evidence.open_holes() == []


def test_restart_between_the_held_trades() -> None:
    """What is held survives a checkpoint and is decided on afterwards."""
    made, stream = engine()
    made.handle(batch([(500, 1, 1_000)]))
    made.handle(batch([(1, 9_000, 1_000)]))
    restored, _ = checkpoint.decode(checkpoint.encode(stream, []), 0)
    assert restored.ledger.counts.held == 1
    restored.on_trades(batch([(2, 9_001, 1_000), (3, 9_002, 1_000)]))
    assert lots(restored) == 4
    again, _ = checkpoint.decode(checkpoint.encode(restored, []), 0)
    assert isinstance(again.ledger, ConsecutiveLedger)
    assert (again.ledger.epoch, again.guard.epoch_ms) == (1, START_MS + 9_000)
    assert again.ledger.counts.balanced


def test_ids_that_skip_lose_their_meaning() -> None:
    """When the venue's own page skips ids, the stream goes on like one of unordered ids."""
    made, stream = engine()
    made.handle(batch([(10, 1, 1_000), (14, 2, 1_000)]))
    assert len(stream.evidence.open_holes()) == 1
    made.handle(RepairDone(NAME, 1, complete=False, reason=IDS_SKIP))
    assert isinstance(stream.ledger, UnorderedLedger)
    assert stream.evidence.open_holes() == []
    made.handle(batch([(14, 2, 1_000), (19, 3, 1_000)]))
    assert lots(stream) == 3
    assert stream.ledger.counts.duplicate == 1
    assert stream.instrument.sequence == "unordered"
    trust.distrust_ids(stream)
    restored, _ = checkpoint.decode(checkpoint.encode(stream, []), 0)
    assert isinstance(restored.ledger, UnorderedLedger)


def test_a_ledger_out_of_balance_marks_the_stream() -> None:
    """In production a violated account is no crash: the hot minutes lose their proof, once."""
    made, stream = engine()
    made.handle(batch([(1, 1, 1_000)]))
    assert trust.settle_account(stream)
    stream.ledger.counts.received += 1
    assert not trust.settle_account(stream)
    assert stream.unbalanced == 1
    assert stream.coverage.lost[0].reason == trust.UNBALANCED
    assert trust.settle_account(stream)


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_trade_is_accounted_for(seed: int) -> None:
    """Whatever comes, received == applied + duplicate + quarantined + held, after every batch."""
    draw = random.Random(seed)
    _, stream = engine(draw.choice(["consecutive", "unordered"]))
    for _ in range(40):
        rows = [
            (
                draw.choice((draw.randrange(1, 60), draw.randrange(1, 10**13))),
                draw.randrange(0, 2 * MINUTE_MS),
                draw.choice((1_000, 1_001, 1_000, 9, 90_000)),
            )
            for _ in range(draw.randrange(0, 6))
        ]
        made = batch(rows, draw.choice(["live", "rest", "polling"]))
        made.rejected = [(draw.randrange(1, 90), "zero_qty")] if draw.random() < 0.2 else []
        stream.on_trades(made)
        assert stream.ledger.counts.balanced
        applied = sum(
            tally.records
            for m in stream.minutes.values()
            for c in m.cells.values()
            for tally in c.tallies
        ) + sum(len(c.loose) for m in stream.minutes.values() for c in m.cells.values())
        assert applied == stream.ledger.counts.applied


def test_finer_steps_while_trades_are_held() -> None:
    """A held trade and the price it is compared with follow a changed tick."""
    guard = Guard(anchor_ticks=10, held=[batch([(1, 1, 500)])], why="price_far_off")
    guard.rescale(2, 5)
    assert guard.anchor_ticks == 20
    assert (guard.held[0].price_ticks, guard.held[0].qty_lots) == ([1_000], [5])


def test_ids_after_a_long_silence() -> None:
    """The longer the silence, the more new ids are believed."""
    newest = Newest(0, 100, START_MS, 0)
    assert odd_id(100 + 2_000_000, START_MS + 1, newest) == "id_far_off"
    assert odd_id(100 + 2_000_000, START_MS + 60_000, newest) == ""
