"""The hot path against a plain recount: any split, columns or one by one, holes filled late."""

from __future__ import annotations

import itertools
from decimal import Decimal
from random import Random
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument, Market
from orderflow.prints import class_floor, kept, quote_unit
from orderflow.trade import TradeBatch, joinable, joined
from processor.fold import WORTHWHILE, folded
from processor.minute import Minute, fresh_minute
from processor.tally import Tally
from processor.waiting import ENOUGH, Waiting

SPOT = Instrument("v", Market.SPOT, "ABC", "A", "BC", Decimal("0.5"), Decimal("0.25"))
FIRST_MS = 1_700_000_040_000


class Trade(NamedTuple):
    """One trade of the recount."""

    after_ms: int
    price: int
    lots: int
    side: int
    count: int


STEPS = st.builds(
    Trade,
    after_ms=st.sampled_from([0, 0, 0, 1, 3]),
    price=st.integers(990, 1_010),
    lots=st.integers(1, 4_000),
    side=st.integers(0, 1),
    count=st.integers(1, 3),
)
TRADES = st.lists(STEPS, min_size=1, max_size=60)


def many(seed: int) -> list[Trade]:
    """More trades than hypothesis likes to draw one by one."""
    draw = Random(seed)
    low = draw.choice((1, 990))
    return [
        Trade(
            draw.choice((0, 0, 0, 1, 3)),
            draw.randint(low, 1_010),
            draw.randint(1, 4_000),
            draw.randint(0, 1),
            draw.randint(1, 3),
        )
        for _ in range(WORTHWHILE + 60)
    ]


def batch_of(trades: list[Trade], first_key: int = 1, at: int = FIRST_MS) -> TradeBatch:
    """Trades with consecutive ids; times only go on."""
    times, now = [], at
    for trade in trades:
        now += trade.after_ms
        times.append(now)
    return TradeBatch(
        SPOT.name,
        list(range(first_key, first_key + len(trades))),
        times,
        [t.price for t in trades],
        [t.lots for t in trades],
        [t.side for t in trades],
        n_trades=[t.count for t in trades],
    )


def minute_of(batch: TradeBatch, cuts: list[int]) -> Minute:
    """The batch applied in pieces."""
    minute = fresh_minute(SPOT, FIRST_MS, 5)
    edges = [0, *sorted({cut % len(batch) for cut in cuts} - {0}), len(batch)]
    for i, j in itertools.pairwise(edges):
        minute.add_run(batch, i, j)
    return minute


@given(TRADES, st.lists(st.integers(1, 59), max_size=8), st.booleans())
def test_looking_changes_nothing(trades: list[Trade], cuts: list[int], loose: bool) -> None:
    """Cells that are looked at after every piece, folded and counted in finer steps on the way
    are those of a minute that nobody looked at."""
    batch = batch_of(trades)
    batch.seq = list(range(len(batch)))
    finer = Instrument("v", Market.SPOT, "ABC", "A", "BC", Decimal("0.1"), Decimal("0.25"))
    watched, unseen = (fresh_minute(SPOT, FIRST_MS, 5) for _ in range(2))
    edges = [0, *sorted({cut % len(batch) for cut in cuts} - {0}), len(batch)]
    for minute in (watched, unseen):
        for i, j in itertools.pairwise(edges):
            minute.add_loose(batch, i, j) if loose else minute.add_run(batch, i, j)
            if minute is watched:
                watched.cell_bars(SPOT)
        minute.fold_before(FIRST_MS)
        if minute is watched:
            watched.cell_bars(SPOT)
        minute.rescale(5, 1, finer)
        minute.fold_before(FIRST_MS + 60_000)
    assert watched.cell_bars(finer) == unseen.cell_bars(finer)
    assert watched.bar(finer) == unseen.bar(finer)
    assert msgspec.json.encode(watched) == msgspec.json.encode(unseen)


def recount(batch: TradeBatch) -> dict[str, object]:
    """The order-dependent numbers, as plainly as their definitions."""
    delta, running = 0, []
    for lots, side in zip(batch.qty_lots, batch.side, strict=True):
        delta += lots if side else -lots
        running.append(delta)
    prices = batch.price_ticks
    last_high = max(k for k, price in enumerate(prices) if price == max(prices))
    last_low = max(k for k, price in enumerate(prices) if price == min(prices))
    sweeps, buys, sells = 0, 0, 0
    k = 0
    while k < len(batch):
        end = k + 1
        while end < len(batch) and (batch.event_ms[end], batch.side[end]) == (
            batch.event_ms[k],
            batch.side[k],
        ):
            step = prices[end] - prices[end - 1]
            if (step if batch.side[k] else -step) < 0:
                break
            end += 1
        if len(set(prices[k:end])) >= 3:
            sweeps += 1
            buys += sum(batch.qty_lots[k:end]) * batch.side[k]
            sells += sum(batch.qty_lots[k:end]) * (1 - batch.side[k])
        k = end
    pairs = list(zip(prices, batch.qty_lots, strict=True))
    return {
        "min_delta_lots": min(running),
        "max_delta_lots": max(running),
        "cot_high_lots": running[last_high],
        "cot_low_lots": running[last_low],
        "sweeps": sweeps,
        "sweep_buy_lots": buys,
        "sweep_sell_lots": sells,
        "square_quote": sum(p * p * q for p, q in pairs),
        "open_ticks": prices[0],
        "high_ticks": max(prices),
        "low_ticks": min(prices),
        "close_ticks": prices[-1],
    }


