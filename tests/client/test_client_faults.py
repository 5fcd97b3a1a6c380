"""Faults between the client and the real server, behind the real nginx with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from client_system import QUICK
from edge_support import NAME, Edge, edge
from journeys_support import journey
from meddler import FAULTS, Meddler
from sim_support import short_tapes
from wadm_client import question as ask_for
from wadm_client.answer import Answer
from wadm_client.client import AsyncClient, Client
from wadm_client.config import Config
from wadm_client.errors import CertificateError, ClientError
from wadm_client.poll import Poller, Watch

pytestmark = pytest.mark.timeout(1_200)
WAIT_S = 90.0
ROWS = "BTCUSDT=0.05,ETHUSDT=0.05"
ASKED = ask_for.order_flow("BTCUSDT", "5m", {})


@contextlib.asynccontextmanager
async def meddled(folder: Path) -> AsyncIterator[tuple[Meddler, Edge, Config]]:
    """nginx, and behind it a relay to whichever server it is told of."""
    async with Meddler().running() as between, edge(folder / "edge", between.port) as front:
        limits: dict[str, Any] = {"per_minute": 600, "timeout_s": 5.0}
        yield between, front, Config(url=front.url, ca_file=front.ca, **limits)


async def fresh(client: AsyncClient, front: Edge | None = None) -> Answer[Any]:
    """The first answer that is not stale, asked for as often as a program may; `front` is told
    again to read its files: a signal may come too early for it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if front is not None:
                await front.reload()
            with contextlib.suppress(ClientError):
                answer = await client.ask(ASKED, force=True)
                if not answer.stale:
                    return answer
            await asyncio.sleep(0.05)


async def stale(client: AsyncClient) -> tuple[Answer[Any], int]:
    """The first stale answer, and how many questions it took: nginx itself knows the last good one
    for a second, and asks for a new one meanwhile."""
    asked = 0
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await client.ask(ASKED, force=True)
            asked += 1
            if answer.stale:
                return answer, asked
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_faults_on_the_way(tmp_path: Path) -> None:
    """Whatever comes instead of an answer, the old one is given, marked and older, after few
    questions, and the first good answer afterwards is fresh again."""
    async with meddled(tmp_path) as (between, _, config):  # noqa: SIM117
        async with journey(tmp_path / "store", short_tapes(), row_sizes=ROWS) as trip:
            await trip.until_played()
            between.upstream = trip.system.port
            async with AsyncClient(config, patience=QUICK) as client:
                before = await client.ask(ASKED)
                kept_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                for fault in FAULTS:
                    between.fault, between.seen = fault, 0
                    answer, asked = await stale(client)
                    assert answer.value.quality.stale, fault
                    assert answer.why, fault
                    assert answer.value.total_volume == before.value.total_volume
                    assert answer.age_ms is not None
                    assert before.age_ms is not None
                    assert answer.age_ms >= before.age_ms
                    # nginx asks up to three times for one question where nothing was sent on, and
                    # tries once for a new answer whenever it gives the last one meanwhile.
                    assert between.seen <= 3 * QUICK.attempts + asked, fault
                    between.fault = ""
                    answer = await fresh(client)
                    assert answer.origin in {"server", "unchanged"}
                    before = answer
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - kept_bytes
                assert grown < 200_000, f"{grown} kB for answers that must not be kept"
            await asyncio.to_thread(blocking, config, between)


def blocking(config: Config, between: Meddler) -> None:
    """The blocking client says the same of the faults that its own code reads."""
    with Client(config, patience=QUICK) as client:
        assert not client.ask(ASKED).stale
        for number, fault in enumerate(("cut", "cut gzip", "bomb", "wrong")):
            asked = ask_for.order_flow("ETHUSDT", "5m", {"max_levels": number + 1})
            between.fault = fault
            with pytest.raises(ClientError):
                client.ask(asked)
        between.fault = ""


