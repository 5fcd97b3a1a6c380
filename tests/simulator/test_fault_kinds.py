"""Every kind of fault strikes where it was told to, and is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from simulator.faults import CONNECTION_ACTIONS, ROW_ACTIONS, VENUE_ACTIONS, FaultPlan, Share
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.convert import numbered_anew

Listen = Callable[..., Any]
Make = Callable[..., Tape]
STREAM = "btcusdt@trade"
SPOT = f"binance_spot/{STREAM}"


async def test_huge_frames_and_drifted_schemas(steady: Make, listen: Listen) -> None:
    """A huge frame is whole and of the stated size; a drifted one has no price by its name."""
    plan = FaultPlan(huge_bytes=100_000)
    plan.on_trades(SPOT, "huge", [105])
    plan.on_trades(SPOT, "drift", [110])
    async with Simulator([steady()], faults=plan) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url, max_size=None) as reader:
            await sim.finished.wait()
    assert [m["t"] for m in reader.messages] == list(range(101, 151))
    assert [len(text) > 100_000 for text in reader.texts].index(True) == 4
    assert [m["t"] for m in reader.messages if "p" not in m] == [110]
    assert (plan.fired["huge"], plan.fired["drift"]) == (1, 1)


async def test_a_rule_may_name_its_host(steady: Make, listen: Listen) -> None:
    """Both Binance hosts have a stream of that name; only the named one loses trades."""
    plan = FaultPlan()
    plan.on_trades("binance_usdm/btcusdt@aggTrade", "drop", range(1_000))
    tapes = [steady(), steady("binance:perp:BTCUSDT")]
    async with (
        Simulator(tapes, faults=plan, start_after=2) as sim,
        listen(f"{sim.urls['binance_usdm_ws_url']}/market/ws/btcusdt@aggTrade") as usdm,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade") as spot,
    ):
        await sim.finished.wait()
        assert (len(usdm.messages), len(spot.messages)) == (0, 50)
    assert plan.fired["drop"] == 50


async def test_a_swap_survives_slow_play(steady: Make, listen: Listen) -> None:
    """One trade a frame and a turn: the swapped one waits for its successor."""
    plan = FaultPlan()
    plan.on_trades(STREAM, "swap", [110, 120])
    async with (
        Simulator([steady()], faults=plan, speed=10) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}") as reader,
    ):
        await reader.until(lambda: len(reader.messages) == 50)
        keys = [m["t"] for m in reader.messages]
    assert keys == [*range(101, 110), 111, 110, *range(112, 120), 121, 120, *range(122, 151)]
    assert plan.fired["swap"] == 2


async def test_a_deaf_venue_hears_no_ping(steady: Make, listen: Listen) -> None:
    """Data go on, but no pong ever comes."""
    plan = FaultPlan()
    plan.on_connection(STREAM, "deaf", 105)
    async with Simulator([steady()], faults=plan, speed=20) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url, ping_interval=None) as reader:
            await reader.until(lambda: len(reader.messages) > 10)
            pong = asyncio.ensure_future(await reader.connection.ping())
            await reader.until(lambda: len(reader.messages) > 40)
            assert not pong.done()
            pong.cancel()
    assert plan.fired["deaf"] == 1


@pytest.mark.parametrize("status", [429, 418, 403, 503])
async def test_rest_is_refused_a_number_of_times(steady: Make, status: int) -> None:
    """The status and how long to wait, then answers again; only of the named host."""
    plan = FaultPlan()
    plan.refuse_rest(status, 2, host="binance_spot", retry_after_s=7)
    async with Simulator([steady()], faults=plan) as sim, httpx2.AsyncClient() as client:
        url = f"{sim.urls['binance_spot_rest_url']}/api/v3/time"
        other = await client.get(f"{sim.urls['bybit_rest_url']}/v5/market/time")
        assert other.status_code == 200
        answers = [await client.get(url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert plan.fired[f"rest_{status}"] == 2


async def test_a_rest_outage_cuts_requests_off(steady: Make) -> None:
    """No answer at all, then answers again."""
    plan = FaultPlan()
    plan.refuse_rest(0, 1)
    async with Simulator([steady()], faults=plan) as sim, httpx2.AsyncClient() as client:
        url = f"{sim.urls['binance_spot_rest_url']}/api/v3/time"
        with pytest.raises(httpx2.HTTPError):
            await client.get(url)
        assert (await client.get(url)).status_code == 200
    assert plan.fired["rest_outage"] == 1


async def test_subscriptions_are_refused_and_poison_a_bybit_batch(
    steady: Make, listen: Listen
) -> None:
    """Binance answers with an error; Bybit refuses everything asked for at the same time."""
    plan = FaultPlan()
    plan.refuse_subscription("btcusdt@aggTrade")
    plan.refuse_subscription("kline.1.BTCUSDT")
    tapes = [steady(), steady("bybit:spot:BTCUSDT")]
    async with Simulator(tapes, faults=plan, start_after=9) as sim:
        async with listen(f"{sim.urls['binance_spot_ws_url']}/ws") as binance:
            ask = {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}
            assert "error" in await binance.ask(ask)
            assert (await binance.ask(ask))["result"] is None
        async with listen(f"{sim.urls['bybit_ws_url']}/v5/public/spot") as bybit:
            topics = ["publicTrade.BTCUSDT", "kline.1.BTCUSDT"]
            refused = await bybit.ask({"op": "subscribe", "args": topics})
            assert refused["success"] is False
            assert "kline.1.BTCUSDT" in refused["ret_msg"]
            assert sim.hosts[2].sessions[0].streams == {}
            assert (await bybit.ask({"op": "subscribe", "args": topics}))["success"]
    assert (plan.fired["subscription_refused"], plan.fired["batch_poisoned"]) == (2, 1)


async def test_a_route_falls_silent(steady: Make, listen: Listen) -> None:
    """The wrong route acknowledges and delivers nothing; what it should have had is counted."""
    plan = FaultPlan(silent_routes={"market"})
    async with Simulator([steady("binance:perp:BTCUSDT")], faults=plan, start_after=0) as sim:
        url = f"{sim.urls['binance_usdm_ws_url']}/market/ws"
        ask = {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}
        async with listen(url, ask) as silent:
            await silent.until(lambda: len(silent.messages) == 1)
            plan.silent_routes.clear()
            async with listen(url, ask) as heard:
                await sim.finished.wait()
                assert len(heard.events("aggTrade")) == 50
            assert silent.messages == [{"result": None, "id": 1}]
    assert plan.fired["silent_stream"] == 1


async def test_a_shutdown_is_announced_and_carried_out(steady: Make, listen: Listen) -> None:
    """At a trade the venue says that it goes, and soon it does."""
    plan = FaultPlan()
    plan.on_connection(STREAM, "shutdown", 110)
    async with (
        Simulator([steady()], faults=plan, speed=20) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}") as reader,
    ):
        await asyncio.wait_for(reader.ended.wait(), 5)
        assert reader.events("serverShutdown")
        assert reader.connection.close_code == 1001
    assert plan.fired["shutdown"] == plan.fired["shutdown_notice"] == 1


async def test_a_venue_fails_from_a_trade_on(steady: Make, listen: Listen) -> None:
    """After its trade REST refuses, or new sockets are refused, three times."""
    plan = FaultPlan()
    plan.on_connection(STREAM, "429", 105)
    plan.on_connection(STREAM, "refuse_connects", 106)
    async with Simulator([steady()], faults=plan) as sim, httpx2.AsyncClient() as client:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url):
            await sim.finished.wait()
        base = sim.urls["binance_spot_rest_url"]
        codes = [(await client.get(f"{base}/api/v3/time")).status_code for _ in range(4)]
        assert codes == [429, 429, 429, 200]
        for _ in range(3):
            with pytest.raises(InvalidStatus):
                async with listen(url):
                    pass
        async with listen(url):
            pass
    assert plan.fired["connect_refused"] == 3


async def test_a_wrong_clock_is_counted(steady: Make) -> None:
    """Every time the venue tells is off, and counted."""
    plan = FaultPlan(clock_offset_ms=5_000)
    async with Simulator([steady()], faults=plan) as sim, httpx2.AsyncClient() as client:
        await client.get(f"{sim.urls['bybit_rest_url']}/v5/market/time")
    assert plan.fired["clock_offset"] > 0


async def test_a_venue_numbers_anew(steady: Make, listen: Listen) -> None:
    """From one trade on ids start again, on the stream and over REST, and volumes stay."""
    tape = numbered_anew(steady(step_ms=5_000), 60, 1)
    keys = [trade.key for trade in tape]
    assert keys[keys.index(1) :] == list(range(1, 51 - keys.index(1)))
    async with Simulator([tape]) as sim, httpx2.AsyncClient() as client:
        async with listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade") as reader:
            await sim.finished.wait()
            assert [m["a"] for m in reader.messages] == keys
        url = f"{sim.urls['binance_spot_rest_url']}/api/v3/aggTrades?symbol=BTCUSDT&limit=3"
        rows = (await client.get(f"{url}&fromId=2")).json()
        assert [row["a"] for row in rows] == [2, 3, 4]
        assert rows[0]["T"] == reader.messages[keys.index(1) + 1]["T"]
    with pytest.raises(ValueError, match="no numbers"):
        numbered_anew(steady("bybit:perp:BTCUSDT"), 5)


async def test_a_seed_gives_every_kind_and_always_the_same(steady: Make, listen: Listen) -> None:
    """The same seed strikes the same trades; with a large share every kind of row fault fires."""
    seen = []
    for seed in (3, 3, 4):
        plan = FaultPlan.seeded(seed, share=0.2, kinds=ROW_ACTIONS)
        plan.huge_bytes = 2_000
        async with (
            Simulator([steady(count=400)], faults=plan) as sim,
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}") as reader,
        ):
            await sim.finished.wait()
            seen.append([m and json.dumps(m) for m in reader.messages])
        assert set(ROW_ACTIONS) <= set(plan.fired)
    assert seen[0] == seen[1] != seen[2]
    every = FaultPlan.seeded(1, share=1.0)
    struck = {every.strike(SPOT, 1, key) for key in range(2_000)} - {None}
    assert struck == {*CONNECTION_ACTIONS, *VENUE_ACTIONS}


def test_a_share_is_a_share() -> None:
    """About that part of all ids, spread evenly; no other thing is in it."""
    share = Share(5, 0.1)
    assert 850 < sum(key in share for key in range(10_000)) < 1_150
    assert "7" not in share
