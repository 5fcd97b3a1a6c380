"""Processes that share keys: who owns what while members come, go, stall and are cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from backbone.leases.assignment import assigned, own
from backbone.leases.holder import Holder
from backbone.leases.memory import MemoryLeases
from orderflow.errors import BusError

KEYS = [str(number) for number in range(12)]
members = st.sets(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=9)


@given(members)
def test_every_key_has_one_owner_and_loads_are_even(names: set[str]) -> None:
    """Everybody who sees the same members assigns alike; nobody has more than one above the
    mean."""
    owners = assigned(KEYS, names)
    assert owners == assigned(KEYS, sorted(names, reverse=True))
    assert owners.keys() == set(KEYS)
    assert max(Counter(owners.values()).values()) <= -(-len(KEYS) // len(names))
    assert sum(len(own(KEYS, names, name)) for name in names) == len(KEYS)


def test_a_member_that_leaves_moves_few_keys() -> None:
    """On average over many houses, less than twice what it owned."""
    moved = owned = 0
    for house in range(200):
        names = {f"{house}-{number}" for number in range(4)}
        before = assigned(KEYS, names)
        after = assigned(KEYS, names - {f"{house}-0"})
        owned += sum(owner == f"{house}-0" for owner in before.values())
        moved += sum(before[key] != after[key] for key in KEYS)
    assert moved < 2 * owned


class Member:
    """A holder that remembers what it owns; `slow` makes an end wait."""

    def __init__(self, leases: MemoryLeases, name: str, owners: dict[str, list[str]]) -> None:
        self.name = name
        self.owners = owners
        self.free = asyncio.Event()
        self.free.set()
        self.cut = False
        self.holder = Holder(
            _Cut(leases, self),
            "k",
            name,
            lambda names: own(KEYS, names, name),
            self.begin,
            self.end,
        )
        self.task = asyncio.create_task(self.holder.run())

    def begin(self, key: str) -> None:
        self.owners.setdefault(key, []).append(self.name)

    async def end(self, key: str) -> None:
        await self.free.wait()
        self.owners[key].remove(self.name)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class _Cut:
    """Leases that a member can be cut off from."""

    def __init__(self, leases: MemoryLeases, member: Member) -> None:
        self._leases, self._member = leases, member

    def __getattr__(self, name: str) -> Callable[..., object]:
        if self._member.cut:
            raise BusError("cut off")
        found: Callable[..., object] = getattr(self._leases, name)
        return found


class Counting(MemoryLeases):
    """Leases that count how often somebody looked who is there."""

    looks = 0

    async def members(self, kind: str) -> frozenset[str]:
        self.looks += 1
        return await super().members(kind)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (members run by themselves)
            await asyncio.sleep(0.01)


async def test_joining_leaving_and_dying() -> None:
    """Two members share the keys; a third gets its part only when it was handed over; one that is
    killed is replaced after its time; one that stops gives back at once. Never two at a time."""
    leases = MemoryLeases(asyncio.get_running_loop().time)
    owners: dict[str, list[str]] = {}
    names = ["a", "b"]
    house = {name: Member(leases, name, owners) for name in names}

    def shared() -> bool:
        assert all(len(holding) <= 1 for holding in owners.values())
        return all(
            {key for key, holding in owners.items() if holding == [name]} == own(KEYS, house, name)
            for name in house
        )

    await until(shared)
    house["b"].free.clear()
    house["a"].free.clear()
    house["c"] = Member(leases, "c", owners)
    moved = own(KEYS, house, "c")
    await until(lambda: len(house["a"].holder.known) == 3 == len(house["b"].holder.known))
    assert not any(owners[key] == ["c"] for key in moved)
    house["b"].free.set()
    house["a"].free.set()
    await until(shared)
    killed = house.pop("b")
    killed.cut = True
    for key in own(KEYS, [*house, "b"], "b"):
        owners[key].remove("b")
    await until(shared)
    await house.pop("a").stop()
    await until(shared)
    await house.pop("c").stop()
    assert not any(owners.values())
    killed.owners = {key: ["b"] for key in KEYS}
    await killed.stop()


async def test_a_member_cut_off_finds_its_keys_taken() -> None:
    """One that comes back after another has taken over ends its work, and takes nothing before it
    has heard who is there."""
    leases = MemoryLeases(asyncio.get_running_loop().time)
    mine: dict[str, list[str]] = {}
    theirs: dict[str, list[str]] = {}
    a = Member(leases, "a", mine)
    await until(lambda: len(a.holder.keys) == len(KEYS))
    a.cut = True
    b = Member(leases, "b", theirs)
    await until(lambda: len(b.holder.keys) == len(KEYS))
    a.cut = False
    await until(lambda: not any(mine.values()) or a.holder.keys == own(KEYS, "ab", "a"))
    await until(
        lambda: a.holder.keys == own(KEYS, "ab", "a") and b.holder.keys == own(KEYS, "ab", "b")
    )
    held = {key for key in KEYS if mine.get(key)}
    assert held == own(KEYS, "ab", "a")
    await a.stop()
    await b.stop()


async def test_what_is_lost_begins_again_after_its_end() -> None:
    """A key that was lost and is free again is not begun while its end is still under way: work
    on a key never overlaps with itself."""
    leases = Counting(asyncio.get_running_loop().time)
    owners: dict[str, list[str]] = {}
    a = Member(leases, "a", owners)
    await until(lambda: len(a.holder.keys) == len(KEYS))
    a.free.clear()
    revision = await _stolen(leases, a)
    await until(lambda: "3" not in a.holder.keys)
    await leases.release("k", "3", revision)
    looks = leases.looks
    await until(lambda: leases.looks > looks + 3)
    assert owners["3"] == ["a"]
    assert "3" not in a.holder.keys
    a.free.set()
    await until(lambda: "3" in a.holder.keys)
    assert owners["3"] == ["a"]
    await a.stop()


async def test_what_has_no_owner_comes_first() -> None:
    """When a member dies its keys are taken at once; what the change moves between those that are
    left is moved later, and not while others wait for their keys."""
    leases = MemoryLeases(asyncio.get_running_loop().time)
    owners: dict[str, list[str]] = {}
    house = {name: Member(leases, name, owners) for name in "abcd"}
    await until(lambda: all(m.holder.keys == own(KEYS, house, n) for n, m in house.items()))
    kept = {name: own(KEYS, house, name) for name in "abc"}
    left = own(KEYS, house, "d")
    moving = {n: k - own(KEYS, "abc", n) for n, k in kept.items() if k - own(KEYS, "abc", n)}
    assert moving, "these names were chosen because their keys move"
    dead = house.pop("d")
    dead.cut = True
    wanted = {name: own(KEYS, "abc", name) & left for name in house}
    await until(lambda: all(wanted[n] <= house[n].holder.keys for n in house))
    assert all(keys <= house[name].holder.keys for name, keys in moving.items())
    await until(lambda: all(m.holder.keys == own(KEYS, house, n) for n, m in house.items()))
    for member in (*house.values(), dead):
        await member.stop()


async def _stolen(leases: MemoryLeases, member: Member) -> int:
    """Key 3 in the hands of another one, behind the member's back."""
    held = leases._held.pop(("k", "3"))
    assert held.member == member.name
    revision = await leases.take("k", "3", "thief")
    assert revision is not None
    return revision
