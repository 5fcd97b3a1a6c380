"""cryptofeed's own feed with a counting callback, on one pinned core; prints one JSON line.

Runs in an environment of its own (cryptofeed 2.4.1 on Python 3.11) and imports nothing of ours.
"""

import asyncio
import os
import ssl
import sys

from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance, Bybit
from peer_clock import Clock

port, count, symbols = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
rest = f"http://127.0.0.1:{sys.argv[4]}"
clock = Clock(rest, int(sys.argv[5]), count)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
venue = sys.argv[6] if len(sys.argv) > 6 else "binance"
if venue == "bybit":
    Feed = Bybit
    address, listing = f"wss://127.0.0.1:{port}/v5/public/linear", "/v5/market/instruments-info"
    symbols = [f"{symbol}-PERP" for symbol in symbols]
    routes = Routes([f"{listing}?category={kind}" for kind in ("linear", "spot")])
else:
    Feed = Binance
    address, listing = f"wss://127.0.0.1:{port}", "/api/v3/exchangeInfo"
    routes = Routes(listing)
Feed.websocket_endpoints = [WebsocketEndpoint(address, options={"ssl": context})]
Feed.rest_endpoints = [RestEndpoint(rest, routes=routes)]


async def on_trade(trade, receipt):
    clock.trade()


async def main():
    handler = FeedHandler(config={"log": {"disabled": True}, "uvloop": True})
    handler.add_feed(Feed(symbols=symbols, channels=[TRADES], callbacks={TRADES: on_trade}))
    loop = asyncio.get_running_loop()
    for feed in handler.feeds:
        feed.start(loop)
    while not clock.over:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    clock.finish()


os.sched_setaffinity(0, {0})
asyncio.run(main())
