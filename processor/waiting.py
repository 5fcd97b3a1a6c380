"""Trades that wait to be applied together: the busier, the more. Pure.

Applying costs by the batch as well as by the trade, so batches of one instrument wait until they
are worth it, until time is to be told (`take_some`) or until somebody asks (`take`). Bursts of many
instruments wait for each other in the same way. The order within an instrument is kept.
"""

from __future__ import annotations

from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch, joinable, joined
from processor.pool import Pool, burst_of

ENOUGH = 1_024
"""So many trades of one instrument are applied at once."""
ENOUGH_MIXED = 131_072
"""So many trades of many instruments are sorted by instrument, to be applied in slices."""
SLICE = 12_288
"""What a slice costs, in trades: more would hold up everything else in the process."""

Trades = TradeBatch | MixedTrades


class Waiting:
    """Batches by instrument, and bursts, in the order of their arrival."""

    def __init__(self) -> None:
        self._batches: dict[str, list[TradeBatch]] = {}
        self._trades: dict[str, int] = {}
        self._pool = Pool()
        self._sliced = False

    def __contains__(self, name: str) -> bool:
        """True when trades of an instrument wait."""
        return name in self._pool or name in self._batches

    def names(self) -> set[str]:
        """Instruments of which trades wait."""
        return self._pool.names() | self._batches.keys()

    def add(self, trades: Trades) -> list[Trades]:
        """Keep trades; returns what is to be applied now, in this order."""
        if isinstance(trades, MixedTrades):
            return self._add_burst(trades)
        name = trades.instrument
        if name in self._pool:
            burst = burst_of(trades)
            if burst is not None:
                return self._add_burst(burst)
            due: list[Trades] = [*self._pool.pick(name)]
        else:
            due = []
        known = self._batches.get(name)
        if known is not None and not joinable(known[-1], trades):
            due += self._take(name)
            known = None
        if known is None:
            known = self._batches[name] = []
            self._trades[name] = 0
        known.append(trades)
        self._trades[name] += len(trades.key)
        return due + self._take(name) if self._trades[name] >= ENOUGH else due

    def _add_burst(self, burst: MixedTrades) -> list[Trades]:
        due: list[Trades] = []
        if self._batches:
            before = self._batches.keys() & set(burst.instruments)
            due += [batch for name in sorted(before) for batch in self._take(name)]
        if self._pool.source not in {None, burst.source}:
            due += self._take_bursts()
        self._pool.add(burst)
        if len(self._pool) >= ENOUGH_MIXED:
            due += self._take_pile()
            self._pool.pile()
            self._sliced = True
        return due + self._slice()

    def size(self, name: str) -> int:
        """Trades that wait of one instrument."""
        return (self._trades[name] if name in self._batches else 0) + self._pool.size(name)

    def take(self, name: str) -> list[Trades]:
        """What waits of one instrument."""
        picked: list[Trades] = []
        for batch in self._pool.pick(name):
            last = picked[-1] if picked else None
            if isinstance(last, TradeBatch) and joinable(last, batch):
                picked[-1] = joined([last, batch])
            else:
                picked.append(batch)
        return picked + self._take(name)

    def take_some(self) -> list[Trades]:
        """A part of what waits, small enough to hold up nobody; nothing when nothing waits."""
        while not self._pool.empty:
            if not self._sliced:
                self._pool.pile()
                self._sliced = True
            if burst := self._slice():
                return burst
        if not self._batches:
            return []
        return self._take(next(iter(self._batches)))

    def take_all(self) -> list[Trades]:
        """Everything that waits."""
        return self._take_bursts() + [
            batch for name in list(self._batches) for batch in self._take(name)
        ]

    def _take(self, name: str) -> list[Trades]:
        batches = self._batches.pop(name, None)
        return [] if batches is None else [joined(batches)]

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
        self._pool.pile()
        self._sliced = not self._pool.empty
        return found + self._take_pile()
