"""A burst of many instruments leaves the same state as a batch per instrument."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.ledger import ConsecutiveLedger
from orderflow.mixed import MIXED_COLUMNS, MixedTrades, grouped, joined
from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import bulk, checkpoint
from processor import waiting as waits
from processor.engine import Engine
from processor.waiting import Waiting

START_MS = 1_735_689_600_000
NAMES = [f"somewhere:spot:C{number}USDT" for number in range(5)]


def engine(sequence: str = "consecutive") -> Engine:
    """Five announced instruments."""
    made = Engine()
    for name in NAMES:
        symbol = name.rpartition(":")[2]
        made.handle(
            InstrumentChanged(
                "somewhere",
                "spot",
                symbol,
                symbol[:-4],
                "USDT",
                Decimal("0.01"),
                Decimal("0.001"),
                sequence,  # type: ignore[arg-type]
                last_price=Decimal(10),
            )
        )
    made.handle(Connected(NAMES, "c", START_MS))
    made.handle(Watermark(NAMES, START_MS, "c"))
    return made


class Market:
    """Trades of five instruments; now and then something odd."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.at = START_MS + 100
        self.keys = [1] * len(NAMES)
        self.prices = [1_000] * len(NAMES)

    def burst(self, count: int, oddity: str) -> MixedTrades:
        """The next trades, grouped."""
        draw = self.draw
        rows: list[tuple[int, ...]] = []
        for place in range(count):
            self.at += draw.choice((0, 0, 0, 1, 40))
            number = min(draw.randrange(len(NAMES)), draw.randrange(len(NAMES)))
            side = draw.randrange(2)
            self.prices[number] += draw.randrange(3) * (1 if side else -1)
            self.prices[number] = max(500, self.prices[number])
            key, price, late, lots = self.keys[number], self.prices[number], 0, draw.randint(1, 900)
            if place == count // 2:
                key += 3 * (oddity == "hole")
                key -= min(key - 1, 2) * (oddity == "twice")
                price *= 9 if oddity == "price" else 1
                late = 9_000 * (oddity == "late")
                lots = 2**60 if oddity == "huge" else lots
            self.keys[number] = key + 1
            count_of = draw.randint(1, 3)
            rows.append(
                (number, key, self.at - late, price, lots, side, count_of, key * 3, key * 3 + 2)
            )
        columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
        found, edges, rest = grouped(columns[0], columns[1:])
        return MixedTrades([NAMES[k] for k in found], [0] * len(found), edges, *rest)


def state(made: Engine) -> list[Any]:
    """Everything a checkpoint holds; heaps in order."""
    states = []
    for stream in made.streams.values():
        for minute in stream.minutes.values():
            minute.ladder.settle()
            minute.ladder.largest.sort()
        states.append(msgspec.json.decode(checkpoint.encode(stream, [])))
    return states


