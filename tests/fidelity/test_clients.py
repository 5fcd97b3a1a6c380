"""The exchanges' own client libraries connect to the simulator and receive the tape's trades."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sim_support import short_tapes

from simulator.service import Simulator
from simulator.tape import Tape

pytestmark = [
    pytest.mark.fidelity,
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore"),
]
SPEED = 20.0
ENOUGH = 20


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(short_tapes(), speed=SPEED, start_after=1) as running:
        yield running


def tape(simulator: Simulator, name: str) -> Tape:
    return next(t for t in simulator.tapes if t.listing.name == name)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(45):
        while not condition():  # noqa: ASYNC110 (callbacks of foreign threads)
            await asyncio.sleep(0.02)


def check_run(found: list[tuple[int, str, bool]], expected: list[tuple[int, str, bool]]) -> None:
    """A gapless part of the tape: same ids, prices and sides."""
    place = expected.index(found[0])
    assert found == expected[place : place + len(found)]


async def test_binance_spot_sdk(simulator: Simulator) -> None:
    """binance-sdk-spot: aggTrade and trade streams, and REST with weights."""
    from binance_sdk_spot.spot import ConfigurationRestAPI, ConfigurationWebSocketStreams, Spot

    client = Spot(
        config_rest_api=ConfigurationRestAPI(base_path=simulator.urls["binance_spot_rest_url"]),
        config_ws_streams=ConfigurationWebSocketStreams(
            stream_url=simulator.urls["binance_spot_ws_url"]
        ),
    )
    found: list[tuple[int, str, bool]] = []
    raw: list[int] = []
    connection = await client.websocket_streams.create_connection()
    stream = await connection.agg_trade(symbol="btcusdt")
    stream.on("message", lambda d: found.append((d.a, d.p, not d.m)))
    single = await connection.trade(symbol="btcusdt")
    single.on("message", lambda d: raw.append(d.t))
    await until(lambda: len(found) >= ENOUGH and len(raw) >= ENOUGH)
    prints = tape(simulator, "binance:spot:BTCUSDT").prints
    check_run(found, [(p.key, p.price, p.buy) for p in prints])
    assert raw == list(range(raw[0], raw[0] + len(raw)))
    answer = await asyncio.to_thread(
        client.rest_api.agg_trades, symbol="BTCUSDT", from_id=prints[0].key, limit=3
    )
    assert [row.a for row in answer.data()] == [p.key for p in prints[:3]]
    assert answer.rate_limits
    await connection.close_connection(close_session=True)


async def test_binance_futures_sdk(simulator: Simulator) -> None:
    """The futures SDK uses the /market route, where aggTrade lives."""
    from binance_sdk_derivatives_trading_usds_futures import (
        derivatives_trading_usds_futures as futures,
    )

    client = futures.DerivativesTradingUsdsFutures(
        config_rest_api=futures.ConfigurationRestAPI(
            api_key="", base_path=simulator.urls["binance_usdm_rest_url"]
        ),
        config_ws_streams=futures.ConfigurationWebSocketStreams(
            stream_url=simulator.urls["binance_usdm_ws_url"]
        ),
    )
    found: list[tuple[int, str, bool]] = []
    connection = await client.websocket_streams.create_connection()
    stream = await connection.aggregate_trade_streams(symbol="btcusdt")
    stream.on("message", lambda d: found.append((d.a, d.p, not d.m)))
    await until(lambda: len(found) >= ENOUGH)
    prints = tape(simulator, "binance:perp:BTCUSDT").prints
    check_run(found, [(p.key, p.price, p.buy) for p in prints])
    await connection.close_connection(close_session=True)


async def test_pybit(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """pybit: linear and spot topics, instruments and recent trades."""
    from pybit import unified_trading

    url = simulator.urls["bybit_ws_url"] + "/v5/public/{CHANNEL_TYPE}"
    monkeypatch.setattr(unified_trading, "PUBLIC_WSS", url)
    found: dict[str, list[tuple[str, str, str]]] = {"linear": [], "spot": []}
    guard = threading.Lock()

    def keep(category: str) -> Callable[[dict[str, Any]], None]:
        def on_message(message: dict[str, Any]) -> None:
            with guard:
                found[category] += [(d["i"], d["p"], d["S"]) for d in message["data"]]

        return on_message

    def connect() -> list[Any]:
        sockets = []
        for category in found:
            socket = unified_trading.WebSocket(testnet=False, channel_type=category)
            socket.trade_stream(symbol=["BTCUSDT"], callback=keep(category))
            sockets.append(socket)
        return sockets

    sockets = await asyncio.to_thread(connect)
    await until(lambda: all(len(trades) >= ENOUGH for trades in found.values()))
    for category, market in (("linear", "perp"), ("spot", "spot")):
        prints = tape(simulator, f"bybit:{market}:BTCUSDT").prints
        expected = [(p.tag, p.price, "Buy" if p.buy else "Sell") for p in prints]
        place = expected.index(found[category][0])
        assert found[category] == expected[place : place + len(found[category])]

    def ask() -> tuple[Any, Any]:
        http = unified_trading.HTTP()
        http.endpoint = simulator.urls["bybit_rest_url"]
        recent = http.get_public_trade_history(category="spot", symbol="BTCUSDT", limit=60)
        return recent, http.get_instruments_info(category="linear")

    recent, instruments = await asyncio.to_thread(ask)
    assert len(recent["result"]["list"]) <= 60
    assert instruments["result"]["list"][0]["priceFilter"]["tickSize"] == "0.01"
    await asyncio.to_thread(lambda: [socket.exit() for socket in sockets])


async def test_ccxt(simulator: Simulator) -> None:
    """ccxt.pro: markets, and trades of Binance futures aggregates and Bybit."""
    import ccxt.pro as pro

    rest = simulator.urls["bybit_rest_url"]
    exchange = pro.bybit({"options": {"fetchMarkets": {"types": ["spot", "linear"]}}})
    exchange.urls["api"] = {
        key: value.replace("https://api.{hostname}", rest) if isinstance(value, str) else value
        for key, value in exchange.urls["api"].items()
    }
    host = simulator.urls["bybit_ws_url"]
    exchange.urls["api"]["ws"] = _replaced(
        exchange.urls["api"]["ws"], "wss://stream.{hostname}", host
    )
    try:
        await exchange.load_markets()
        trades = await asyncio.wait_for(exchange.watch_trades("BTC/USDT:USDT"), 30)
    finally:
        await exchange.close()
    prints = {p.tag: p for p in tape(simulator, "bybit:perp:BTCUSDT").prints}
    assert trades
    for trade in trades:
        assert trade["price"] == float(prints[trade["id"]].price)
        assert trade["side"] == ("buy" if prints[trade["id"]].buy else "sell")


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    return value.replace(old, new) if isinstance(value, str) else value
