"""ccxt.pro against the simulator."""

from __future__ import annotations

import asyncio
import json
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
ccxt = pytest.importorskip("ccxt.pro")
BITS = {"newUpdates": True, "tradesLimit": 100_000}


def binance_of(urls: dict[str, str]) -> Any:
    """ccxt's Binance pointed at the simulator, by editing its URLs as its users do."""
    exchange = ccxt.binance(
        BITS
        | {"options": {"fetchCurrencies": False, "fetchMarkets": {"types": ["spot", "linear"]}}}
    )
    exchange.options["tradesLimit"] = BITS["tradesLimit"]
    hosts = {
        "https://api.binance.com": urls["binance_spot_rest_url"],
        "https://fapi.binance.com": urls["binance_usdm_rest_url"],
    }
    for name, url in exchange.urls["api"].items():
        for real, simulated in hosts.items():
            if isinstance(url, str) and url.startswith(real):
                exchange.urls["api"][name] = url.replace(real, simulated)
    exchange.urls["api"]["ws"]["spot"] = f"{urls['binance_spot_ws_url']}/stream.sim/ws"
    exchange.urls["api"]["ws"]["linear"] = f"{urls['binance_usdm_ws_url']}/ws"
    return exchange


def bybit_of(urls: dict[str, str]) -> Any:
    """ccxt's Bybit pointed at the simulator."""
    exchange = ccxt.bybit(BITS | {"options": {"fetchMarkets": {"types": ["spot", "linear"]}}})
    exchange.options["tradesLimit"] = BITS["tradesLimit"]
    exchange.urls["api"] = json.loads(
        json.dumps(exchange.urls["api"])
        .replace("https://api.{hostname}", urls["bybit_rest_url"])
        .replace("wss://stream.{hostname}", urls["bybit_ws_url"])
    )
    return exchange


async def _watch(exchange: Any, symbol: str, wanted: list[Any], params: dict[str, str]) -> None:
    """Collect until all came, and compare ids, prices, sizes and sides."""
    seen: dict[str, Any] = {}
    async with asyncio.timeout(30):
        while len(seen) < len(wanted):
            for trade in await exchange.watch_trades(symbol, params=params):
                seen[str(trade["id"])] = (
                    str(trade["id"]),
                    Decimal(str(trade["price"])),
                    Decimal(str(trade["amount"])),
                    trade["side"] == "buy",
                )
    assert sorted(seen.values()) == sorted(wanted)


async def test_ccxt_receives_binance_trades(
    market: Tape, expected: Callable[..., list[Any]]
) -> None:
    """Markets load from both listings; spot and futures, raw and aggregated, equal the tape."""
    async with Simulator([market], start_after=3) as sim:
        exchange = binance_of(sim.urls)
        try:
            await exchange.load_markets()
            assert {"BTC/USDT", "BTC/USDT:USDT", "ETH/USDT"} <= set(exchange.markets)
            assert exchange.markets["BTC/USDT"]["precision"]["price"] == 0.01
            perp, spot = "binance:perp:BTCUSDT", "binance:spot:BTCUSDT"
            aggregated = {"name": "aggTrade"}
            await asyncio.gather(
                _watch(exchange, "BTC/USDT", expected(spot, raw=True), {}),
                _watch(exchange, "BTC/USDT:USDT", expected(perp), aggregated),
                _watch(exchange, "ETH/USDT", expected("binance:spot:ETHUSDT"), aggregated),
            )
        finally:
            await exchange.close()


async def test_ccxt_receives_bybit_trades(market: Tape, expected: Callable[..., list[Any]]) -> None:
    """Spot and linear trades equal the tape."""
    async with Simulator([market], start_after=2) as sim:
        exchange = bybit_of(sim.urls)
        try:
            await exchange.load_markets()
            await asyncio.gather(
                _watch(exchange, "BTC/USDT", expected("bybit:spot:BTCUSDT"), {}),
                _watch(exchange, "BTC/USDT:USDT", expected("bybit:perp:BTCUSDT"), {}),
            )
        finally:
            await exchange.close()
