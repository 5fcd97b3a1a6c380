"""Encoded once per update, and honest about age."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from backbone.keys.key import ApiKey
from mcp_server.access.caller import CALLER
from mcp_server.answer_cache import FRESH_S, KEPT_S, AnswerCache
from orderflow.errors import StoreError


class World:
    """A version, a clock, and a handler that counts."""

    def __init__(self) -> None:
        self.version, self.now, self.asked, self.away = 1, 0.0, 0, False
        self.cache = AnswerCache(lambda: self.version, lambda: self.now)
        self.handler = self.cache.wrapped(self.handle)

    async def handle(self, request: Request) -> Response:
        if self.away:
            raise StoreError("away")
        self.asked += 1
        body = b'{"n":%d,"text":"\\"stale\\":false","quality":{"stale":false}}' % self.asked
        return Response(body, 200, {"ETag": f'W/"{self.asked}"', "X-A": "b"}, "application/json")

    async def get(self, path: str = "/x", **headers: str) -> Response:
        listed = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": listed,
        }
        return await self.handler(
            Request(scope | {"headers": listed, "server": ("h", 80), "scheme": "http"})
        )


async def test_once_per_update() -> None:
    """Same version: same bytes, no work; a new one, or a fifth of a second: made again."""
    world = World()
    first = await world.get()
    for _ in range(5):
        again = await world.get()
        assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
        assert again.headers["x-a"] == "b"
        assert again.headers["content-type"] == "application/json"
    assert world.asked == 1
    world.version += 1
    assert (await world.get()).body != first.body
    world.now += FRESH_S
    await world.get()
    await world.get("/other")
    assert world.asked == world.cache.made == 4


async def test_not_modified() -> None:
    """A validator that still holds is 304 without a body."""
    world = World()
    tag = (await world.get()).headers["etag"]
    same = await world.get(if_none_match=tag)
    assert (same.status_code, same.body) == (304, b"")
    assert (await world.get(if_none_match='W/"x"')).status_code == 200
    assert world.asked == 1


async def test_store_away() -> None:
    """The last answer goes on being given, marked stale where it says so, for a while only."""
    world = World()
    await world.get()
    world.away = True
    world.now += 5
    old = await world.get()
    assert old.body == b'{"n":1,"text":"\\"stale\\":false","quality":{"stale":true}}'
    assert old.headers["cache-control"] == "no-store"
    assert "etag" not in old.headers
    with pytest.raises(StoreError):
        await world.get("/never-asked")
    world.now += KEPT_S
    with pytest.raises(StoreError):
        await world.get()


async def test_narrow_keys_pass_by() -> None:
    """A key with scopes neither fills the cache nor is answered from it."""
    world = World()
    await world.get()
    narrow = ApiKey(id="0" * 12, name="n", hash="h", created_ms=0, symbols=("BTCUSDT",))
    token = CALLER.set(lambda: narrow)
    await world.get()
    await world.get()
    CALLER.reset(token)
    assert world.asked == 3
    assert (await world.get()).body.startswith(b'{"n":1,')


async def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest answers go when there are too many."""
    world = World()
    monkeypatch.setattr("mcp_server.answer_cache.MOST_ANSWERS", 3)
    for number in range(10):
        await world.get(f"/{number}")
    assert len(world.cache._kept) == 3
    assert world.cache._bytes == sum(len(k.body) for k in world.cache._kept.values())
