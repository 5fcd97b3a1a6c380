"""The guard before a ledger: odd trades are held until others contradict or confirm them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orderflow.completeness import Gap
from orderflow.ledger import ConsecutiveLedger, Ledger
from orderflow.sanity import (
    MOST_HELD,
    RESET_MS,
    Newest,
    Oddity,
    agree,
    odd_id,
    odd_price,
    usual,
)
from orderflow.trade import TradeBatch

LIVE_SOURCES = frozenset({"live", "polling"})
IDS_ONLY: frozenset[Oddity] = frozenset({"id_far_off", "old_epoch"})
"""Oddities whose id must not be remembered: nothing leads to it."""


class Guard(msgspec.Struct):
    """The newest believed price, the trades held, and why; `epoch_ms`: when the numbering began."""

    anchor_ticks: int = 0
    held: list[TradeBatch] = []
    why: Oddity = ""
    epoch_ms: int = 0

    def sift(self, batch: TradeBatch, ledger: Ledger) -> Iterator[TradeBatch | Gap]:
        """Trades that may go on to the ledger, and what a new numbering made unknowable.

        What is yielded must be admitted before the next is asked for. Odd trades are held.
        """
        if not self.held and self._plain(batch, ledger):
            self._anchor(batch)
            yield batch
            return
        for place in range(len(batch)):
            yield from self._sift_one(batch.picked([place]), ledger)

    def rescale(self, ticks: int, lots: int) -> None:
        """One old tick is `ticks` new ones, one old lot `lots`."""
        self.anchor_ticks *= ticks
        self.held = [trade.rescaled(ticks, lots) for trade in self.held]

    def _anchor(self, batch: TradeBatch) -> None:
        if batch.key and (batch.source in LIVE_SOURCES or not self.anchor_ticks):
            self.anchor_ticks = batch.price_ticks[-1]

    def believes(self, key: int, event_ms: int, ledger: Ledger) -> bool:
        """False for the id of a rejected trade that nothing leads to."""
        if not isinstance(ledger, ConsecutiveLedger):
            return True
        return odd_id(key, event_ms, self._newest(ledger)) not in IDS_ONLY

    def _plain(self, batch: TradeBatch, ledger: Ledger) -> bool:
        """The whole batch at once: near the newest price, and leading on from the newest id."""
        if not batch.key:
            return True
        if not usual(batch.price_ticks, self.anchor_ticks):
            return False
        if not isinstance(ledger, ConsecutiveLedger) or not ledger.runs:
            return True
        newest = self._newest(ledger)
        first_ms, last_ms = batch.event_ms[0], batch.event_ms[-1]
        if batch.key[0] == newest.key + 1 and -RESET_MS < first_ms - newest.event_ms <= RESET_MS:
            return batch.key[-1] - newest.key == len(batch.key)
        ends = (
            (batch.key[0], first_ms),
            (batch.key[-1], last_ms),
            (max(batch.key), last_ms),
            (min(batch.key), max(batch.event_ms)),
        )
        return not any(odd_id(key, event_ms, newest) for key, event_ms in ends)

    def trusts(self, low: int, high: int, after_ms: int) -> bool:
        """True for ids that follow the newest one, at these prices, so long after it."""
        return not self.held and after_ms > -RESET_MS and usual((low, high), self.anchor_ticks)

    def _newest(self, ledger: ConsecutiveLedger) -> Newest:
        if not ledger.runs:
            return Newest(self.anchor_ticks, epoch_ms=self.epoch_ms)
        run = ledger.runs[-1]
        return Newest(self.anchor_ticks, run.last, run.last_ms, self.epoch_ms)

    def _sift_one(self, trade: TradeBatch, ledger: Ledger) -> Iterator[TradeBatch | Gap]:
        oddity = self._oddity(trade, ledger)
        live = trade.source in LIVE_SOURCES
        if oddity == "old_epoch" or (oddity == "id_far_off" and not live):
            ledger.counts.refuse(oddity)
        elif not oddity:
            if live or self.why == "price_far_off":
                self._reject_held(ledger)
            self._anchor(trade)
            yield trade
        elif any(trade.key == held.key for held in self.held):
            ledger.counts.received += 1
            ledger.counts.duplicate += 1
        else:
            yield from self._hold(trade, oddity, ledger)

    def _oddity(self, trade: TradeBatch, ledger: Ledger) -> Oddity:
        if isinstance(ledger, ConsecutiveLedger):
            oddity = odd_id(trade.key[0], trade.event_ms[0], self._newest(ledger))
            if oddity:
                return oddity
        return "price_far_off" if odd_price(trade.price_ticks[0], self.anchor_ticks) else ""

    def _hold(
        self, trade: TradeBatch, oddity: Oddity, ledger: Ledger
    ) -> Iterator[TradeBatch | Gap]:
        """Keep an odd trade; enough of them that agree are believed."""
        if self.why != oddity or len(self.held) >= MOST_HELD:
            self._reject_held(ledger)
        self.why = oddity
        self.held.append(trade)
        ledger.counts.hold(1)
        keys = [held.key[0] for held in self.held]
        prices = [held.price_ticks[0] for held in self.held]
        if not agree(keys, prices, counted=oddity == "id_far_off"):
            return
        ledger.counts.release(len(self.held))
        believed, self.held, self.why = self.held, [], ""
        self.anchor_ticks = prices[-1]
        if oddity == "id_far_off" and isinstance(ledger, ConsecutiveLedger):
            self.epoch_ms = believed[0].event_ms[0]
            yield from ledger.restart(self.epoch_ms)
        yield from believed

    def _reject_held(self, ledger: Ledger) -> None:
        """Another trade contradicts them: they were the venue's mistake."""
        ledger.counts.release(len(self.held))
        for trade in self.held:
            if self.why in IDS_ONLY:
                ledger.counts.refuse(self.why)
            else:
                ledger.reject(trade.key[0], trade.event_ms[0], self.why)
        self.held, self.why = [], ""