@given(
    st.integers(0, 10**6),
    st.lists(
        st.tuples(
            st.integers(1, 250),
            st.sampled_from(["", "", "", "hole", "twice", "price", "late", "huge"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_a_burst_equals_its_batches(seed: int, plan: list[tuple[int, str]], close: bool) -> None:
    """Plain or odd, over cells and minutes: the same ledger, tallies, rows, sizes and prints."""
    market, at_once, one_by_one = Market(seed), engine(), engine()
    for count, oddity in plan:
        burst = market.burst(count, oddity)
        at_once.handle(burst)
        for batch in burst.batches():
            one_by_one.handle(batch)
        if close:
            for made in (at_once, one_by_one):
                made.handle(Watermark(NAMES, market.at, "c"))
                made.advance(lambda name: market.at, market.at - START_MS)
    assert state(at_once) == state(one_by_one)


def test_plain_bursts_leave_nothing_over() -> None:
    """After the first trades every plain burst is taken whole: the fast way is really taken."""
    market, made = Market(1), engine()
    made.handle(market.burst(300, ""))
    for _ in range(5):
        assert bulk.apply(made.streams, market.burst(300, "")) == []


def test_unordered_streams_and_strangers_take_the_other_way() -> None:
    """Ids that say nothing about order, and instruments never announced, are left over."""
    market = Market(2)
    made = engine("unordered")
    burst = market.burst(50, "")
    assert bulk.apply(made.streams, burst) == list(range(len(burst.instruments)))
    stranger = Engine()
    stranger.handle(burst)
    assert stranger.unknown == 50


@given(st.integers(0, 10**6), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_bursts_joined_keep_the_order_of_each_instrument(seed: int, sizes: list[int]) -> None:
    """Joining bursts is joining the batches of each instrument."""
    market = Market(seed)
    parts = [market.burst(size, "") for size in sizes]
    whole = joined(parts)
    assert len(whole) == sum(sizes)
    for number, name in enumerate(whole.instruments):
        batch = whole.batch(number)
        for column in MIXED_COLUMNS:
            wanted = [
                value
                for part in parts
                for one in part.batches()
                if one.instrument == name
                for value in getattr(one, column)
            ]
            assert getattr(batch, column) == wanted


def test_rows_far_apart_are_counted_without_a_wide_array() -> None:
    """Prices that are far from each other, each near enough to be believed, stay exact."""
    market, at_once, one_by_one = Market(3), engine(), engine()
    for price in (1_000, 3_900, 15_000, 50_000, 190_000):
        market.prices = [price] * len(NAMES)
        for _ in range(2):
            burst = market.burst(12, "")
            at_once.handle(burst)
            for batch in burst.batches():
                one_by_one.handle(batch)
        market.prices = [price * 3] * len(NAMES)
    assert state(at_once) == state(one_by_one)


def told(made: Engine) -> list[Any]:
    """What every stream answers with: its bars and cells, what was counted and missed, VPIN."""
    return [
        (
            [(m.bar(stream.instrument), m.cell_bars(stream.instrument)) for m in minutes],
            stream.ledger.counts,
            stream.ledger.gaps() if isinstance(stream.ledger, ConsecutiveLedger) else [],
            stream.toxicity.reading(),
        )
        for stream in made.streams.values()
        for minutes in [[stream.minutes[start] for start in sorted(stream.minutes)]]
    ]


def settle(made: Engine, due: list[MixedTrades | TradeBatch]) -> None:
    """What is due, into the engine."""
    for one in due:
        made.handle(one)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 9), min_size=2, max_size=25))
@settings(max_examples=80, deadline=None)
def test_waiting_changes_nothing(seed: int, steps: list[int]) -> None:
    """Bursts and batches, holes among them, that wait, are handed out in parts, or wait for
    everybody else: one content."""
    market, waited, at_once = Market(seed), engine(), engine()
    waiting = Waiting()
    with (
        patch.object(waits, "ENOUGH_MIXED", 300),
        patch.object(waits, "SLICE", 40),
        patch.object(waits, "HEAVY", market.draw.choice((15, 60, 12_288))),
        patch.object(waits, "MOST_BEHIND", market.draw.choice((20, 100_000))),
    ):
        for step in steps:
            odd = market.draw.choice(("", "", "", "hole"))
            burst = market.burst(market.draw.randint(1, 120), odd)
            settle(at_once, list(burst.batches()))
            for one in burst.batches() if step > 6 else [burst]:
                settle(waited, waiting.add(one))
            if step in {3, 4}:
                name = NAMES[seed % len(NAMES)]
                settle(waited, waiting.take(name) if step == 3 else waiting.take_some())
                assert step == 4 or name not in waiting
            settle(waited, waiting.take_heavy() if step == 5 else [])
            assert {name for name in NAMES if waiting.size(name)} == waiting.names()
        while some := waiting.take_some() or waiting.take_heavy():
            settle(waited, some)
    assert not waiting.names()
    assert told(waited) == told(at_once)


def test_enough_bursts_are_handed_out_in_slices() -> None:
    """A pile goes out a slice per burst that comes, whole instruments at a time."""
    market, waiting = Market(4), Waiting()
    with patch.object(waits, "ENOUGH_MIXED", 400), patch.object(waits, "SLICE", 10):
        assert waiting.add(market.burst(200, "")) == []
        first = waiting.add(market.burst(200, ""))
        assert [len(one.instruments) for one in first if isinstance(one, MixedTrades)] == [1]
        assert sum(waiting.size(name) for name in NAMES) == 400 - len(first[0])
        more = waiting.add(market.burst(5, ""))
        assert len(more) == 1
        assert sum(map(len, waiting.take_all())) == 405 - len(first[0]) - len(more[0])


def test_what_a_burst_cannot_say_waits_as_a_batch() -> None:
    """A batch with rejected trades waits behind the bursts that have trades of its instrument."""
    market, waiting = Market(5), Waiting()
    assert waiting.add(market.burst(60, "")) == []
    odd = market.burst(1, "").batch(0)
    odd.rejected = [(10**6, "zero_qty")]
    before = waiting.size(odd.instrument)
    assert waiting.add(odd) == []
    *earlier, last = waiting.take(odd.instrument)
    assert sum(map(len, earlier)) == before
    assert last == odd
