"""Binance's WebSocket protocol."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes import load_tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]
PERP = "binance:perp:BTCUSDT"


async def test_spot_streams_raw_and_combined(steady: Make, listen: Listen) -> None:
    """`/ws/<s>` sends bare events, `/stream?streams=` wraps the same events with their stream."""
    async with Simulator([steady()], start_after=2) as sim:
        base = sim.urls["binance_spot_ws_url"]
        async with (
            listen(f"{base}/ws/btcusdt@aggTrade") as raw,
            listen(f"{base}/stream?streams=btcusdt@aggTrade/btcusdt@trade") as combined,
        ):
            await sim.finished.wait()
            bare = [m for m in raw.messages if m["e"] == "aggTrade"]
            wrapped = [m for m in combined.messages if m["stream"] == "btcusdt@aggTrade"]
            assert [m["data"] for m in wrapped] == bare
            assert len(bare) == len(combined.events("trade")) == 50
            assert list(bare[0]) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
            assert bare[0]["p"] == "100.50000000"


async def test_both_replays_of_a_recording_agree(
    shared: Any, listen: Listen, until: Callable[..., Any]
) -> None:
    """`@trade` and `@aggTrade` of one tape have the same ids, volume, taker side and count."""
    tape = load_tape(shared / "data" / "hftbacktest" / "usdm_btcusdt_20240808.gz")
    async with Simulator([tape], start_after=2) as sim:
        base = sim.urls["binance_usdm_ws_url"]
        async with (
            listen(f"{base}/market/ws/btcusdt@aggTrade/btcusdt@kline_1m") as market,
            listen(f"{base}/public/ws/btcusdt@trade") as public,
        ):
            await sim.finished.wait()
            aggregates, fills = market.events("aggTrade"), public.events("trade")
    assert len(fills) == 21_313
    assert [f["t"] for f in fills] == [i for a in aggregates for i in range(a["f"], a["l"] + 1)]
    assert [b["a"] - a["a"] for a, b in pairwise(aggregates)] == [1] * (len(aggregates) - 1)
    for side in (True, False):
        assert sum(Decimal(a["q"]) for a in aggregates if a["m"] is side) == sum(
            Decimal(f["q"]) for f in fills if f["m"] is side
        )
    assert {a["st"] for a in aggregates} == {1}
    assert all("M" not in a and a["nq"] == a["q"] for a in aggregates)
    assert {f["X"] for f in fills} == {"MARKET"}
    final = [k["k"] for k in market.events("kline") if k["k"]["x"] and k["k"]["n"]]
    assert sum(k["n"] for k in final) == 21_313
    assert sum(Decimal(k["v"]) for k in final) == Decimal("2429.366")
    assert sum(Decimal(k["V"]) for k in final) == Decimal("1251.576")


async def test_candles_close_after_their_trades_and_are_exact(
    steady: Make, listen: Listen, start_ms: int
) -> None:
    """The final candle follows the minute's last trade, at once, and sums exactly its trades."""
    tape = steady(count=1300)
    async with Simulator([tape]) as sim:
        url = f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade/btcusdt@kline_1m"
        async with listen(url) as reader:
            await sim.finished.wait()
            messages = list(reader.messages)
    seen: list[Any] = []
    finals = 0
    for message in messages:
        if message["e"] == "aggTrade":
            seen.append(message)
            continue
        k = message["k"]
        inside = [m for m in seen if k["t"] <= m["T"] <= k["T"]]
        assert Decimal(k["v"]) == sum(Decimal(m["q"]) for m in inside)
        assert Decimal(k["Q"]) == sum(
            Decimal(m["q"]) * Decimal(m["p"]) for m in inside if not m["m"]
        )
        if inside:
            assert (k["f"], k["L"]) == (inside[0]["f"], inside[-1]["l"])
        if k["x"]:
            finals += 1
            assert 0 < message["E"] - k["T"] < 100
            assert k["T"] < seen[-1]["T"] or message["E"] > tape.tracks[0].end_ms
    assert finals >= 3
    gaps = [m["E"] for m in messages if m["e"] == "kline" and not m["k"]["x"]]
    assert {b - a for a, b in pairwise(gaps)} == {2000}


async def test_usdm_routes_deliver_only_their_kinds(steady: Make, listen: Listen) -> None:
    """Every route acknowledges everything; market kinds come only from `/market`."""
    names = ["btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@trade"]
    async with Simulator([steady(PERP)], start_after=2) as sim:
        kinds = {}
        base = sim.urls["binance_usdm_ws_url"]
        subscribe = {"method": "SUBSCRIBE", "params": names, "id": 1}
        async with (
            listen(f"{base}/private/ws", subscribe) as private,
            listen(f"{base}/ws", subscribe) as legacy,
            listen(f"{base}/public/ws", subscribe) as public,
            listen(f"{base}/market/ws", subscribe) as market,
        ):
            await sim.finished.wait()
            readers = {"private": private, "": legacy, "public": public, "market": market}
            for route, reader in readers.items():
                assert reader.messages[0] == {"result": None, "id": 1}
                kinds[route] = {m["e"] for m in reader.messages[1:]}
    assert kinds == {
        "private": set(),
        "": {"trade"},
        "public": {"trade"},
        "market": {"aggTrade", "kline"},
    }


