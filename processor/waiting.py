"""Trades that wait to be applied together: the busier, the more. Pure.

Applying costs by the batch as well as by the trade, so batches of one instrument wait until they
are worth it, until time is to be told (`take_some`) or until somebody asks (`take`). Bursts of many
instruments wait for each other in the same way; batches wait behind them. The order within an
instrument is kept.

An instrument that brings more than `HEAVY` trades in one turn is behind: what it brings from then
on waits apart and is applied a piece a turn (`take_heavy`), when everything else has been, so that
the burst of one instrument delays no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import KeysView

from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch, joinable, joined
from processor.pool import Pool, burst_of

ENOUGH = 1_024
"""So many trades of one instrument are applied at once."""
ENOUGH_MIXED = 131_072
"""So many trades of many instruments are sorted by instrument, to be applied in slices."""
SLICE = 12_288
"""What a slice costs, in trades: more would hold up everything else in the process."""
HEAVY = 12_288
"""More trades of one instrument in one turn than this wait for everybody else."""
LOUD = 64
"""Bursts with more trades an instrument than this, on average, are counted as part of a turn."""
MOST_BEHIND = 100_000
"""More trades than this do not wait in memory for others: then the bus has to."""

Trades = TradeBatch | MixedTrades


class Waiting:
    """Batches by instrument, and bursts, in the order of their arrival."""

    def __init__(self) -> None:
        self._batches: dict[str, list[TradeBatch]] = {}
        self._trades: dict[str, int] = {}
        self._pool = Pool()
        self._sliced = False
        self._turn: dict[str, int] = {}
        self._behind: dict[str, deque[Trades]] = {}
        self._weight = 0

    def __contains__(self, name: str) -> bool:
        """True when trades of an instrument wait."""
        return name in self._pool or name in self._batches or name in self._behind

    @property
    def behind(self) -> KeysView[str]:
        """Instruments that wait for everybody else."""
        return self._behind.keys()

    def names(self) -> set[str]:
        """Instruments of which trades wait."""
        return self._pool.names() | self._batches.keys() | self._behind.keys()

    def add(self, trades: Trades) -> list[Trades]:
        """Keep trades; returns what is to be applied now, in this order."""
        if isinstance(trades, MixedTrades):
            return self._add_burst(trades)
        name = trades.instrument
        if name in self._behind:
            return self._fall_behind(name, [trades])
        brought = self._turn[name] = self._turn.get(name, 0) + len(trades.key)
        if brought > HEAVY:
            return self._fall_behind(name, [*self.take(name), trades])
        due: list[Trades] = []
        known = self._batches.get(name)
        if known is not None and not joinable(known[-1], trades):
            due += self._take_pooled(name)
            known = None
        if known is None:
            known = self._batches[name] = []
            self._trades[name] = 0
        known.append(trades)
        self._trades[name] += len(trades.key)
        return due + self._take_pooled(name) if self._trades[name] >= ENOUGH else due

    def _fall_behind(self, name: str, trades: list[Trades]) -> list[Trades]:
        """Wait for everybody else, unless too much does."""
        self._behind.setdefault(name, deque()).extend(trades)
        self._weight += sum(map(len, trades))
        due: list[Trades] = []
        while self._weight > MOST_BEHIND:
            due += self.take_heavy()
        return due

    def _add_burst(self, burst: MixedTrades) -> list[Trades]:
        due: list[Trades] = []
        if self._behind and not self._behind.keys().isdisjoint(burst.instruments):
            return [one for batch in burst.batches() for one in self.add(batch)]
        if len(burst) >= LOUD * len(burst.instruments) and (loud := self._louder(burst)):
            for name in loud:
                due += self._fall_behind(name, self.take(name))
            return due + [one for batch in burst.batches() for one in self.add(batch)]
        if self._batches:
            due += self._pool_batches(burst)
        if self._pool.source not in {None, burst.source}:
            due += self._take_bursts()
        self._pool.add(burst)
        if len(self._pool) >= ENOUGH_MIXED:
            due += self._take_pile()
            due += self._sort()
        return due + self._slice()

    def _pool_batches(self, burst: MixedTrades) -> list[Trades]:
        """Batches of a burst's instruments go before it, all in one go where that can be said."""
        places = zip(burst.instruments, burst.scales, strict=True)
        scales = {name: scale for name, scale in places if name in self._batches}
        batches = [batch for name in scales for batch in self._batches[name]]
        alike = all(batch.scale == scales[batch.instrument] for batch in batches)
        before = burst_of(batches) if batches and alike else None
        alone = self._pool.source not in {None, burst.source}
        if before is None or alone or before.source != burst.source:
            return [one for name in scales for one in self._take_pooled(name)]
        for name in scales:
            del self._batches[name]
        self._pool.add(before)
        return []

    def _louder(self, burst: MixedTrades) -> list[str]:
        """Instruments whose turn this burst is too much for."""
        turn = self._turn
        for name, count in burst.sizes():
            turn[name] = turn.get(name, 0) + count
        return [name for name in burst.instruments if turn[name] > HEAVY]

    def _sort(self) -> list[Trades]:
        """Make a pile of the bursts, without what is too much of one instrument."""
        due: list[Trades] = []
        for name, pieces in self._pool.pile(HEAVY).items():
            due += self._fall_behind(name, [*pieces, *self._take(name)])
        self._sliced = True
        return due

    def size(self, name: str) -> int:
        """Trades that wait of one instrument."""
        behind = sum(map(len, self._behind.get(name, ())))
        waiting = self._trades[name] if name in self._batches else 0
        return waiting + behind + self._pool.size(name)

    def take(self, name: str) -> list[Trades]:
        """What waits of one instrument."""
        behind = self._behind.pop(name, None)
        if behind is not None:
            self._weight -= sum(map(len, behind))
            return [*behind, *self._pool.pick(name), *self._take(name)]
        picked: list[Trades] = []
        for batch in self._pool.pick(name):
            last = picked[-1] if picked else None
            if isinstance(last, TradeBatch) and joinable(last, batch):
                picked[-1] = joined([last, batch])
            else:
                picked.append(batch)
        return picked + self._take(name)

    def take_some(self) -> list[Trades]:
        """A part of what waits, small enough to hold up nobody; nothing when only instruments that
        are behind wait."""
        while not self._pool.empty:
            due = [] if self._sliced else self._sort()
            if due := due + self._slice():
                return due
        if not self._batches:
            return []
        return self._take(next(iter(self._batches)))

    def begin_turn(self) -> None:
        """Everybody may bring as much again."""
        self._turn.clear()

    def take_heavy(self) -> list[Trades]:
        """A piece of one that is behind, each in turn; nothing when none is."""
        if not self._behind:
            return []
        name, queue = next(iter(self._behind.items()))
        del self._behind[name]
        piece = [queue.popleft()]
        count = len(piece[0])
        while queue and count + len(queue[0]) <= HEAVY:
            count += len(queue[0])
            piece.append(queue.popleft())
        self._weight -= count
        if queue:
            self._behind[name] = queue
        return piece

    def take_all(self) -> list[Trades]:
        """Everything that waits."""
        found = self._take_bursts()
        found += [batch for name in list(self._batches) for batch in self._take(name)]
        while piece := self.take_heavy():
            found += piece
        return found

    def _take(self, name: str) -> list[Trades]:
        batches = self._batches.pop(name, None)
        return [] if batches is None else [joined(batches)]

    def _take_pooled(self, name: str) -> list[Trades]:
        """What waits of one instrument, older bursts first."""
        return [*self._pool.pick(name), *self._take(name)]

    def _slice(self) -> list[Trades]:
        """Some more of a pile that is being handed out."""
        if not self._sliced:
            return []
        burst = self._pool.next(SLICE)
        self._sliced = burst is not None
        return [] if burst is None else [burst]

    def _take_pile(self) -> list[Trades]:
        found: list[Trades] = []
        while self._sliced:
            found += self._slice()
        return found

    def _take_bursts(self) -> list[Trades]:
        found = self._take_pile()
        found += self._sort()
        return found + self._take_pile()
