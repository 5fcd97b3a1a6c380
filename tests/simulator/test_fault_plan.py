"""Faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2

from simulator.faults import FaultPlan
from simulator.service import Simulator
from simulator.tape import Tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]
STREAM = "btcusdt@trade"


async def _keys(sim: Simulator, listen: Listen, stream: str = STREAM) -> list[int]:
    async with listen(f"{sim.urls['binance_spot_ws_url']}/ws/{stream}") as reader:
        await sim.finished.wait()
        return [m["t"] if m else -1 for m in reader.messages if m is None or m["e"] == "trade"]


async def test_trades_are_dropped_doubled_and_swapped(steady: Make, listen: Listen) -> None:
    """Each action strikes exactly the ids it names; REST still has what the stream lost."""
    plan = FaultPlan()
    plan.on_trades(STREAM, "drop", range(110, 113))
    plan.on_trades(STREAM, "duplicate", [120])
    plan.on_trades(STREAM, "swap", [130])
    async with Simulator([steady()], faults=plan) as sim, httpx2.AsyncClient() as client:
        keys = await _keys(sim, listen)
        url = (
            f"{sim.urls['binance_spot_rest_url']}/api/v3/historicalTrades?symbol=BTCUSDT&fromId=110"
        )
        assert (await client.get(url)).json()[0]["id"] == 110
    expected = [*range(101, 110), *range(113, 121), *range(120, 130), 131, 130, *range(132, 151)]
    assert keys == expected


async def test_a_fault_can_be_for_one_connection(steady: Make, listen: Listen) -> None:
    """With two connections, the second one has what the first lost."""
    plan = FaultPlan()
    plan.on_trades(STREAM, "drop", [105], connection=1)
    async with Simulator([steady()], faults=plan, start_after=9) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url) as first, listen(url) as second:
            sim.start()
            await sim.finished.wait()
            assert [m["t"] for m in first.messages] == [*range(101, 105), *range(106, 151)]
            assert [m["t"] for m in second.messages] == list(range(101, 151))


async def test_malformed_json_arrives_as_a_whole_frame(steady: Make, listen: Listen) -> None:
    """The frame is intact, its JSON is cut, and the stream goes on."""
    plan = FaultPlan()
    plan.on_trades(STREAM, "malformed", [107])
    async with Simulator([steady()], faults=plan) as sim:
        keys = await _keys(sim, listen)
    assert keys == [*range(101, 107), -1, *range(108, 151)]


async def test_foreign_trades_are_injected(steady: Make, listen: Listen) -> None:
    """ADL far off the market on USD-M, a block trade on Bybit, a zero size on spot."""
    tapes = [steady(), steady("binance:perp:BTCUSDT"), steady("bybit:perp:BTCUSDT")]
    plan = FaultPlan()
    plan.on_trades(STREAM, "ADL", [110])
    plan.on_trades("btcusdt@aggTrade", "ZERO", [60])
    plan.on_trades("publicTrade.BTCUSDT", "BT", [20])
    async with Simulator(tapes, faults=plan, start_after=3) as sim:
        subscribe = {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}
        async with (
            listen(f"{sim.urls['binance_usdm_ws_url']}/public/ws/{STREAM}") as usdm,
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade") as spot,
            listen(f"{sim.urls['bybit_ws_url']}/v5/public/linear", subscribe) as bybit,
        ):
            await sim.finished.wait()
            adl = [m for m in usdm.messages if m["X"] == "ADL"]
            assert [m["t"] for m in adl] == [110]
            assert float(adl[0]["p"]) > 150
            assert [m["a"] for m in spot.messages if float(m["q"]) == 0] == [60]
            blocks = [f for f in bybit.events("publicTrade") if f["BT"]]
            ids = [f["i"] for f in bybit.events("publicTrade")]
            assert len(blocks) == 1
            assert len(set(ids)) == len(ids) == 51


async def test_one_stream_stalls_while_others_go_on(steady: Make, listen: Listen) -> None:
    """A stalled stream loses everything until it resumes; the connection looks healthy."""
    plan = FaultPlan()
    plan.stall(STREAM)
    async with Simulator([steady()], faults=plan) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}/btcusdt@aggTrade"
        async with listen(url) as reader:
            await sim.finished.wait()
            assert {m["e"] for m in reader.messages} == {"aggTrade"}
    plan.resume(STREAM)
    assert not plan.touches(STREAM, 1)


async def test_half_open_connections_say_nothing_and_hold_nobody(
    steady: Make, listen: Listen
) -> None:
    """After the trade no byte comes, not even a close; the others play to the end."""
    plan = FaultPlan()
    plan.on_connection(STREAM, "half_open", 110, connection=1)
    async with Simulator([steady()], faults=plan, start_after=9) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url, ping_interval=None) as dead, listen(url) as alive:
            sim.start()
            await asyncio.wait_for(sim.finished.wait(), 5)
            assert [m["t"] for m in dead.messages] == list(range(101, 111))
            assert len(alive.messages) == 50
            assert not dead.ended.is_set()
            pong = await dead.connection.ping()
            done, _ = await asyncio.wait([asyncio.ensure_future(pong)], timeout=0.1)
            assert not done
            await sim.close_all_connections()


async def test_connections_are_reset_or_closed_at_a_trade(steady: Make, listen: Listen) -> None:
    """Abort resets without a close frame, close sends one; a reconnect gets only what follows."""
    plan = FaultPlan()
    plan.on_connection(STREAM, "abort", 110)
    async with Simulator([steady()], faults=plan, speed=2.0) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}"
        async with listen(url) as first:
            await asyncio.wait_for(first.ended.wait(), 5)
            assert first.messages[-1]["t"] == 110
            assert first.connection.close_code == 1006
        async with listen(url) as second:
            await second.until(lambda: len(second.messages) > 3)
            assert second.messages[0]["t"] > 110
            await sim.close_all_connections()
            await asyncio.wait_for(second.ended.wait(), 5)
            assert second.connection.close_code == 1001


async def test_a_dripping_connection_gives_everything_slowly(steady: Make, listen: Listen) -> None:
    """Bytes come in small pieces and nothing is lost."""
    plan = FaultPlan(drip_bytes_per_s=40_000)
    plan.on_connection(STREAM, "drip", 101)
    async with (
        Simulator([steady()], faults=plan) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/{STREAM}") as reader,
    ):
        await reader.until(lambda: len(reader.messages) == 50)
        assert [m["t"] for m in reader.messages] == list(range(101, 151))


async def test_the_venues_clock_can_be_wrong(steady: Make) -> None:
    """The offset shows in `/time` of all venues, not in trades."""
    plan = FaultPlan(clock_offset_ms=-5000)
    async with (
        Simulator([steady()], faults=plan, start_after=9) as sim,
        httpx2.AsyncClient() as client,
    ):
        answer = await client.get(f"{sim.urls['binance_spot_rest_url']}/api/v3/time")
        assert answer.json()["serverTime"] == sim.clock_ms() - 5000
        answer = await client.get(f"{sim.urls['bybit_rest_url']}/v5/market/time")
        assert answer.json()["time"] == sim.clock_ms() - 5000


def test_no_rule_no_touch() -> None:
    """A plan without rules for a stream leaves it alone."""
    plan = FaultPlan()
    plan.on_trades("a@trade", "drop", [1], connection=2)
    assert plan.touches("binance_spot/a@trade", 2)
    assert not plan.touches("a@trade", 1)
    assert not plan.touches("b@trade", 2)
