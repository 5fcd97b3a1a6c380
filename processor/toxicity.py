"""VPIN of one stream: its state follows the trades in their order. Pure.

A stream whose venue numbers its trades is followed by ids: what comes behind a hole waits until the
hole is filled. A stream without numbers is followed by (time, sequence), some seconds behind the
newest trade, and not beyond an outage. What can't wait any longer, and trades that come too late,
make the value invalid until every bucket was filled anew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import compress

import msgspec

from orderflow.completeness import Gap
from orderflow.indicators import vpin
from orderflow.indicators.vpin import Reading, Vpin
from orderflow.ledger import ConsecutiveLedger, Ledger
from orderflow.timeframe import DAY_MS
from orderflow.trade import TradeBatch
from processor.loose import merge

SETTLE_MS = 5_000
"""Trades without numbers are put in order within this time."""
MOST_WAITING = 10_000
BEGAN = "begin"
HARMLESS = frozenset({"candle missing", "opening minute"})
"""Reasons of holes that take no trade from between those that were counted."""
EPOCH_BITS = 64
"""Trades of a later numbering come behind all of an earlier one."""

Loose = tuple[int, int, int, int, int, int]
"""(event_ms, seq, sweep order of the price, key, qty_lots, side) of a trade."""


class Waiting(msgspec.Struct):
    """Trades of consecutive ids from `first` on, behind a hole; none for ids without trade."""

    first: int
    last: int
    event_ms: list[int] = []
    lots: list[int] = []
    side: list[int] = []


class Toxicity(msgspec.Struct):
    """`state`: None until the volume of a whole UTC day is known, which gives the bucket size.

    `next_key`: the id that follows what was counted. `through_ms`: time of the newest trade
    counted; trades without numbers are all counted up to `settled_ms`. `day_whole`: the volume of
    the running day, which ends at `day_end_ms`, is known from its first trade on.
    """

    state: Vpin | None = None
    next_key: int | None = None
    through_ms: int = 0
    waiting: list[Waiting] = []
    loose: list[Loose] = []
    day_end_ms: int = 0
    day_lots: int = 0
    day_whole: bool = False
    settled_ms: int = 0
    since: str = BEGAN
    since_ms: int = 0

    def add(self, batch: TradeBatch, i: int, j: int, *, unordered: bool) -> None:
        """Trades i..j-1, never seen before."""
        if unordered:
            self.take_loose(batch, i, j)
        else:
            self.take(batch, i, j)

    # Streams with ids

    def goes_on(self, first: int, count: int, last_ms: int, buy: int, lots: int) -> bool:
        """The sums of consecutive ids; False, and nothing done, where single trades matter."""
        plain = self.next_key == first and last_ms < self.day_end_ms and not self.waiting
        if not plain or (self.state is not None and not self.state.add_totals(buy, lots - buy)):
            return False
        self.next_key = first + count
        self.day_lots += lots
        if last_ms > self.through_ms:
            self.through_ms = last_ms
        return True

    def take(self, batch: TradeBatch, i: int, j: int) -> None:
        """Trades i..j-1, new and of consecutive ids."""
        first, last = batch.key[i], batch.key[j - 1]
        if first == last:
            lots = batch.qty_lots[i]
            if self.goes_on(first, 1, batch.event_ms[i], lots if batch.side[i] else 0, lots):
                return
        if first == self.next_key or self.next_key is None:
            self.next_key = last + 1
            self._count(batch.event_ms[i:j], batch.qty_lots[i:j], batch.side[i:j])
            if self.waiting:
                self._go_on()
        elif first > self.next_key:
            columns = batch.event_ms[i:j], batch.qty_lots[i:j], batch.side[i:j]
            self._wait(Waiting(first, last, *columns))

    def skip(self, key: int, ledger: Ledger) -> None:
        """An id that was seen and is in no bar: nothing is missing there."""
        if isinstance(ledger, ConsecutiveLedger) and self.next_key is not None:
            key += ledger.epoch << EPOCH_BITS
            if key >= self.next_key:
                self._wait(Waiting(key, key))

    def _wait(self, new: Waiting) -> None:
        """Keep runs in order; one that goes on where the newest ends becomes part of it, so that
        thousands of trades behind a hole cost no more than one."""
        newest = self.waiting[-1] if self.waiting else None
        if newest is not None and newest.last + 1 == new.first:
            newest.last = new.last
            newest.event_ms += new.event_ms
            newest.lots += new.lots
            newest.side += new.side
        else:
            insort(self.waiting, new, key=_first)
        self._go_on()
        while sum(len(one.lots) for one in self.waiting) > MOST_WAITING:
            self.give_up("ids missing for too long")

    def _go_on(self) -> None:
        """Count what follows on without a hole."""
        while self.waiting and self.waiting[0].first <= (self.next_key or 0):
            one = self.waiting.pop(0)
            if one.first == self.next_key:
                self.next_key = one.last + 1
                self._count(one.event_ms, one.lots, one.side)

    # Streams without ids

    def take_loose(self, batch: TradeBatch, i: int, j: int) -> None:
        """New trades in any order; a trade from before what was counted makes it invalid."""
        prices, sides = batch.price_ticks[i:j], batch.side[i:j]
        sweeps = [price if side else -price for price, side in zip(prices, sides, strict=True)]
        seqs = batch.seq[i:j] or [0] * (j - i)
        columns = (batch.event_ms[i:j], seqs, sweeps, batch.key[i:j], batch.qty_lots[i:j], sides)
        rows: list[Loose] = sorted(zip(*columns, strict=True), key=_order)
        if rows[0][0] < self.settled_ms:
            late = bisect_left(rows, (self.settled_ms,))
            for one in rows[:late]:
                self.gap("late trade", one[0])
            del rows[:late]
        merge(self.loose, rows, _order)

    def settle(self, before_ms: int) -> None:
        """Count loose trades of before `before_ms`; later ones may still be joined by others."""
        if not self.loose:
            return
        ready = bisect_left(self.loose, (before_ms,))
        if len(self.loose) - ready > MOST_WAITING:
            newest_ms = self.loose[-1][0]
            self.gap("outage too long", newest_ms)
            self.loose, self.settled_ms = [], newest_ms + 1
            return
        self.settled_ms = max(self.settled_ms, before_ms)
        if ready:
            _, _, _, _, lots, side = zip(*self.loose[:ready], strict=True)
            times = [one[0] for one in self.loose[:ready]]
            del self.loose[:ready]
            self._count(times, lots, side)

    def without_kept(self, from_ms: int) -> Toxicity:
        """The same without loose trades from then on, which a checkpoint has elsewhere."""
        loose = self.loose[: bisect_left(self.loose, (from_ms,))]
        return msgspec.structs.replace(self, loose=loose)

    def take_back(self, from_ms: int, kept: Iterable[Loose]) -> None:
        """Loose trades from then on as they are kept elsewhere, in order."""
        before = sorted((one for one in self.loose if one[0] < from_ms), key=_order)
        since_ms = max(from_ms, self.settled_ms)
        self.loose = before + [one for one in kept if one[0] >= since_ms]

    # Both

    def follow(self, ledger: Ledger, newest_ms: int, outage: Gap | None) -> None:
        """What is waited for may have come, or will not come any more."""
        if isinstance(ledger, ConsecutiveLedger):
            if self.waiting:
                self._give_up_seen(ledger)
        elif self.loose:
            until = newest_ms - SETTLE_MS
            self.settle(until if outage is None else min(until, outage.start_ms))

    def lose(self, gap: Gap, ledger: Ledger, newest_ms: int) -> None:
        """A hole that nobody fills; where ids are numbered they tell by themselves."""
        if not isinstance(ledger, ConsecutiveLedger) and gap.reason not in HARMLESS:
            self.gap(gap.reason, min(gap.end_ms, newest_ms))

    def gap(self, why: str, at_ms: int) -> None:
        """Trades are missing for good: nothing before counts any more."""
        if self.state is not None:
            self.state.gap()
        self.since, self.since_ms, self.day_whole = why, at_ms, False

    def give_up(self, why: str) -> None:
        """The hole in front of what waits will not be filled: begin anew behind it."""
        one = self.waiting[0]
        self.gap(why, one.event_ms[0] if one.event_ms else self.through_ms)
        self.next_key = one.first
        self._go_on()

    def _give_up_seen(self, ledger: ConsecutiveLedger) -> None:
        """Give up holes that the ledger does not miss: those ids are in no trade of ours."""
        base = ledger.epoch << EPOCH_BITS
        while self.waiting:
            expected, behind = (self.next_key or 0) - base, self.waiting[0].first - base
            if not any(run.first <= expected and run.last >= behind for run in ledger.runs):
                return
            self.give_up("ids missing for good")

    def renumbered(self, why: str) -> None:
        """Ids begin anew, or are none any more."""
        self.gap(why, self.through_ms)
        self.next_key, self.waiting = None, []

    def rescale(self, lots: int) -> None:
        """One old lot is `lots` new ones."""
        if self.state is not None:
            self.state.rescale(lots)
        self.day_lots *= lots
        for one in self.waiting:
            one.lots = [quantity * lots for quantity in one.lots]
        self.loose = [(*one[:4], one[4] * lots, one[5]) for one in self.loose]

    def reading(self) -> Reading:
        """The value as it stands, or why there is none."""
        return vpin.reading(self.state, self.through_ms, self.since, self.since_ms)

    def _count(self, event_ms: Sequence[int], lots: Sequence[int], side: Sequence[int]) -> None:
        """Trades in order; a new UTC day takes its bucket size from the day before."""
        if not lots:
            return
        if event_ms[-1] >= self.day_end_ms:
            if not self.through_ms:
                self.since_ms = event_ms[0]
            cut = next(k for k, at in enumerate(event_ms) if at >= self.day_end_ms)
            self._add(lots[:cut], side[:cut])
            self._turn(event_ms[cut])
            self._count(event_ms[cut:], lots[cut:], side[cut:])
            return
        self._add(lots, side)
        self.through_ms = max(self.through_ms, event_ms[-1])

    def _turn(self, at_ms: int) -> None:
        """The first trade of a new day."""
        if self.day_whole and self.day_lots and at_ms < self.day_end_ms + DAY_MS:
            size = vpin.bucket_of(self.day_lots)
            if self.state is None:
                self.state = vpin.new(size)
                self.since, self.since_ms = "first bucket size", at_ms
            else:
                self.state.resize(size)
        self.day_whole = self.through_ms > 0
        self.day_lots, self.day_end_ms = 0, at_ms // DAY_MS * DAY_MS + DAY_MS
        self.through_ms = max(self.through_ms, at_ms)

    def _add(self, lots: Sequence[int], side: Sequence[int]) -> None:
        total = sum(lots)
        self.day_lots += total
        state = self.state
        if state is None:
            return
        buy = sum(compress(lots, side))
        if not state.add_totals(buy, total - buy):
            state.add_trades(lots, side)


def _first(one: Waiting) -> int:
    return one.first


def _order(one: Loose) -> tuple[int, int, int, int]:
    """Trades without sequence keep the order of their arrival within a millisecond."""
    return (one[0], one[1], one[2], one[3]) if one[1] else (one[0], 0, 0, 0)