def sizes_of(batch: TradeBatch) -> dict[int, tuple[int, int, int, int]]:
    """Size classes by comparing notionals with the floors of the classes."""
    total: dict[int, list[int]] = {}
    for price, lots, side in zip(batch.price_ticks, batch.qty_lots, batch.side, strict=True):
        notional = SPOT.price(price) * SPOT.qty(lots)
        number = max(k for k in range(64) if class_floor(k) <= notional)
        cell = total.setdefault(number, [0, 0, 0, 0])
        cell[0 if side else 1] += lots
        cell[2 if side else 3] += 1
    return {k: (v[0], v[1], v[2], v[3]) for k, v in total.items()}


@given(TRADES, st.lists(st.integers(0, 60), max_size=6))
def test_any_split_equals_the_recount(trades: list[Trade], cuts: list[int]) -> None:
    """However the trades are cut into batches, the bar holds what the definitions say."""
    batch = batch_of(trades)
    bar = minute_of(batch, cuts).bar(SPOT)
    wanted = recount(batch)
    assert {name: getattr(bar.flow, name) for name in wanted} == wanted
    assert bar.sizes == sizes_of(batch)
    ranked = sorted(zip(batch.price_ticks, batch.qty_lots, strict=True), key=lambda x: -x[0] * x[1])
    notionals = [p * q for p, q in ranked[: kept(len(batch))]]
    assert [item.price_ticks * item.qty_lots for item in bar.largest] == notionals


@given(st.integers(), st.integers(1, 59))
def test_columns_equal_one_by_one(seed: int, start: int) -> None:
    """Folding many trades in columns leaves the same tally and ladder as adding each."""
    batch = batch_of(many(seed))
    at_once, one_by_one = (fresh_minute(SPOT, FIRST_MS, 5) for _ in range(2))
    tallies = [Tally(1, 1), Tally(1, 1)]
    for tally, minute in zip(tallies, (at_once, one_by_one), strict=True):
        tally.add(batch, 0, start, minute.ladder)
    assert folded(tallies[0], at_once.ladder, batch, start, len(batch))
    tallies[1]._add_each(batch, start, len(batch), one_by_one.ladder)
    assert msgspec.to_builtins(tallies[0]) == msgspec.to_builtins(tallies[1])
    assert at_once.ladder.rows == one_by_one.ladder.rows
    assert at_once.ladder.sizes == one_by_one.ladder.sizes
    assert sorted(at_once.ladder.largest) == sorted(one_by_one.ladder.largest)


def test_numbers_too_large_for_columns_are_added_one_by_one() -> None:
    """Products beyond 62 bits are left to whole-number arithmetic, which has no bound."""
    trades = [Trade(1, 10**14 + k, 10**14, k % 2, 1) for k in range(WORTHWHILE)]
    batch = batch_of(trades)
    assert not folded(Tally(1, 1), fresh_minute(SPOT, FIRST_MS, 5).ladder, batch, 0, len(batch))
    bar = minute_of(batch, []).bar(SPOT)
    assert bar.flow.square_quote == sum((10**14 + k) ** 2 * 10**14 for k in range(WORTHWHILE))


@given(TRADES, st.data())
def test_a_hole_filled_late_changes_nothing(trades: list[Trade], data: st.DataObject) -> None:
    """Ids that were repaired after later ones give the same bar, sweeps over both borders too."""
    batch = batch_of(trades)
    i = data.draw(st.integers(0, len(batch)))
    j = data.draw(st.integers(i, len(batch)))
    late = fresh_minute(SPOT, FIRST_MS, 5)
    for span in ((0, i), (j, len(batch)), (i, j)):
        if span[0] < span[1]:
            late.add_run(batch, *span)
    assert late.bar(SPOT) == minute_of(batch, []).bar(SPOT)


@given(TRADES)
def test_finer_steps_change_no_number(trades: list[Trade]) -> None:
    """Counted in finer ticks and lots the bar is the rescaled bar."""
    minute = minute_of(batch_of(trades), [])
    fine = Instrument("v", Market.SPOT, "ABC", "A", "BC", Decimal("0.1"), Decimal("0.05"))
    wanted = minute.bar(SPOT).rescaled(fine.tick_size, fine.lot_size)
    minute.rescale(5, 5, fine)
    found: FootprintBar = minute.bar(fine)
    assert found == wanted
    unit = quote_unit(fine.tick_size, fine.lot_size)
    assert minute.ladder.unit == unit


def test_batches_wait_until_they_are_worth_it() -> None:
    """Batches of an instrument are joined in order; one of another source is never mixed in."""
    waiting = Waiting()
    parts = [batch_of([Trade(1, 1_000, 1, 1, 1)] * 10, 1 + 10 * k) for k in range(3)]
    parts[2].source = "rest"
    assert not waiting.add(parts[0])
    assert not waiting.add(parts[1])
    due = waiting.add(parts[2])
    assert [len(batch) for batch in due] == [20]
    assert due[0].key == list(range(1, 21))
    assert joinable(parts[0], parts[1])
    assert not joinable(parts[1], parts[2])
    assert [batch.key[0] for batch in waiting.take_all()] == [21]
    assert not waiting.take(SPOT.name)
    big = batch_of([Trade(1, 1_000, 1, 1, 1)] * ENOUGH)
    assert waiting.add(big) == [big]


def test_rejections_survive_joining() -> None:
    """Rejected trades of every batch stay in the joined one."""
    parts = [batch_of([Trade(1, 1_000, 1, 1, 1)], key) for key in (1, 3)]
    parts[0].rejected = [(2, "zero_qty")]
    parts[1].rejected = [(4, "not_market")]
    assert joined(parts).rejected == [(2, "zero_qty"), (4, "not_market")]
