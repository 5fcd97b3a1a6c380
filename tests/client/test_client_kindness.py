"""How often the client asks, in virtual time; what it says when there is no answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from client_support import client_of, in_virtual_time, profile_json, quality
from wadm_client import question as ask_for
from wadm_client.clock import Clock
from wadm_client.errors import (
    ApiError,
    BadAnswerError,
    ClientError,
    NotReadyError,
    RateLimitedError,
    UnreachableError,
)
from wadm_client.patience import Patience

ASKED = ask_for.volume_profile("BTCUSDT", "1h", {})


def test_not_asked_before_the_next_update() -> None:
    """Asked a thousand times in a minute, the server hears 12 questions: one per update."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            return httpx2.Response(200, content=profile_json())

        async with client_of(serve, clock) as client:
            while clock.steady_s() < 60:
                answer = await client.ask(ASKED)
                assert answer.age_ms is not None
                assert answer.age_ms - 100 <= 5_000
                assert answer.value.quality.age_ms == answer.age_ms
                await asyncio.sleep(0.06)

    in_virtual_time(work)
    assert len(calls) == 12


def test_unchanged_answers_are_not_sent_again() -> None:
    """The ETag goes along; 304 keeps the answer, whose age goes on, and slows the asking down."""
    seen: list[str | None] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            seen.append(request.headers.get("if-none-match"))
            if seen[-1] == 'W/"1"':
                return httpx2.Response(304, headers={"ETag": 'W/"1"'})
            return httpx2.Response(200, headers={"ETag": 'W/"1"'}, content=profile_json())

        async with client_of(serve, clock) as client:
            await client.ask(ASKED)
            await asyncio.sleep(5.5)
            answer = await client.ask(ASKED)
            assert (answer.origin, answer.stale) == ("unchanged", False)
            assert answer.age_ms == 5_600
            for _ in range(300):
                await asyncio.sleep(1)
                await client.ask(ASKED)

    in_virtual_time(work)
    assert seen[:2] == [None, 'W/"1"']
    assert len(seen) <= 9


def test_an_hour_of_refusals() -> None:
    """A server that answers 503 is asked by backoff within the retry budget, and recovers."""
    calls: list[float] = []
    broken = [True]

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            if broken[0]:
                return httpx2.Response(503, headers={"Retry-After": "30"}, content=b"gateway")
            return httpx2.Response(200, content=profile_json())

        async with client_of(serve, clock) as client:
            while clock.steady_s() < 3_600:
                with pytest.raises(ClientError):
                    await client.ask(ASKED)
                await asyncio.sleep(1)
            broken[0] = False
            await asyncio.sleep(31)
            assert (await client.ask(ASKED)).origin == "server"

    in_virtual_time(work)
    assert len(calls) <= 3_600 / 30 + 2


def test_retry_after_closes_every_question() -> None:
    """After 429 nothing is sent before Retry-After is over, whichever question it is."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            if len(calls) == 1:
                problem = {"message": "slow down", "code": "RATE_LIMIT_EXCEEDED", "retry_after": 40}
                return httpx2.Response(429, json=problem)
            return httpx2.Response(200, content=profile_json())

        async with client_of(serve, clock) as client:
            with pytest.raises(RateLimitedError, match="slow down"):
                await client.ask(ASKED)
            other = ask_for.volume_profile("ETHUSDT", "1h", {})
            with pytest.raises(RateLimitedError, match="not before 40 s"):
                await client.ask(other)
            await asyncio.sleep(41)
            await client.ask(other)

    in_virtual_time(work)
    assert len(calls) == 2
    assert calls[1] >= 40


def test_the_own_window_holds() -> None:
    """However many questions there are, no minute holds more than 60 requests."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            left = {"RateLimit": f'"default";r={60 - len(calls) % 60};t=7'}
            return httpx2.Response(200, headers=left, content=profile_json())

        patience = Patience(budget_s=1_000)
        async with client_of(serve, clock, patience=patience) as client:
            for number in range(200):
                await client.ask(ask_for.volume_profile(f"S{number}", "1h", {}))

    in_virtual_time(work)
    assert len(calls) == 200
    assert all(calls[i + 60] - calls[i] >= 60 for i in range(len(calls) - 60))


