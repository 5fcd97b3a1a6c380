"""The lease port: processes of a kind, and what each of them owns for as long as it says so.

Contract (tests/contracts/test_leases.py): a member and a lease last TTL_S after they were last
said; a lease has one owner at a time; what was released or not kept can be taken at once by
anybody; nothing is taken or kept behind a `BusError`.

A lease decides who tries. It can't decide who writes: a process may be stopped between looking at
its lease and writing. That is what a fence of the store is for (`backbone/store/base.py`).
"""

from __future__ import annotations

from typing import Protocol

TTL_S = 1.5
"""A member or lease that was not said for so long is gone."""
BEAT_S = 0.3
"""How often it is said."""


class Leases(Protocol):
    """Members and leases of kinds of processes; names are letters, digits, `-` and `_`."""

    async def present(self, kind: str, member: str) -> None:
        """Say that this member of the kind is there; BusError when nobody can be told."""
        ...

    async def members(self, kind: str) -> frozenset[str]:
        """Everybody who was there within TTL_S; BusError."""
        ...

    async def leave(self, kind: str, member: str) -> None:
        """This member is gone: within a second, not after TTL_S."""
        ...

    async def take(self, kind: str, key: str, member: str) -> int | None:
        """The revision of a lease that was free or this member's already; None when somebody
        else has it; BusError."""
        ...

    async def keep(self, kind: str, key: str, member: str, revision: int) -> int | None:
        """The next revision of an own lease; None when it is not ours any more; BusError."""
        ...

    async def release(self, kind: str, key: str, revision: int) -> None:
        """Give an own lease back; harmless when it is not ours any more."""
        ...
