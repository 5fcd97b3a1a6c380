"""Partitions: the shares of the market that this process owns now, each with a service of its own.

Leases decide who tries to own a partition, the fence that is taken from the store before anything
is read decides who may write for it. A service goes on from the checkpoints of whoever owned the
partition before, at the position on the bus that these contain; one that is fenced out has lost
nothing, for its successor goes on from what was durable.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from backbone.breaker import BreakerStatus
from backbone.bus.partition import Partition
from backbone.ending import ended
from backbone.leases.assignment import own
from backbone.leases.base import BEAT_S, Leases
from backbone.leases.holder import Holder
from backbone.live import StreamStatus
from backbone.store.base import Fence, Store
from orderflow.errors import FencedError, StoreError
from orderflow.instrument import Instrument
from processor.service import ProcessorService
from processor.share import NAME, Share, scope_of

log = structlog.get_logger()
Make = Callable[[Share], ProcessorService]
Beside = Callable[[ProcessorService], Sequence[Coroutine[Any, Any, None]]]


def nothing(service: ProcessorService) -> Sequence[Coroutine[Any, Any, None]]:
    """Nothing runs beside a service."""
    return []


class Partitions:
    """Services by partition; `beside` gives what runs along with each.

    What it says of itself (`ready`, `instruments`, `stream`) is that of all of them together.
    """

    source = ""
    version = 0

    def __init__(
        self,
        make: Make,
        store: Store,
        leases: Leases,
        member: str,
        count: int,
        beside: Beside = nothing,
    ) -> None:
        self.count = count
        self.owned: dict[int, ProcessorService] = {}
        self.taken = self.fenced = 0
        self._make, self._store, self._beside = make, store, beside
        self._keys = [str(number) for number in range(count)]
        self._works: dict[int, asyncio.Task[None]] = {}
        self._broken: asyncio.Future[None] | None = None
        self.holder = Holder(
            leases,
            f"{NAME}-{count}",
            member,
            lambda members: own(self._keys, members, member),
            self._begin,
            self._end,
        )

    async def run(self) -> None:
        """Own what is due to this member until cancelled; what breaks in a service ends it."""
        self._broken = asyncio.get_running_loop().create_future()
        holding = asyncio.create_task(self.holder.run(), name="leases")
        try:
            await asyncio.wait({holding, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            for done in (holding, self._broken):
                if done.done():
                    await done
        finally:
            self.holder.stop()
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            self._broken.cancel()

    # What it says of itself

    @property
    def services(self) -> list[ProcessorService]:
        """The services that run now, by partition."""
        return [self.owned[number] for number in sorted(self.owned)]

    @property
    def ready(self) -> bool:
        """Everything that is ours goes on from where it was; nothing is ours where others are
        enough."""
        mine = {int(key) for key in self.holder.keys}
        if not mine:
            return len(self.holder.known) > 1
        services = self.services
        restored = all(s.view.restored and s.view.durable() for s in services)
        flows = any(service.view.ready for service in services)
        return mine == self.owned.keys() and restored and (flows or self.count > 1)

    def instruments(self) -> Sequence[Instrument]:
        """Of every service."""
        return [instrument for s in self.services for instrument in s.view.instruments()]

    def stream(self, instrument: str) -> StreamStatus:
        """Of the service that has it."""
        found = (s for s in self.services if instrument in s.engine.streams)
        return next(found).view.stream(instrument)

    def breakers(self) -> list[BreakerStatus]:
        """What guards the store, of the first service that has something to tell."""
        found = [breaker for service in self.services for breaker in service.breakers()]
        return [b for b in found if b.state != "closed"][:1] or found[:1]

    # Owning

    def _begin(self, key: str) -> None:
        number = int(key)
        task = asyncio.create_task(self._serve(number), name=f"partition {number}")
        self._works[number] = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def _end(self, key: str) -> None:
        """The last checkpoint of a partition is written on the way out."""
        task = self._works.pop(int(key), None)
        if (service := self.owned.get(int(key))) is not None:
            service.stop()
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _serve(self, number: int) -> None:
        """One partition, until it is cancelled or somebody else has it; taken anew where the
        store was taken by one who thought it was his and the lease says that it is ours."""
        while True:
            partition = Partition(number, self.count)
            share = Share(partition, await self._fence(scope_of(partition)), secrets.token_hex(4))
            service = self.owned[number] = self._make(share)
            self.taken += 1
            try:
                await self._run(service)
            except FencedError as error:
                self.fenced += 1
                log.warning("processor.fenced_out", partition=number, reason=str(error))
            finally:
                del self.owned[number]
            await asyncio.sleep(BEAT_S)
            if self._works.get(number) is not asyncio.current_task():
                return

    async def _fence(self, scope: str) -> Fence:
        while True:
            try:
                return await self._store.take(scope)
            except StoreError as error:
                log.warning("processor.waits_for_fence", scope=scope, error=str(error))
                await asyncio.sleep(BEAT_S)

    async def _run(self, service: ProcessorService) -> None:
        works = [asyncio.create_task(work) for work in self._beside(service)]
        try:
            await service.run()
        finally:
            await ended(*works)
