"""Trades that wait to be applied together: the busier, the more. Pure.

Applying costs by the batch as well as by the trade, so batches of one instrument wait until they
are worth it, until time is to be told (`take_all`) or until somebody asks (`take`). Bursts of many
instruments wait for each other in the same way; what came before a burst is applied before it.
"""

from __future__ import annotations

from orderflow import mixed
from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch, joinable, joined

ENOUGH = 1_024
"""So many trades of one instrument are applied at once."""
ENOUGH_MIXED = 8_192
"""So many trades of many instruments are: more would hold up everything else in the process."""

Trades = TradeBatch | MixedTrades


class Waiting:
    """Batches by instrument, and bursts, in the order of their arrival."""

    def __init__(self) -> None:
        self._batches: dict[str, list[TradeBatch]] = {}
        self._trades: dict[str, int] = {}
        self._bursts: list[MixedTrades] = []
        self._mixed = 0

    def add(self, batch: Trades) -> list[Trades]:
        """Keep trades; returns what is to be applied now, in this order."""
        if isinstance(batch, MixedTrades):
            return self._add_burst(batch)
        due = self._take_bursts()
        name = batch.instrument
        known = self._batches.get(name)
        if known is not None and not joinable(known[-1], batch):
            due += self._take(name)
            known = None
        if known is None:
            known = self._batches[name] = []
            self._trades[name] = 0
        known.append(batch)
        self._trades[name] += len(batch.key)
        return due + self._take(name) if self._trades[name] >= ENOUGH else due

    def _add_burst(self, burst: MixedTrades) -> list[Trades]:
        due: list[Trades] = self._take_batches()
        if self._bursts and self._bursts[-1].source != burst.source:
            due += self._take_bursts()
        self._bursts.append(burst)
        self._mixed += len(burst)
        return due + self._take_bursts() if self._mixed >= ENOUGH_MIXED else due

    def size(self, name: str) -> int:
        """Trades that wait of one instrument."""
        alone = self._trades.get(name, 0) if name in self._batches else 0
        return alone + sum(dict(burst.sizes()).get(name, 0) for burst in self._bursts)

    def take(self, name: str) -> list[Trades]:
        """What waits of one instrument: one batch, or all bursts together."""
        return self._take_bursts() + self._take(name)

    def take_all(self) -> list[Trades]:
        """Everything that waits, a batch per instrument."""
        return self._take_bursts() + self._take_batches()

    def _take(self, name: str) -> list[Trades]:
        batches = self._batches.pop(name, None)
        return [] if batches is None else [joined(batches)]

    def _take_batches(self) -> list[Trades]:
        return [batch for name in list(self._batches) for batch in self._take(name)]

    def _take_bursts(self) -> list[Trades]:
        if not self._bursts:
            return []
        bursts, self._bursts, self._mixed = self._bursts, [], 0
        return [mixed.joined(bursts)]
