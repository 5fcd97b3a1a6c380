"""Binance's own USD-M futures SDK against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from simulator.service import Simulator
from simulator.tape import Tape

pytestmark = [
    pytest.mark.fidelity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
sdk = pytest.importorskip(
    "binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures"
)


async def test_the_futures_sdk_finds_its_routes_and_receives_every_aggregate(
    market: Tape, expected: Callable[..., list[Any]], until: Callable[..., Any]
) -> None:
    """It opens market, public and private at once; aggregates and candles come from market."""
    async with Simulator([market], start_after=1) as sim:
        client = sdk.DerivativesTradingUsdsFutures(
            config_rest_api=sdk.ConfigurationRestAPI(
                api_key="", base_path=sim.urls["binance_usdm_rest_url"]
            ),
            config_ws_streams=sdk.ConfigurationWebSocketStreams(
                stream_url=sim.urls["binance_usdm_ws_url"]
            ),
        )
        connection = await client.websocket_streams.create_connection()
        got: list[Any] = []
        candles: list[Any] = []
        try:
            stream = await connection.kline_candlestick_streams(symbol="btcusdt", interval="1m")
            stream.on("message", candles.append)
            stream = await connection.aggregate_trade_streams(symbol="btcusdt")
            stream.on("message", got.append)
            await asyncio.wait_for(sim.finished.wait(), 30)
            wanted = expected("binance:perp:BTCUSDT")
            await until(lambda: len(got) == len(wanted))
            assert [(str(e.a), Decimal(e.p), Decimal(e.q), not e.m) for e in got] == wanted
            assert {event.st for event in got} == {1}
            assert sum(bool(event.k.x) for event in candles) >= 2
            assert {session.route for session in sim.hosts[1].sessions} >= {"market"}
            first = int(wanted[0][0])
            answer = await asyncio.to_thread(
                client.rest_api.compressed_aggregate_trades_list,
                symbol="BTCUSDT",
                from_id=first,
                limit=3,
            )
            assert [row.a for row in answer.data()] == [first, first + 1, first + 2]
        finally:
            await connection.close_connection(close_session=True)
