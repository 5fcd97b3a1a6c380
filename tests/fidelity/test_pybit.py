"""Bybit's own Python client against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape

pytestmark = [
    pytest.mark.fidelity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
unified = pytest.importorskip("pybit.unified_trading")


async def test_pybit_receives_every_trade_of_both_categories(
    market: Tape,
    expected: Callable[..., list[Any]],
    until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids, prices, sizes and sides on linear and spot equal the tape; REST parses."""
    got: dict[str, list[Any]] = {"linear": [], "spot": []}
    # pybit notes a request only after it was sent, so no answer may come at once.
    limits = Limits(answer_delay_s=0.05)
    async with Simulator([market], start_after=4, limits=limits) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/{{CHANNEL_TYPE}}"
        monkeypatch.setattr(unified, "PUBLIC_WSS", url)

        def take(category: str) -> Callable[[dict[str, Any]], None]:
            return lambda message: got[category].extend(message["data"])

        def connect() -> list[Any]:
            sockets = []
            for category in got:
                socket = unified.WebSocket(testnet=False, channel_type=category)
                socket.trade_stream(symbol=["BTCUSDT", "ETHUSDT"], callback=take(category))
                sockets.append(socket)
            return sockets

        sockets = await asyncio.to_thread(connect)
        try:
            await asyncio.wait_for(sim.finished.wait(), 30)
            wanted = {
                category: expected(f"bybit:{kind}:BTCUSDT") + expected(f"bybit:{kind}:ETHUSDT")
                for category, kind in (("linear", "perp"), ("spot", "spot"))
            }
            await until(lambda: all(len(got[c]) == len(wanted[c]) for c in got))
            for category, fills in got.items():
                seen = [(f["i"], Decimal(f["p"]), Decimal(f["v"]), f["S"] == "Buy") for f in fills]
                assert sorted(seen) == sorted(wanted[category])

            def ask() -> list[Any]:
                client = unified.HTTP()
                client.endpoint = sim.urls["bybit_rest_url"]
                return [
                    client.get_server_time()["result"]["timeSecond"],
                    client.get_public_trade_history(category="spot", symbol="BTCUSDT", limit=60),
                    client.get_instruments_info(category="linear")["result"]["list"],
                    client.get_kline(category="linear", symbol="BTCUSDT", interval="1"),
                ]

            seconds, history, listed, candles = await asyncio.to_thread(ask)
            assert int(seconds) * 1000 >= market.tracks[0].end_ms - 1000
            assert len(history["result"]["list"]) == 60
            assert {item["symbol"] for item in listed} == {"BTCUSDT", "ETHUSDT"}
            assert len(candles["result"]["list"]) >= 2
        finally:
            await asyncio.to_thread(lambda: [socket.exit() for socket in sockets])
