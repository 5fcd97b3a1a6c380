"""Derivative context by minute: late liquidations, interruptions, nothing carried over a hole."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from backbone.store.base import DERIVATIVES, Record
from orderflow.derivatives import (
    DerivativeMinute,
    Funding,
    Interruption,
    Liquidated,
    Liquidation,
    OpenInterest,
    liquidated,
    minute_from_body,
    minute_to_body,
)
from processor.derivative_keeper import DerivativeKeeper
from processor.derivatives import DerivativeBook

NAME = "bybit:perp:BTCUSDT"
START = 1_700_000_040_000
MINUTE = 60_000


def closed_long(after_ms: int, quantity: str = "1.5") -> Liquidation:
    """A long that was liquidated."""
    return Liquidation(NAME, START + after_ms, "long", Decimal(quantity), Decimal(100))


def test_values_go_on_and_sums_start_anew() -> None:
    """Funding and open interest hold until the next word; liquidations belong to their minute."""
    book = DerivativeBook()
    book.on_event(Interruption([NAME], START, sampled=False))
    book.on_event(Funding(NAME, START + 10, Decimal("0.0001"), START + 9 * MINUTE, Decimal(101)))
    book.on_event(OpenInterest(NAME, START + 20, Decimal(7)))
    book.on_event(closed_long(30))
    book.on_event(closed_long(MINUTE + 10, "0.5"))
    (first,) = book.due(START + MINUTE + 5_000)
    assert first.whole
    assert not first.sampled
    assert first.longs == Liquidated(1, Decimal("1.5"))
    (second,) = book.due(START + 2 * MINUTE + 5_000)
    assert (second.funding_rate, second.open_interest) == (Decimal("0.0001"), Decimal(7))
    assert second.longs == Liquidated(1, Decimal("0.5"))
    assert liquidated([first, second]) == (Liquidated(2, Decimal("2.0")), Liquidated())


def test_a_late_liquidation_finds_its_minute_until_it_is_closed() -> None:
    """Up to five seconds after the minute a late event still counts; later it is only counted."""
    book = DerivativeBook()
    book.on_event(closed_long(10))
    book.on_event(closed_long(MINUTE + 1_000))
    book.on_event(closed_long(MINUTE - 1))
    (first,) = book.on_event(closed_long(MINUTE + 5_000))
    assert first.longs.count == 2
    book.on_event(closed_long(MINUTE - 1))
    assert book.late == 1


def test_nothing_is_known_over_an_interruption() -> None:
    """The minutes around a hole are not whole, those inside are missing, values start anew."""
    book = DerivativeBook()
    book.on_event(Interruption([NAME], START - 1, sampled=True))
    book.on_event(Funding(NAME, START + 10, Decimal("0.0001")))
    assert book.on_event(Interruption([NAME], START + 10, sampled=True, ended=True)) == []
    (cut,) = book.due(START + 4 * MINUTE)
    assert not cut.whole
    assert book.newest is None
    assert book.on_event(Interruption([NAME], START + 5 * MINUTE + 7, sampled=True)) == []
    book.on_event(closed_long(5 * MINUTE + 8))
    done = book.on_event(closed_long(7 * MINUTE))
    done += book.due(START + 7 * MINUTE + 5_000)
    assert [minute.start_ms for minute in done] == [START + 5 * MINUTE, START + 6 * MINUTE]
    assert [minute.whole for minute in done] == [False, True]
    assert done[0].funding_rate is None
    assert done[0].sampled


def test_a_short_interruption_leaves_its_minute_open() -> None:
    """What comes after the interruption still counts in the minute it happened in."""
    book = DerivativeBook()
    book.on_event(OpenInterest(NAME, START + 10, Decimal(7)))
    assert book.on_event(Interruption([NAME], START + 20, sampled=True)) == []
    book.on_event(Funding(NAME, START + 30, Decimal("0.0001")))
    book.on_event(Funding(NAME, START + MINUTE, Decimal("0.0002")))
    (first,) = book.due(START + MINUTE + 5_000)
    assert (first.whole, first.funding_rate) == (False, Decimal("0.0001"))
    assert first.open_interest == Decimal(7)


def test_a_silent_stream_is_not_whole() -> None:
    """A minute nothing was heard after may have missed its end, whatever the clock says."""
    book = DerivativeBook()
    book.on_event(Interruption([NAME], START, sampled=False))
    book.on_event(Funding(NAME, START + 10, Decimal("0.0001")))
    (first,) = book.due(START + MINUTE + 5_000)
    assert not first.whole


@given(st.lists(st.integers(0, 4 * MINUTE), max_size=30), st.integers(0, 5_000))
def test_every_liquidation_in_time_is_in_its_minute(times: list[int], jitter: int) -> None:
    """In any order within the allowed lateness each event is counted once, in its own minute."""
    book = DerivativeBook()
    done: list[DerivativeMinute] = []
    arrivals = sorted((t + (jitter * (k % 2)), t) for k, t in enumerate(times))
    newest = 0
    in_time = []
    for _, t in arrivals:
        newest = max(newest, t)
        in_time.append(t)
        done += book.on_event(closed_long(t))
    done += book.due(START + 10 * MINUTE)
    counted: dict[int, int] = {}
    for minute in done:
        counted[minute.start_ms] = counted.get(minute.start_ms, 0) + minute.longs.count
    assert len(counted) == len(done)
    assert sum(counted.values()) + book.late == len(times)
    for start, count in counted.items():
        assert count <= sum(1 for t in in_time if start <= START + t < start + MINUTE)


def test_minutes_reach_the_store() -> None:
    """The keeper makes one record of every closed minute, and it reads back as it was."""
    records: list[Record] = []
    keeper = DerivativeKeeper(records.extend)
    keeper.take([Interruption([NAME], START, sampled=False), closed_long(5), "not an event"])
    keeper.advance(NAME, START + MINUTE + 5_000)
    keeper.advance("nobody", START)
    (record,) = records
    assert (record.collection, record.start_ms) == (DERIVATIVES, START)
    minute = minute_from_body(record.body)
    assert minute == keeper.books[NAME].closed[-1]
    assert minute_to_body(minute) == record.body
