"""The poller in virtual time: who asks how often, what holds up whom, and how it recovers."""

from __future__ import annotations

import asyncio
import os
import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest
from client_support import client_of, filled, in_virtual_time, quality
from wadm_client.answer import Answer
from wadm_client.clock import Clock
from wadm_client.errors import ClientError
from wadm_client.patience import Patience
from wadm_client.poll import Poller, Watch
from wadm_client.types import OrderFlowReport, SnapshotReport, VolumeProfileReport

WHOLE = os.environ.get("CLIENT_HOUR") == "1"
CLIENTS, HOUR_S = 100, 3_600 if WHOLE else 30
SYMBOLS = [f"S{number}USDT" for number in range(50)]
Outcome = Answer[SnapshotReport] | ClientError
PROFILE = filled(VolumeProfileReport)
FLOW = filled(OrderFlowReport)


def asked_for(request: httpx2.Request) -> list[str]:
    return parse_qs(urlsplit(str(request.url)).query)["symbols"][0].split(",")


def snapshot(names: Sequence[str], next_ms: int) -> bytes:
    """The server's answer; the next update comes in `next_ms`."""
    proof = quality(next_update_in_ms=next_ms)
    lines = [
        {
            "symbol": name,
            "profile": PROFILE | {"symbol": name, "quality": proof},
            "flow": FLOW | {"symbol": name, "quality": proof},
        }
        for name in names
    ]
    found = {"source": "simulated", "timeframe": "1h", "period": "5m", "symbols": lines}
    return msgspec.json.encode(found)


class Market:
    """Symbol number n is updated every 5 + n % 20 seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: dict[str, list[float]] = defaultdict(list)
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)

    def version(self, names: Sequence[str], now_s: float) -> str:
        return ",".join(str(int(now_s // self.step(name))) for name in names)

    def step(self, name: str) -> int:
        return 5 + int(name[1:-4]) % 20

    def updates(self, names: Sequence[str], until_s: float) -> int:
        """How often what was asked for changed, the first answer included."""
        moments = {k * self.step(n) for n in names for k in range(int(until_s // self.step(n)) + 1)}
        return len(moments)

    async def serve(self, request: httpx2.Request) -> httpx2.Response:
        key, now_s = request.headers["x-api-key"], self.clock.steady_s()
        self.sent[key].append(now_s)
        names = asked_for(request)
        tag = f'W/"{self.version(names, now_s)}"'
        status = 304 if request.headers.get("if-none-match") == tag else 200
        self.statuses[key][status] += 1
        left = 60 - (len(self.sent[key]) - bisect_right(self.sent[key], now_s - 60))
        headers = {"ETag": tag, "RateLimit": f'"default";r={max(0, left)};t=60'}
        if status == 304:
            return httpx2.Response(304, headers=headers)
        next_s = min(self.step(name) - now_s % self.step(name) for name in names)
        next_s *= 0.5 + 0.5 * (len(self.sent[key]) % 2)  # a cautious server: some asking is idle
        return httpx2.Response(200, headers=headers, content=snapshot(names, int(next_s * 1_000)))


def test_a_hundred_clients() -> None:
    """Each stays within 60 requests a minute and gets no more 200s than there were updates.

    Half a minute of it; the whole hour with `make client-hour`.
    """
    draw = random.Random(7)
    asked = {f"key{n}": tuple(draw.sample(SYMBOLS, 10)) for n in range(CLIENTS)}

    async def work(clock: Clock) -> Market:
        market = Market(clock)

        async def one(key: str, names: tuple[str, ...]) -> None:
            def told(_: Watch, outcome: Outcome) -> None:
                assert isinstance(outcome, Answer)
                assert not outcome.stale

            patience = Patience(chance=random.Random(key).random)
            async with client_of(market.serve, clock, key=key, patience=patience) as client:
                await Poller(client, told).run([Watch(names, interval_s=1)])

        tasks = [asyncio.create_task(one(key, names)) for key, names in asked.items()]
        await asyncio.sleep(HOUR_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return market

    market = in_virtual_time(work)
    assert len(market.sent) == CLIENTS
    for key, sent in market.sent.items():
        fullest = max(bisect_right(sent, at + 59.999) - i for i, at in enumerate(sent))
        assert fullest <= 60
        assert market.statuses[key][200] <= market.updates(asked[key], HOUR_S)
        assert market.statuses[key][200] >= HOUR_S / 24, "it must follow the market as well"
    total = sum(market.statuses.values(), Counter())
    assert total[304] > CLIENTS
    print(f"{HOUR_S} s: {total[200]} answers, {total[304]} unchanged, fullest minute within 60")


def polled(serve: Any, seconds: float, names: Sequence[str], **settings: Any) -> list[Any]:
    """(second, symbols, outcome) of a poller's life."""
    seen: list[Any] = []

    async def work(clock: Clock) -> None:
        def told(watch: Watch, outcome: Outcome) -> None:
            seen.append((clock.steady_s(), watch.symbols, outcome))

        async def served(request: httpx2.Request) -> httpx2.Response:
            found: httpx2.Response = await serve(clock.steady_s(), request)
            return found

        async with client_of(served, clock, **settings) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await Poller(client, told).run([Watch(tuple(names))])

    in_virtual_time(work)
    return seen