async def test_messages_change_and_list_subscriptions(steady: Make, listen: Listen) -> None:
    """SUBSCRIBE, UNSUBSCRIBE and LIST answer with the id given: number, text or null."""
    async with (
        Simulator([steady()], start_after=9) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws") as reader,
    ):
        names = ["btcusdt@trade", "btcusdt@aggTrade"]
        for ident in (7, "abc-1", None):
            answer = await reader.ask({"method": "SUBSCRIBE", "params": names, "id": ident})
            assert answer == {"result": None, "id": ident}
        await reader.ask({"method": "UNSUBSCRIBE", "params": names[:1], "id": 2})
        answer = await reader.ask({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert answer == {"result": names[1:], "id": 3}


async def test_the_combined_property_changes_the_envelope(steady: Make, listen: Listen) -> None:
    """SET_PROPERTY combined wraps the frames of a raw connection."""
    async with (
        Simulator([steady()], start_after=9) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade") as reader,
    ):
        get = {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}
        assert (await reader.ask(get))["result"] is False
        answer = await reader.ask({**get, "method": "SET_PROPERTY", "params": ["combined", True]})
        assert answer == {"result": None, "id": 1}
        assert (await reader.ask(get))["result"] is True
        sim.start()
        await sim.finished.wait()
        assert reader.messages[-1]["stream"] == "btcusdt@trade"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{broken", 3),
        ("[1]", 2),
        ({"method": "DANCE", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["a@trade"], "id": "x" * 37}, 2),
        ({"method": "SUBSCRIBE", "params": ["a@trade"], "id": 1.5}, 2),
        ({"method": "GET_PROPERTY", "params": ["speed"], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SUBSCRIBE", "params": [f"s{n}@trade" for n in range(1025)], "id": 1}, 2),
    ],
)
async def test_wrong_messages_get_binances_error_codes(
    steady: Make, listen: Listen, message: Any, code: int
) -> None:
    """The connection survives and says what was wrong."""
    async with (
        Simulator([steady()]) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws") as reader,
    ):
        assert (await reader.ask(message))["error"]["code"] == code
        assert (await reader.ask({"method": "LIST_SUBSCRIPTIONS", "id": 5}))["result"] == []


async def test_unknown_streams_are_acknowledged_and_silent(steady: Make, listen: Listen) -> None:
    """An ACK proves nothing: an unknown symbol or kind gives no error and no data."""
    async with Simulator([steady()], start_after=0) as sim:
        names = ["nopeusdt@aggTrade", "btcusdt@depth", "btcusdt@kline_7m", "BTCUSDT@aggTrade"]
        subscribe = {"method": "SUBSCRIBE", "params": names, "id": 1}
        async with (
            listen(f"{sim.urls['binance_spot_ws_url']}/stream", subscribe) as silent,
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"),
        ):
            await sim.finished.wait()
            assert silent.messages == [{"result": None, "id": 1}]


async def test_microseconds_on_request(steady: Make, listen: Listen, start_ms: int) -> None:
    """`timeUnit=MICROSECOND` multiplies event times by a thousand."""
    async with Simulator([steady()]) as sim:
        base = sim.urls["binance_spot_ws_url"]
        url = f"{base}/stream?streams=btcusdt@aggTrade&timeUnit=MICROSECOND"
        async with listen(url) as reader:
            await sim.finished.wait()
            assert reader.messages[0]["data"]["T"] == start_ms * 1000


async def test_many_sockets_of_one_stream_get_the_same_bytes(steady: Make, listen: Listen) -> None:
    """Everyone receives every frame once, in order; encoded URLs and prefixes are accepted."""
    async with Simulator([steady(count=2000)], start_after=9) as sim:
        base = sim.urls["binance_spot_ws_url"]
        paths = (
            "/stream?streams=btcusdt%40aggTrade",
            "/stream.sim/stream?streams=btcusdt@aggTrade",
        )
        async with listen(base + paths[0]) as one, listen(base + paths[1]) as two:
            sim.start()
            await sim.finished.wait()
            assert one.texts == two.texts
            keys = [m["data"]["a"] for m in one.messages]
            assert keys == list(range(keys[0], keys[0] + 2000))
            assert sim.stats.trades["btcusdt@aggTrade"] == 4000
