"""Holder: one process among others of its kind, and the keys it owns.

It says that it is there, looks who else is, and asks `wanted` which keys are its own among these
members. For a key that it gets it calls `begin`, which returns at once; for one that it must give
up or has lost it awaits `end`, and releases the lease after that, so that whoever takes it finds
everything done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

import structlog

from backbone.clock import Monotonic, monotonic_s
from backbone.leases.base import BEAT_S, TTL_S, Leases
from orderflow.errors import BusError

log = structlog.get_logger()
CALM_S = 5.0
"""After somebody left, what has no owner comes first: nothing that has one is moved so long."""
Wanted = Callable[[frozenset[str]], frozenset[str]]
Begin = Callable[[str], None]
End = Callable[[str], Awaitable[None]]


class Holder:
    """Runs until cancelled."""

    def __init__(
        self,
        leases: Leases,
        kind: str,
        member: str,
        wanted: Wanted,
        begin: Begin,
        end: End,
        monotonic: Monotonic = monotonic_s,
    ) -> None:
        self.leases = leases
        self.kind = kind
        self.member = member
        self.known: frozenset[str] = frozenset()
        self._wanted, self._begin, self._end = wanted, begin, end
        self._monotonic = monotonic
        self._revisions: dict[str, int] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._told_s: float | None = None
        self._patient_until_s = self._calm_from_s = 0.0
        self._stopping = self._away = False

    @property
    def keys(self) -> frozenset[str]:
        """What is owned now, and not about to be handed over."""
        return frozenset(self._revisions.keys() - self._ending.keys())

    def stop(self) -> None:
        """Come to an end after this look, should a cancellation be lost on its way."""
        self._stopping = True

    async def run(self) -> None:
        """Until cancelled; then everything is finished and given back."""
        try:
            while not self._stopping:
                began_s = self._monotonic()
                try:
                    await self._turn()
                    self._away = False
                except BusError as error:
                    if not self._away:
                        log.info("leases.away", kind=self.kind, reason=str(error))
                    self._away = True
                passed_s = self._monotonic() - began_s
                await asyncio.sleep(max(BEAT_S / 10, BEAT_S - passed_s))
        finally:
            await self._give_back()

    async def _turn(self) -> None:
        """One look: be there, keep what is ours, hand over what is not, take what is free."""
        await self.leases.present(self.kind, self.member)
        now_s = self._monotonic()
        if self._told_s is not None and now_s - self._told_s > TTL_S:
            # The broker was away for everybody or for us: others may not have been heard yet.
            self._patient_until_s = now_s + TTL_S
        self._told_s = now_s
        members = await self.leases.members(self.kind) | {self.member}
        if self.known - members:
            self._calm_from_s = now_s + CALM_S
        self.known = members
        await self._together(self._keep, self._revisions)
        wanted = self._wanted(self.known)
        for key in sorted(self.keys - wanted if now_s >= self._calm_from_s else ()):
            log.info("leases.hands_over", kind=self.kind, owned=key)
            self._ending[key] = asyncio.create_task(self._finish(key))
        if now_s >= self._patient_until_s:
            await self._together(self._take, wanted - self._revisions.keys() - self._ending.keys())

    async def _together(
        self, work: Callable[[str], Awaitable[None]], keys: Collection[str]
    ) -> None:
        """Keys side by side: one after the other a slow broker would take longer than a lease."""
        done = await asyncio.gather(*map(work, sorted(keys)), return_exceptions=True)
        for failure in done:
            if failure is not None:
                raise failure

    async def _keep(self, key: str) -> None:
        """Ours for another TTL_S. A lease that ran out is taken again where nobody else did: what
        was done meanwhile stands or falls with the fence of the store, not with the lease."""
        known = self._revisions.get(key)
        if known is None:
            return
        revision = await self.leases.keep(self.kind, key, self.member, known)
        if revision is None and key in self._revisions:
            revision = await self.leases.take(self.kind, key, self.member)
        if key not in self._revisions:
            # Its work ended meanwhile, and it was released at the revision of before.
            if revision is not None:
                await self.leases.release(self.kind, key, revision)
            return
        if revision is not None:
            self._revisions[key] = revision
            return
        del self._revisions[key]
        log.warning("leases.lost", kind=self.kind, owned=key)
        if key not in self._ending:
            self._ending[key] = asyncio.create_task(self._finish(key))

    async def _take(self, key: str) -> None:
        revision = await self.leases.take(self.kind, key, self.member)
        if revision is not None:
            self._revisions[key] = revision
            log.info("leases.taken", kind=self.kind, owned=key)
            self._begin(key)

    async def _finish(self, key: str) -> None:
        """End the work; the lease is kept meanwhile, and then anybody's."""
        try:
            await self._end(key)
        finally:
            self._ending.pop(key, None)
            revision = self._revisions.pop(key, None)
            if revision is not None:
                with contextlib.suppress(BusError):
                    await self.leases.release(self.kind, key, revision)

    async def _give_back(self) -> None:
        """Others may take what is ours as soon as each of it is finished, and not before."""
        with contextlib.suppress(BusError):
            await self.leases.leave(self.kind, self.member)
        for key in sorted(self._revisions.keys() - self._ending.keys()):
            self._ending[key] = asyncio.create_task(self._finish(key))
        works = set(self._ending.values())
        while works:
            _, works = await asyncio.wait(works, timeout=BEAT_S)
            with contextlib.suppress(BusError):
                await self._together(self._keep, self._revisions)