@pytest.mark.parametrize("shift_s", [3_600, -3_600])
async def test_the_servers_clock_is_wrong(tmp_path: Path, shift_s: int) -> None:
    """A server an hour ahead or behind changes neither age nor staleness nor the next question."""
    async with meddled(tmp_path) as (between, _, config):  # noqa: SIM117
        async with journey(tmp_path / "store", short_tapes(), row_sizes=ROWS) as trip:
            await trip.until_played()
            between.upstream = trip.system.port
            async with AsyncClient(config, patience=QUICK) as client:
                right = await client.ask(ASKED)
                between.shift_s = shift_s
            async with AsyncClient(config, patience=QUICK) as client:
                wrong = await client.ask(ask_for.order_flow("BTCUSDT", "5m", {"numbers": "string"}))
            assert right.value.timestamp[:13] != wrong.value.timestamp[:13]
            assert not wrong.stale
            assert wrong.age_ms is not None
            assert right.age_ms is not None
            assert abs(wrong.age_ms - right.age_ms) < 60_000
            assert wrong.wait_ms <= config.ttl_s * 1_000
            short = ask_for.short(ask_for.volume_profile("BTCUSDT", "1h", {}))
            async with AsyncClient(config, patience=QUICK) as client:
                brief = await client.ask(short)
                assert brief.wait_ms <= config.ttl_s * 1_000
                assert brief.value.quality.state


async def test_the_server_starts_again(tmp_path: Path) -> None:
    """Over a restart the poller says stale, never breaks off, and goes on by itself."""
    told: list[Answer[Any] | ClientError] = []
    async with meddled(tmp_path) as (between, _, config):  # noqa: SIM117
        async with contextlib.AsyncExitStack() as life, AsyncClient(config, patience=QUICK) as poll:
            first = journey(tmp_path / "store", short_tapes(), row_sizes=ROWS)
            trip = await life.enter_async_context(first)
            await trip.until_played()
            between.upstream = trip.system.port
            poller = Poller(poll, lambda _, outcome: told.append(outcome))
            watch = Watch(("BTCUSDT", "ETHUSDT"), interval_s=0.1)
            polling = asyncio.create_task(poller.run([watch]))
            await until(lambda: any(good(outcome) for outcome in told))
            await life.aclose()
            told.clear()
            await until(lambda: any(isinstance(o, Answer) and o.stale for o in told))
            second = journey(tmp_path / "store", short_tapes(), row_sizes=ROWS)
            trip = await life.enter_async_context(second)
            between.upstream = trip.system.port
            told.clear()
            await until(lambda: any(good(outcome) for outcome in told))
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)


def good(outcome: Answer[Any] | ClientError) -> bool:
    return isinstance(outcome, Answer) and not outcome.stale


async def until(condition: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (any condition, bounded)
            await asyncio.sleep(0.02)


async def test_certificates(tmp_path: Path) -> None:
    """An expired certificate and one for another host are refused, asked once, never ignored;
    with a good one the same client goes on."""
    async with meddled(tmp_path) as (between, front, config):  # noqa: SIM117
        async with journey(tmp_path / "store", short_tapes(), row_sizes=ROWS) as trip:
            await trip.until_played()
            between.upstream = trip.system.port
            for names, days, text in (
                (("localhost",), 0, "expired"),
                ((NAME,), 30, "match|mismatch"),
            ):
                front.certify(*names, days=days)
                await until_refused(front, config, text)
                between.seen = 0
                async with AsyncClient(config, patience=QUICK) as client:
                    with pytest.raises(CertificateError, match=text):
                        await client.ask(ASKED)
                    assert between.seen == 0
                    front.certify("localhost")
                    assert not (await fresh(client, front)).stale


async def until_refused(front: Edge, config: Config, text: str) -> None:
    """nginx has taken the new certificate into use, and its time is over.

    It is told more than once: a signal that comes before its main loop waits for the next.
    """
    async with asyncio.timeout(WAIT_S):
        while True:
            await front.reload()
            async with AsyncClient(config, patience=QUICK) as client:
                try:
                    await client.status()
                except CertificateError as error:
                    if any(word in str(error) for word in text.split("|")):
                        return
                except ClientError:
                    pass
            await asyncio.sleep(0.5)


async def test_the_edge_says_slow_down(tmp_path: Path) -> None:
    """After nginx's own 429 nothing more is sent until its Retry-After is over."""
    async with Meddler().running() as between:
        between.fault = "wrong"
        async with edge(tmp_path / "edge", between.port, EDGE_BURST="2") as front:
            config = Config(url=front.url, ca_file=front.ca, key="wadm_abcdefgh_x", per_minute=600)
            async with AsyncClient(config, patience=QUICK) as client:
                for number in range(8):
                    with pytest.raises(ClientError):
                        await client.ask(ask_for.order_flow(f"S{number}USDT", "5m", {}))
            lines = front.lines()
    refused = [line["time_ms"] for line in lines if line["status"] == 429]
    assert refused, "the limit must have been reached"
    for at_s in refused:
        later = [line["time_ms"] - at_s for line in lines if line["time_ms"] > at_s]
        assert min(later, default=1) > 0.9
