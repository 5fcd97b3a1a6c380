"""Batches that wait to be applied together: the busier, the larger. Pure.

Applying costs by the batch as well as by the trade, so batches of one instrument wait until they
are worth it, until time is to be told (`take_all`) or until somebody asks (`take`).
"""

from __future__ import annotations

from orderflow.trade import TradeBatch, joinable, joined

ENOUGH = 1_024
"""So many trades of one instrument are applied at once."""


class Waiting:
    """Batches by instrument, in the order of their arrival."""

    def __init__(self) -> None:
        self._batches: dict[str, list[TradeBatch]] = {}
        self._trades: dict[str, int] = {}

    def add(self, batch: TradeBatch) -> list[TradeBatch]:
        """Keep a batch; returns what is to be applied now, in this order."""
        name = batch.instrument
        known = self._batches.get(name)
        if known is None:
            self._batches[name] = [batch]
            self._trades[name] = len(batch.key)
            return self.take(name) if len(batch.key) >= ENOUGH else []
        if not joinable(known[-1], batch):
            return self.take(name) + self.add(batch)
        known.append(batch)
        self._trades[name] += len(batch.key)
        return self.take(name) if self._trades[name] >= ENOUGH else []

    def size(self, name: str) -> int:
        """Trades that wait of one instrument."""
        return self._trades.get(name, 0) if name in self._batches else 0

    def take(self, name: str) -> list[TradeBatch]:
        """What waits of one instrument, as one batch."""
        batches = self._batches.pop(name, None)
        return [] if batches is None else [joined(batches)]

    def take_all(self) -> list[TradeBatch]:
        """Everything that waits, a batch per instrument."""
        return [batch for name in list(self._batches) for batch in self.take(name)]
