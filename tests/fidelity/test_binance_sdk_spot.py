"""Binance's own spot SDK against the simulator."""

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
sdk = pytest.importorskip("binance_sdk_spot.spot")


async def test_the_spot_sdk_receives_every_trade_and_aggregate(
    market: Tape, expected: Callable[..., list[Any]], until: Callable[..., Any]
) -> None:
    """Raw trades and aggregates equal the tape; REST parses and reports its weight."""
    async with Simulator([market], start_after=2) as sim:
        client = sdk.Spot(
            config_rest_api=sdk.ConfigurationRestAPI(
                api_key="", base_path=sim.urls["binance_spot_rest_url"]
            ),
            config_ws_streams=sdk.ConfigurationWebSocketStreams(
                stream_url=sim.urls["binance_spot_ws_url"]
            ),
        )
        connection = await client.websocket_streams.create_connection()
        got: dict[str, list[Any]] = {"trade": [], "agg": []}
        try:
            for name, subscribe in (
                ("trade", connection.trade),
                ("agg", connection.agg_trade),
            ):
                stream = await subscribe(symbol="btcusdt")
                stream.on("message", got[name].append)
            await asyncio.wait_for(sim.finished.wait(), 30)
            name = "binance:spot:BTCUSDT"
            wanted = {"trade": expected(name, raw=True), "agg": expected(name)}
            await until(lambda: all(len(got[kind]) == len(wanted[kind]) for kind in got))
            for kind, field in (("trade", "t"), ("agg", "a")):
                seen = [
                    (str(getattr(event, field)), Decimal(event.p), Decimal(event.q), not event.m)
                    for event in got[kind]
                ]
                assert seen == wanted[kind]
            first = int(wanted["agg"][0][0])
            answer = await asyncio.to_thread(
                client.rest_api.agg_trades, symbol="BTCUSDT", from_id=first, limit=3
            )
            assert [row.a for row in answer.data()] == [first, first + 1, first + 2]
            assert answer.rate_limits[0].count == 4
            listing = await asyncio.to_thread(client.rest_api.exchange_info)
            assert {item.symbol for item in listing.data().symbols} == {"BTCUSDT", "ETHUSDT"}
        finally:
            await connection.close_connection(close_session=True)