def fresh(seen: list[Any], name: str) -> list[float]:
    """When a symbol had a new answer."""
    return [at for at, names, o in seen if name in names and isinstance(o, Answer) and not o.stale]


@pytest.mark.parametrize("from_s", [0, 60])
@pytest.mark.parametrize("kind", ["slow", "huge", "wrong"])
def test_one_slow_symbol_delays_no_other(kind: str, from_s: int) -> None:
    """While one symbol hangs or spoils its part, the others stay as fresh as before; later it
    comes back and one request serves all again."""
    calls: list[tuple[float, int]] = []

    async def serve(now_s: float, request: httpx2.Request) -> httpx2.Response:
        names = asked_for(request)
        calls.append((now_s, len(names)))
        if "BADUSDT" in names and from_s <= now_s < 600:
            if kind == "slow":
                await asyncio.sleep(1_000)
            return httpx2.Response(200, content=b"{" if kind == "wrong" else b"9" * 20_000_000)
        return httpx2.Response(200, content=snapshot(names, 5_000))

    names = ["AUSDT", "BUSDT", "BADUSDT", "CUSDT"]
    seen = polled(serve, 900, names)
    for name in ("AUSDT", "BUSDT", "CUSDT"):
        times = fresh(seen, name)
        assert max(b - a for a, b in pairwise(times)) < 13
        assert times[-1] > 890
    bad = fresh(seen, "BADUSDT")
    assert [at for at in bad if from_s + 5 < at < 600] == []
    assert bad[-1] > 890
    assert calls[-1][1] == 4
    minutes = Counter(int(at // 60) for at, _ in calls)
    assert max(minutes.values()) <= 40
    assert all(size == 4 for at, size in calls if at > 700)


async def broken(kind: str) -> httpx2.Response:
    """One way for a server to fail."""
    match kind:
        case "refused":
            raise httpx2.ConnectError("refused")
        case "hangs":
            await asyncio.sleep(10_000)
        case "503":
            return httpx2.Response(503, content=b"<html>")
        case "503 later":
            return httpx2.Response(503, headers={"Retry-After": "120"})
        case "429":
            return httpx2.Response(429, headers={"Retry-After": "20"})
        case "cut":
            return httpx2.Response(200, content=snapshot(["AUSDT", "BUSDT"], 5_000)[:-9])
    return httpx2.Response(200, content=b"[]")


def checked_outcome(at: float, outcome: Outcome) -> None:
    """Stale and older by the outage while it lasts, fresh before and soon after."""
    good = isinstance(outcome, Answer) and not outcome.stale
    assert good == (not 60 <= at < 3_660) or at < 75 or at > 3_655, (at, outcome)
    if isinstance(outcome, Answer) and outcome.stale:
        assert all(line.profile.quality.stale for line in outcome.value.symbols if line.profile)
        assert outcome.age_ms is not None
        assert outcome.age_ms >= (at - 60) * 1_000 - 1


@pytest.mark.parametrize("kind", ["refused", "hangs", "503", "503 later", "429", "cut", "wrong"])
def test_an_hour_without_the_server(kind: str) -> None:
    """Whatever a broken server does for an hour, it hears few questions, nothing old is given as
    new, and soon after its return all is fresh again."""
    calls: list[float] = []

    async def serve(now_s: float, request: httpx2.Request) -> httpx2.Response:
        calls.append(now_s)
        if not 60 <= now_s < 3_660:
            return httpx2.Response(200, content=snapshot(asked_for(request), 5_000))
        return await broken(kind)

    seen = polled(serve, 3_900, ["AUSDT", "BUSDT"])
    during = [at for at in calls if 61 < at < 3_660]
    allowed = {"503 later": 32, "429": 182}.get(kind, 300)
    assert 5 < len(during) <= allowed, len(during)
    first_s = {"503 later": 120, "429": 20}.get(kind, 0)
    if first_s:
        assert min(b - a for a, b in pairwise(during)) >= first_s - 0.001
    for at, _, outcome in seen:
        checked_outcome(at, outcome)
    assert min(fresh(seen[-60:], "AUSDT")) < 3_660 + max(60.0, first_s) + 45
