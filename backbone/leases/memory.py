"""MemoryLeases: the lease port for processes that share an event loop, on a clock given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backbone.leases.base import TTL_S


class Held(NamedTuple):
    """An owner, the revision it was last kept at, and until when (seconds)."""

    member: str
    revision: int
    until_s: float


class MemoryLeases:
    """Implements the lease port."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now_s = monotonic
        self._members: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], Held] = {}
        self._revision = 0

    async def present(self, kind: str, member: str) -> None:
        """Until TTL_S from now."""
        self._members[kind, member] = self._now_s() + TTL_S

    async def members(self, kind: str) -> frozenset[str]:
        """Those whose time is not over."""
        now_s = self._now_s()
        known = self._members.items()
        return frozenset(name for (of, name), until_s in known if of == kind and until_s > now_s)

    async def leave(self, kind: str, member: str) -> None:
        """At once."""
        self._members.pop((kind, member), None)

    async def take(self, kind: str, key: str, member: str) -> int | None:
        """A new revision, unless somebody else holds it."""
        held = self._held.get((kind, key))
        if held is not None and held.member != member and held.until_s > self._now_s():
            return None
        return self._put(kind, key, member)

    async def keep(self, kind: str, key: str, member: str, revision: int) -> int | None:
        """A new revision, if the lease stands at this one."""
        held = self._held.get((kind, key))
        if held is None or held.revision != revision or held.until_s <= self._now_s():
            return None
        return self._put(kind, key, member)

    async def release(self, kind: str, key: str, revision: int) -> None:
        """Free at once."""
        held = self._held.get((kind, key))
        if held is not None and held.revision == revision:
            del self._held[kind, key]

    def _put(self, kind: str, key: str, member: str) -> int:
        self._revision += 1
        self._held[kind, key] = Held(member, self._revision, self._now_s() + TTL_S)
        return self._revision
