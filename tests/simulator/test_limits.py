"""What venues enforce on connections, with shortened times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from simulator.faults import FaultPlan
from simulator.limits import Budget, Limits
from simulator.service import Simulator
from simulator.tape import Tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]


async def test_a_client_without_pong_is_kicked(steady: Make, listen: Listen) -> None:
    """The server pings; without a pong in time the connection is ended."""
    limits = Limits(ping_interval_s=0.05, pong_timeout_s=0.2)
    async with Simulator([steady()], limits=limits, start_after=9) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"
        async with listen(url) as polite:
            port = sim.hosts[0].port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            assert sim.stats.kicks["Pong timeout"] == 1
            assert not polite.ended.is_set()


async def test_too_many_messages_end_the_connection(steady: Make, listen: Listen) -> None:
    """More than five messages in a second on spot, ten on USD-M; pings count."""
    tapes = [steady(), steady("binance:perp:BTCUSDT")]
    async with Simulator(tapes, start_after=9) as sim:
        for host, path, allowed in (("binance_spot", "/ws", 5), ("binance_usdm", "/market/ws", 10)):
            async with listen(sim.urls[f"{host}_ws_url"] + path) as reader:
                for _ in range(allowed - 1):
                    await reader.connection.ping()
                await reader.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})
                await reader.connection.ping()
                await asyncio.wait_for(reader.ended.wait(), 5)
                assert reader.connection.close_code == 1008


async def test_life_ends_with_a_farewell_on_spot(steady: Make, listen: Listen) -> None:
    """`serverShutdown` comes raw or combined before the connection is cut."""
    limits = Limits(life_s=0.4, shutdown_notice_s=0.2)
    async with Simulator([steady()], limits=limits, start_after=9) as sim:
        base = sim.urls["binance_spot_ws_url"]
        async with (
            listen(f"{base}/ws/btcusdt@trade") as raw,
            listen(f"{base}/stream?streams=btcusdt@trade") as combined,
        ):
            await asyncio.wait_for(raw.ended.wait(), 5)
            await asyncio.wait_for(combined.ended.wait(), 5)
    assert raw.messages[-1]["e"] == "serverShutdown"
    assert combined.messages[-1]["stream"] == "!serverShutdown"
    assert combined.messages[-1]["data"]["e"] == "serverShutdown"


async def test_silent_bybit_clients_are_cut(steady: Make, listen: Listen) -> None:
    """Without a message for the silence limit the connection ends; pings keep it."""
    limits = Limits(silence_cut_s=0.5, pong_timeout_s=0.2)
    async with Simulator([steady("bybit:spot:BTCUSDT")], limits=limits, start_after=9) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/spot"
        async with listen(url) as silent, listen(url) as talking:
            while not silent.ended.is_set():
                await talking.connection.send(json.dumps({"op": "ping"}))
                await asyncio.wait([asyncio.ensure_future(silent.ended.wait())], timeout=0.1)
            assert not talking.ended.is_set()


async def test_connects_are_refused_after_too_many_or_on_demand(
    steady: Make, listen: Listen
) -> None:
    """HTTP 429 after the window's connects; a fault refuses the next n with its own status."""
    plan = FaultPlan(refuse_connects=1)
    async with Simulator([steady()], limits=Limits(connects_per_window=2), faults=plan) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"
        with pytest.raises(InvalidStatus) as refused:
            async with listen(url):
                pass
        assert refused.value.response.status_code == 503
        for _ in range(2):
            async with listen(url):
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with listen(url):
                pass
        assert refused.value.response.status_code == 429
        assert sim.stats.refused_connects == 2


def test_budgets_refill_and_bans_end() -> None:
    """A new window allows again; a ban outlasts windows and ends."""
    budget = Budget(limit=10, window_s=60, refused_before_ban=1, ban_s=100)
    assert budget.spend(10, 0.0) == (200, 0)
    assert budget.spend(1, 50.0) == (429, 11)
    assert budget.spend(10, 60.0)[0] == 200
    assert [budget.spend(1, 61.0)[0] for _ in range(2)] == [429, 418]
    assert budget.spend(1, 130.0)[0] == 418
    assert budget.spend(1, 162.0)[0] == 200
