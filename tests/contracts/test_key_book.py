"""Keys and their audit on every store that keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_support import mongo as mongo
from store_support import store_settings

from backbone.audit import append_audit, audit_entries
from backbone.clock import wall_ms
from backbone.keys.book import KeyBook, Terms, hashed, matches
from backbone.store import STORES
from backbone.store.base import API_KEYS, AUDIT, KEY_USAGE
from mcp_server.access.usage import Usage
from orderflow.errors import ConfigError

COST = 4


@pytest.fixture(params=["sqlite", "memory", "mongo"])
async def book(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyBook]:
    with store_settings(request.param, tmp_path, request) as settings:
        store = STORES[request.param](settings, "live")
        await store.open("live")
        yield KeyBook(store, "tester")
        await store.close()


async def test_life_of_a_key(book: KeyBook) -> None:
    """Created, found, revoked for ever; every change moves the version and is audited."""
    assert await book.version() == 0
    assert not await book.any_active()
    text, key = await book.create("desk", COST, Terms(symbols=("BTCUSDT",), per_minute=7))
    assert await book.keys() == [key]
    assert matches(text.secret, key.hash)
    assert text.secret not in repr(await book.store.scan(API_KEYS, None, 10))
    first = await book.version()
    ended = await book.revoke(key.id)
    assert not ended.active(wall_ms())
    assert await book.version() > first
    assert not await book.any_active()
    entries = await audit_entries(book.store, 0)
    assert [e["action"] for e in entries] == ["key.create", "key.revoke"]
    assert {e["actor"] for e in entries} == {"tester"}
    with pytest.raises(ConfigError, match="revoked"):
        await book.rotate(key.id, COST, 0)


async def test_rotation(book: KeyBook) -> None:
    """The new key has the same terms; the old one lives until the overlap is over."""
    _, old = await book.create("desk", COST, Terms(tools=("get_status",), addresses=("::1/128",)))
    _, new = await book.rotate(old.id, COST, overlap_ms=60_000)
    assert (new.tools, new.addresses, new.name) == (old.tools, old.addresses, old.name)
    kept = await book.key(old.id)
    assert kept.active(wall_ms())
    assert not kept.active(wall_ms() + 60_001)
    await book.rotate(new.id, COST, overlap_ms=0)
    assert not (await book.key(new.id)).active(wall_ms())


@pytest.mark.parametrize("key_id", ["", "0" * 12, "-", "$ne", "a" * 13, "../etc"])
async def test_unknown_id(book: KeyBook, key_id: str) -> None:
    """An id nobody has is answered with what to do."""
    with pytest.raises(ConfigError, match="wadm keys list"):
        await book.revoke(key_id)


async def test_usage_of_several_servers(book: KeyBook) -> None:
    """Counts of all servers and all minutes are added; another key's are not."""
    for _ in range(2):
        server = Usage(book.store)
        for _ in range(2):
            server.requests["0" * 12] += 3
            server.refused["0" * 12] += 1
            server.requests["1" * 12] += 5
            await server.flush()
            await server.flush()
    entries = await book.store.scan(KEY_USAGE, None, 100)
    assert len(entries) == 8
    assert await book.usage("0" * 12, 0) == {"requests": 12, "refused": 4}
    assert await book.usage("0" * 12, wall_ms() + 60_000) == {"requests": 0, "refused": 0}


async def test_audit_is_append_only(book: KeyBook) -> None:
    """Equal entries of one moment are all kept, in order, and none can be replaced."""
    for number in range(20):
        await append_audit(book.store, "a", "same", {"n": number})
    found = await book.store.scan(AUDIT, None, 100)
    assert len(found) == 20
    assert [r.start_ms for r in found] == sorted(r.start_ms for r in found)


@pytest.mark.parametrize("cost", [3, 16])
def test_cost_has_bounds(cost: int) -> None:
    """A cost that is no protection, or would stop the server, is refused by name."""
    with pytest.raises(ConfigError, match="WADM_KEY_COST"):
        hashed("x", cost)
