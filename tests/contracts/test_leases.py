"""The lease contract, on every implementation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from nats_support import NatsServer
from nats_support import nats as nats

from backbone.leases.base import TTL_S, Leases
from backbone.leases.memory import MemoryLeases
from backbone.leases.nats import NatsLeases

KIND = "processor-4"


@pytest.fixture(params=["memory", "nats"])
async def leases(request: pytest.FixtureRequest) -> AsyncIterator[Leases]:
    if request.param == "memory":
        yield MemoryLeases(time.monotonic)
        return
    server: NatsServer = request.getfixturevalue("nats")
    bus = server.bus()
    yield NatsLeases(bus, owner=True)
    await bus.close()


async def test_members_come_and_go(leases: Leases) -> None:
    """A member is known once it said so, by kind; one that leaves is gone soon, others stay."""
    await leases.present(KIND, "a")
    await leases.present(KIND, "b")
    await leases.present("collector-binance", "c")
    assert await leases.members(KIND) == {"a", "b"}
    await leases.leave(KIND, "a")
    async with asyncio.timeout(60):
        while "a" in await leases.members(KIND):
            await leases.present(KIND, "b")
            await asyncio.sleep(0.05)
    assert await leases.members(KIND) == {"b"}
    assert await leases.members("nobody") == frozenset()


async def test_one_owner(leases: Leases) -> None:
    """A lease has one owner, who may take it again; nobody keeps what another has."""
    first = await leases.take(KIND, "1", "a")
    assert first is not None
    assert await leases.take(KIND, "1", "b") is None
    again = await leases.take(KIND, "1", "a")
    assert again is not None
    assert again > first
    assert await leases.keep(KIND, "1", "a", first) is None
    kept = await leases.keep(KIND, "1", "a", again)
    assert kept is not None
    assert await leases.take(KIND, "2", "b") is not None


async def test_release(leases: Leases) -> None:
    """What was released can be taken at once; releasing what is no longer ours changes nothing."""
    mine = await leases.take(KIND, "1", "a")
    assert mine is not None
    await leases.release(KIND, "1", mine)
    theirs = await leases.take(KIND, "1", "b")
    assert theirs is not None
    await leases.release(KIND, "1", mine)
    assert await leases.take(KIND, "1", "a") is None
    assert await leases.keep(KIND, "1", "b", theirs) is not None


async def test_what_is_not_said_runs_out(leases: Leases) -> None:
    """A member and a lease that nobody says again are gone after their time, not before: then
    the lease is anybody's, and its old owner can't keep it."""
    await leases.present(KIND, "a")
    mine = await leases.take(KIND, "1", "a")
    assert mine is not None
    began = time.monotonic()
    async with asyncio.timeout(60):
        while (theirs := await leases.take(KIND, "1", "b")) is None:  # noqa: ASYNC110 (time)
            await asyncio.sleep(0.05)
        while await leases.members(KIND):  # noqa: ASYNC110 (time)
            await asyncio.sleep(0.05)
    assert time.monotonic() - began > TTL_S * 0.8
    assert await leases.keep(KIND, "1", "a", mine) is None
    assert await leases.keep(KIND, "1", "b", theirs) is not None