def test_full_jitter() -> None:
    """Waits are spread over all of the doubled, capped range, and added to Retry-After."""
    lazy = Patience(chance=lambda: 1.0)
    assert [lazy.backoff_s(n) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert Patience(chance=lambda: 0.0).backoff_s(5) == 0
    assert lazy.wait_s(NotReadyError(503, "NOT_READY", "x", 9.0), 1) == 10
    assert lazy.backoff_s(10**6) == 30


@pytest.mark.parametrize("wrong_ms", [3_600_000, -3_600_000, 10**12])
def test_a_wrong_server_clock(wrong_ms: int) -> None:
    """The server's clock an hour off changes neither the age nor when it is asked again."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            moved = quality(next_update_at="2031-01-01T01:00:00.000Z")
            headers = {"Date": "Wed, 01 Jan 2031 01:00:00 GMT"}
            body = profile_json(quality=moved, timestamp=str(wrong_ms))
            return httpx2.Response(200, headers=headers, content=body)

        async with client_of(serve, clock) as client:
            for _ in range(30):
                answer = await client.ask(ASKED)
                assert not answer.stale
                await asyncio.sleep(1)

    in_virtual_time(work)
    assert len(calls) == 6


def test_old_answers_are_marked() -> None:
    """Without the server the last answer comes back stale, older by every second that passed."""
    up = [True]

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            if not up[0]:
                raise httpx2.ConnectError("down")
            return httpx2.Response(200, content=profile_json())

        async with client_of(serve, clock) as client:
            assert not (await client.ask(ASKED)).stale
            up[0] = False
            await asyncio.sleep(300)
            answer = await client.ask(ASKED)
            assert answer.stale
            assert answer.value.quality.stale
            assert answer.age_ms is not None
            assert answer.age_ms >= 300_000
            assert answer.value.quality.age_ms == answer.age_ms
            assert "cannot be reached" in answer.why
            up[0] = True
            await asyncio.sleep(60)
            assert not (await client.ask(ASKED)).stale
        async with client_of(serve, clock) as strict:
            up[0] = False
            with pytest.raises(UnreachableError):
                await strict.ask(ASKED)

    in_virtual_time(work)


BAD_BODIES: list[bytes] = [b"", b"{", b"null", b"[]", b'{"symbol": 5}', b"\xff\xfe", b"[" * 90_000]
BAD_BODIES += [b"<html>login</html>", profile_json()[:-3], b'{"poc": NaN}', b"9" * 20_000]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_wrong_json(body: bytes) -> None:
    """Whatever a server sends instead of an answer is one clear error, tried a few times."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            return httpx2.Response(200, content=body)

        async with client_of(serve, clock) as client:
            with pytest.raises(BadAnswerError):
                await client.ask(ASKED)

    in_virtual_time(work)
    assert 1 <= len(calls) <= Patience().attempts


def test_refusals_are_not_repeated() -> None:
    """A wrong symbol or key is asked once; the message is printable and short."""
    calls: list[str] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(str(request.url))
            problem = {"message": "\x1b[31m" + "x" * 5_000, "code": "DATA_NOT_FOUND"}
            return httpx2.Response(404, content=json.dumps(problem))

        async with client_of(serve, clock, key="canary-key") as client:
            with pytest.raises(ApiError) as caught:
                await client.ask(ASKED)
            assert "\x1b" not in str(caught.value)
            assert len(str(caught.value)) < 400
            assert "canary" not in repr(client.config) + str(caught.value)

    in_virtual_time(work)
    assert len(calls) == 1
    assert "canary" not in calls[0]


@pytest.mark.parametrize("field", ["new_in_2030", "another"])
def test_newer_servers_are_understood(field: str) -> None:
    """Fields this client does not know are ignored; ids beyond 64 bits are whole."""
    known: dict[str, Any] = {
        "quality": quality(venues={"v": {"state": "x", "share": "0.5", "first_id": 2**127}})
    }
    body = profile_json(**known)[:-1] + f', "{field}": [1]}}'.encode()

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, content=body)

        async with client_of(serve, clock) as client:
            value = await client.volume_profile("BTCUSDT")
            assert value.quality.venues["v"].first_id == 2**127

    in_virtual_time(work)
