"""ccxt.pro's own feed, its trades counted, on one pinned core; prints one JSON line.

Runs in an environment of its own and imports nothing of ours. The reader awaits what ccxt hands
out, as its users do; every trade is counted where ccxt has parsed it.
"""

import asyncio
import os
import ssl
import sys

import ccxt.pro
from peer_clock import Clock

port, count, symbols = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
clock = Clock(f"http://127.0.0.1:{sys.argv[4]}", int(sys.argv[5]), count)


class Counting(ccxt.pro.binance):
    """Binance that counts its trades."""

    def handle_trade(self, client, message):
        super().handle_trade(client, message)
        clock.trade()


def market(exchange, symbol):
    """A spot market as ccxt keeps it."""
    base = symbol.removesuffix("/USDT")
    return exchange.safe_market_structure(
        {
            "id": f"{base}USDT",
            "lowercaseId": f"{base}usdt".lower(),
            "symbol": symbol,
            "base": base,
            "quote": "USDT",
            "baseId": base,
            "quoteId": "USDT",
            "type": "spot",
            "spot": True,
            "active": True,
            "contract": False,
            "precision": {"amount": 0.001, "price": 0.01},
        }
    )


async def main():
    exchange = Counting({"newUpdates": True})
    exchange.ssl_context = ssl.create_default_context()
    exchange.ssl_context.check_hostname = False
    exchange.ssl_context.verify_mode = ssl.CERT_NONE
    exchange.set_markets([market(exchange, symbol) for symbol in symbols])
    exchange.urls["api"]["ws"]["spot"] = f"wss://127.0.0.1:{port}/stream"

    async def watch():
        while True:
            await exchange.watch_trades_for_symbols(symbols, params={"name": "aggTrade"})

    watching = asyncio.create_task(watch())
    while not clock.over and not watching.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    if watching.done():
        watching.result()
    clock.finish()


os.sched_setaffinity(0, {0})
asyncio.run(main())
