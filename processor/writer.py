"""Writer: results and checkpoints to the store, each exactly once, then the acknowledgement.

The order of a write is: closed bars, then the checkpoint that no longer needs their trades, then
the acknowledgement to the bus. What the store refuses waits in memory, in order, and is written
later.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from heapq import nsmallest

import structlog

from backbone.breaker import Breaker, BreakerStatus
from backbone.bus.base import Subscription
from backbone.clock import wall_ms
from backbone.store.base import Record, Store
from orderflow.errors import BusError, FencedError, StoreError
from orderflow.timeframe import TIMEFRAMES, floor_ms
from processor import checkpoint, floor, trust
from processor.engine import Engine
from processor.share import Share

log = structlog.get_logger()

CHECKPOINT_MS = 1_000
CHECKPOINTS_PER_WRITE = 8
CHECKPOINT_BYTES_PER_S = 5_000_000
"""The busier, the larger checkpoints are; they take turns so as not to write more than this."""
SWEEP_MS = 30_000
PUT_RECORDS, FEWEST_RECORDS = 500, 10
"""Records of one transaction, so that a long outage is caught up with in steps that stay; halved
by every failure, for a store too slow for many in its time limit must not stand still."""
NOT_DURABLE_AFTER = 3
"""Failed writes in a row after which readiness is off: answers go on, from memory."""
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 8.0


class Writer:
    """What waits to be stored, and one write under way at most.

    `settle(name)` applies what still waits of an instrument before its checkpoint is made;
    `position` is how far the bus was read. Processors apart from their bus (`apart`) also store up
    to where all checkpoints contain it. Once the store says that somebody else has taken the
    `share`, nothing is written any more: `fenced`.
    """

    checkpoint_ms = CHECKPOINT_MS

    def __init__(
        self,
        engine: Engine,
        store: Store,
        settle: Callable[[str], None],
        mono_ms: Callable[[], int],
        share: Share,
        *,
        apart: bool,
    ) -> None:
        self._engine, self._store, self._settle = engine, store, settle
        self._share = share
        self.fenced = False
        self._mono_ms = mono_ms
        self._apart = apart
        self.pending: list[Record] = []
        self.failures = 0
        self.position = 0
        self.writing: asyncio.Task[None] | None = None
        self._sending = self._swept_ms = self._saving_from_ms = 0
        self._at_once = PUT_RECORDS
        self._saved_ms: dict[str, int] = {}
        self._positions = floor.Positions()
        self._subscription: Subscription | None = None
        self._breaker = Breaker(
            "store", random.random, threshold=1, first_s=FIRST_RETRY_S, longest_s=LONGEST_RETRY_S
        )

    def begin(self, subscription: Subscription, position: int) -> None:
        """Acknowledge to this subscription, whose messages up to `position` are contained."""
        self._subscription, self.position = subscription, position
        self._positions.mark((), position)

    def later(self, records: Sequence[Record]) -> None:
        """Write these with the next write."""
        self.pending += records

    @property
    def size(self) -> int:
        """Records not yet in the store, those of the write under way included."""
        return len(self.pending) + self._sending

    @property
    def idle(self) -> bool:
        """Nothing waits and no write is under way."""
        return not self.pending and (self.writing is None or self.writing.done())

    def durable(self) -> bool:
        """False once the store has refused for longer than a hiccup."""
        return self._breaker.failures < NOT_DURABLE_AFTER

    def breaker(self) -> BreakerStatus:
        """What guards the store."""
        return self._breaker.status(self._mono_ms() / 1_000)

    def mark(self) -> None:
        """Everything up to `position` was applied."""
        self._positions.mark(self._changed(), self.position)

    def persist(self, mono: int) -> None:
        """Start writing what is due, unless a write is still under way."""
        if self.fenced or (self.writing is not None and not self.writing.done()):
            return
        if self._breaker.state(mono / 1_000) == "open":
            return
        due = self._due(mono)
        sweep = self._share.partition.number == 0 and mono - self._swept_ms >= SWEEP_MS
        if due or self.pending or sweep:
            blobs = self._blobs(due, mono)
            records, self.pending, self._sending = self.pending, [], len(self.pending)
            if sweep:
                self._swept_ms = mono
            self.writing = asyncio.create_task(self._write(records, blobs, sweep=sweep))

    def _due(self, mono: int) -> list[str]:
        """Streams whose checkpoint is old, the oldest first."""
        if mono < self._saving_from_ms:
            return []
        saved, oldest = self._saved_ms, mono - self.checkpoint_ms
        due = [name for name in self._changed() if saved.get(name, 0) <= oldest]
        return nsmallest(CHECKPOINTS_PER_WRITE, due, key=lambda name: saved.get(name, 0))

    async def finish(self, more: Callable[[], list[Record]]) -> int:
        """The last write: what is pending, `more`, and every changed stream; counts these."""
        if self.writing is not None:
            await asyncio.wait([self.writing])
        if self.fenced:
            return 0
        self.mark()
        blobs = self._blobs(self._changed(), self._mono_ms())
        records, self.pending = [*self.pending, *more()], []
        await self._write(records, blobs, sweep=False)
        return len(blobs)

    def _changed(self) -> list[str]:
        return [name for name, stream in self._engine.streams.items() if stream.changed]

    def _blobs(self, names: Sequence[str], mono: int) -> dict[str, bytes]:
        """Checkpoints of these streams, and how much of the bus all checkpoints contain."""
        blobs = {name: self._blob(name, mono) for name in names}
        if blobs and self._apart:
            blobs[self._share.floor_name] = floor.encode(self._place(self._positions.floor))
        self._positions.saving(names)
        size = sum(map(len, blobs.values()))
        self._saving_from_ms = mono + size * 1_000 // CHECKPOINT_BYTES_PER_S
        return blobs

    def _place(self, position: int) -> floor.Floor:
        epoch = "" if self._subscription is None else self._subscription.epoch
        return floor.Floor(epoch, position)

    def _blob(self, name: str, mono: int) -> bytes:
        """One stream's checkpoint; every trade must be accounted for."""
        self._settle(name)
        stream = self._engine.streams[name]
        if not trust.settle_account(stream):
            log.error("processor.ledger_unbalanced", instrument=name)
        stream.changed = False
        self._saved_ms[name] = mono
        oldest = floor_ms(stream.evicted_before_ms, TIMEFRAMES["1d"])
        said = [
            checkpoint.SaidWindow(timeframe, start, *known)
            for timeframe, start, known in self._engine.said.of(name)
            if start + TIMEFRAMES[timeframe] > stream.evicted_before_ms
        ]
        self._engine.forget_said(name, oldest)
        return checkpoint.encode(stream, said, self._place(self.position))

    async def _write(self, records: list[Record], blobs: dict[str, bytes], *, sweep: bool) -> None:
        """Closed bars, then checkpoints, then the acknowledgement; kept for later on failure."""
        done, fence = 0, self._share.fence
        try:
            while done < len(records):
                await self._store.put(records[done : done + self._at_once], fence)
                done += self._at_once
            if blobs:
                await self._store.save_checkpoints(blobs, fence)
            if sweep:
                await self._store.sweep(wall_ms())
            self._positions.saved()
            if self._subscription is not None:
                await self._subscription.ack(self._positions.floor)
            self._at_once = min(2 * self._at_once, PUT_RECORDS)
            self._breaker.succeeded()
        except FencedError as error:
            self.fenced = True
            log.warning("processor.fenced", reason=str(error))
        except (StoreError, BusError) as error:
            self.failures += 1
            self._at_once = max(self._at_once // 2, FEWEST_RECORDS)
            self._breaker.failed(self._mono_ms() / 1_000)
            self.pending = [*records[done:], *self.pending]
            self._positions.failed()
            for name in blobs.keys() & self._engine.streams.keys():
                self._engine.streams[name].changed = True
            log.warning("processor.store_failed", error=str(error))
        finally:
            self._sending = 0
