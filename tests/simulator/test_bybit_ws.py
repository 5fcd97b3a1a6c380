"""Bybit's v5 public WebSocket protocol."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from simulator.columns import BLOCK, RPI
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes import load_tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]
LINEAR, SPOT = "bybit:perp:BTCUSDT", "bybit:spot:BTCUSDT"


def subscribe(*topics: str, req_id: str = "1") -> dict[str, Any]:
    return {"op": "subscribe", "req_id": req_id, "args": list(topics)}


async def test_linear_and_spot_trades_have_their_own_shapes(steady: Make, listen: Listen) -> None:
    """Linear ids are UUIDs with a tick direction; spot ids are consecutive numbers without one."""
    tapes = [steady(LINEAR), steady(SPOT)]
    async with Simulator(tapes, start_after=2) as sim:
        base = sim.urls["bybit_ws_url"]
        topic = subscribe("publicTrade.BTCUSDT")
        async with (
            listen(f"{base}/v5/public/linear", topic) as linear,
            listen(f"{base}/v5/public/spot", topic) as spot,
        ):
            await sim.finished.wait()
            ack = {k: v for k, v in linear.messages[0].items() if k != "conn_id"}
            assert ack == {"success": True, "ret_msg": "", "req_id": "1", "op": "subscribe"}
            assert spot.messages[0]["ret_msg"] == "subscribe"
            fills = linear.events("publicTrade")
            assert [f["i"] for f in fills] == [t.uuid for t in tapes[0]]
            assert list(fills[0]) == ["T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq"]
            assert [(f["p"], f["v"]) for f in fills] == [(t.price, t.qty) for t in tapes[0]]
            ids = [int(f["i"]) for f in spot.events("publicTrade")]
            assert ids == list(range(ids[0], ids[0] + 50))
            assert all("L" not in f for f in spot.events("publicTrade"))
            assert linear.messages[1]["type"] == "snapshot"


async def test_tick_directions_follow_the_price(make_tape: Make, listen: Listen) -> None:
    """Plus, zero-plus, minus and zero-minus ticks against the trade before."""
    prices = ["10.0", "11.0", "11.0", "10.0", "10.0"]
    tape = make_tape(LINEAR, [(n, price, "1", True) for n, price in enumerate(prices)])
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        async with listen(url, subscribe("publicTrade.BTCUSDT")) as reader:
            await sim.finished.wait()
            assert [f["L"] for f in reader.events("publicTrade")][1:] == [
                "PlusTick",
                "ZeroPlusTick",
                "MinusTick",
                "ZeroMinusTick",
            ]


async def test_a_large_order_fills_several_frames_with_one_seq(
    make_tape: Make, listen: Listen
) -> None:
    """At most 1024 trades a frame; all fills of one taker order share a `seq`."""
    tape = make_tape(LINEAR, [(5, "10.0", "1", True)] * 2500 + [(6, "10.0", "1", True)])
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        async with listen(url, subscribe("publicTrade.BTCUSDT")) as reader:
            await sim.finished.wait()
            frames = [m["data"] for m in reader.messages if "topic" in m]
    assert [len(frame) for frame in frames] == [1024, 1024, 452, 1]
    assert len({fill["seq"] for frame in frames[:3] for fill in frame}) == 1
    assert frames[3][0]["seq"] > frames[2][0]["seq"]


async def test_candles_confirm_and_have_no_taker_split(steady: Make, listen: Listen) -> None:
    """`kline.1` sums volume and turnover and confirms right after the minute."""
    tape = steady(LINEAR, count=1300)
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        topics = subscribe("publicTrade.BTCUSDT", "kline.1.BTCUSDT")
        async with listen(url, topics) as reader:
            await sim.finished.wait()
            fills, bars = reader.events("publicTrade"), reader.events("kline.1")
    closed = [bar for bar in bars if bar["confirm"]]
    assert len(closed) >= 3
    for bar in closed:
        inside = [f for f in fills if bar["start"] <= f["T"] <= bar["end"]]
        assert Decimal(bar["volume"]) == sum(Decimal(f["v"]) for f in inside)
        assert Decimal(bar["turnover"]) == sum(Decimal(f["v"]) * Decimal(f["p"]) for f in inside)
        assert "buy" not in str(bar).lower()
        assert bar["timestamp"] - bar["end"] < 100


async def test_block_trades_are_marked_and_in_no_candle(make_tape: Make, listen: Listen) -> None:
    """BT and RPI come as flags; candles count RPI but not block trades."""
    trades = [(0, "10.0", "1", True), (10, "10.0", "500", True), (20, "10.0", "2", False)]
    tape = make_tape(LINEAR, trades, kind=[0, BLOCK, RPI])
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        topics = subscribe("publicTrade.BTCUSDT", "kline.1.BTCUSDT")
        async with listen(url, topics) as reader:
            await sim.finished.wait()
            assert [(f["BT"], f["RPI"]) for f in reader.events("publicTrade")] == [
                (False, False),
                (True, False),
                (False, True),
            ]
            closed = [bar for bar in reader.events("kline.1") if bar["confirm"]]
            assert Decimal(closed[0]["volume"]) == 3


async def test_a_batch_with_one_known_topic_is_rejected_whole(steady: Make, listen: Listen) -> None:
    """An already subscribed topic poisons its batch: the new ones in it are not added."""
    tapes = [steady(LINEAR), steady("bybit:perp:ETHUSDT")]
    async with (
        Simulator(tapes, start_after=9) as sim,
        listen(f"{sim.urls['bybit_ws_url']}/v5/public/linear") as reader,
    ):
        assert (await reader.ask(subscribe("publicTrade.BTCUSDT")))["success"]
        answer = await reader.ask(
            subscribe("publicTrade.ETHUSDT", "publicTrade.BTCUSDT", req_id="2")
        )
        assert answer["success"] is False
        assert answer["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
        assert answer["req_id"] == "2"
        sim.start()
        await sim.finished.wait()
        assert {f["s"] for f in reader.events("publicTrade")} == {"BTCUSDT"}


async def test_limits_of_arguments(steady: Make, listen: Listen) -> None:
    """Spot takes ten topics a request; a connection takes 21,000 characters of them."""
    coins = [f"bybit:spot:C{n}USDT" for n in range(11)]
    long_name = "bybit:perp:" + "L" * 36 + "USDT"
    tapes = [steady(name, count=2) for name in [*coins, long_name]]
    async with Simulator(tapes, start_after=99) as sim:
        base = f"{sim.urls['bybit_ws_url']}/v5/public"
        async with listen(f"{base}/spot") as spot, listen(f"{base}/linear") as linear:
            topics = [f"publicTrade.C{n}USDT" for n in range(11)]
            answer = await spot.ask(subscribe(*topics))
            assert (answer["success"], answer["ret_msg"]) == (False, "args size >10")
            assert (await spot.ask(subscribe(*topics[:10])))["success"]
            symbol = long_name.rpartition(":")[2]
            many = [f"orderbook.{n}.{symbol}" for n in range(410)]
            answer = await linear.ask(subscribe(*many))
            assert answer["success"] is False
            assert (await linear.ask(subscribe(*many[:300])))["success"]


async def test_pings_unsubscribes_and_errors(steady: Make, listen: Listen) -> None:
    """JSON pings are answered; unknown topics, operations and texts are refused."""
    async with Simulator([steady(LINEAR)], start_after=9) as sim:
        async with listen(f"{sim.urls['bybit_ws_url']}/v5/public/linear") as reader:
            pong = await reader.ask({"op": "ping", "req_id": "9"})
            assert (pong["ret_msg"], pong["op"], pong["req_id"]) == ("pong", "ping", "9")
            assert pong["success"] is True
            for bad in (subscribe("publicTrade.NOPEUSDT"), subscribe("dance.BTCUSDT"), subscribe()):
                assert (await reader.ask(bad))["success"] is False
            assert (await reader.ask({"op": "sing"}))["success"] is False
            assert (await reader.ask("{broken"))["success"] is False
            await reader.ask(subscribe("publicTrade.BTCUSDT"))
            out = {"op": "unsubscribe", "args": ["publicTrade.BTCUSDT"]}
            assert (await reader.ask(out))["success"] is True
            assert (await reader.ask(subscribe("publicTrade.BTCUSDT")))["success"] is True
        with pytest.raises(InvalidStatus):
            async with listen(f"{sim.urls['bybit_ws_url']}/v5/public/moon"):
                pass


async def test_the_archive_rows_replay_as_bybit_frames(shared: Any, listen: Listen) -> None:
    """The real inverse rows come with their own UUIDs, sides, sizes and prices."""
    tape = load_tape(shared / "data" / "bybit_archive" / "BTCUSD2022-05-02.first5079.csv")
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        async with listen(url, subscribe("publicTrade.BTCUSD")) as reader:
            await sim.finished.wait()
            fills = reader.events("publicTrade")
    assert len({f["i"] for f in fills}) == len(fills) == 5079
    assert sum(int(f["v"]) for f in fills) == 23_527_521
    assert sum(int(f["v"]) for f in fills if f["S"] == "Buy") == 17_300_899
    assert fills[0]["i"] == "a0dd4504-db3c-535f-b43b-4de38f581b79"
