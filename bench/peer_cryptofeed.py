"""cryptofeed's own feed with a counting callback, on one pinned core; prints one JSON line.

Runs in an environment of its own (cryptofeed 2.4.1 on Python 3.11) and imports nothing of ours.
"""

import asyncio
import json
import os
import resource
import ssl
import sys
import time
import urllib.request

from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance, Bybit

port, count, symbols = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
rest, warm = f"http://127.0.0.1:{sys.argv[4]}", int(sys.argv[5])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
venue = sys.argv[6] if len(sys.argv) > 6 else "binance"
if venue == "bybit":
    Feed = Bybit
    address, listing = f"wss://127.0.0.1:{port}/v5/public/linear", "/v5/market/instruments-info"
    symbols = [f"{symbol}-PERP" for symbol in symbols]
else:
    Feed = Binance
    address, listing = f"wss://127.0.0.1:{port}", "/api/v3/exchangeInfo"
Feed.websocket_endpoints = [WebsocketEndpoint(address, options={"ssl": context})]
routes = Routes([f"{listing}?category={kind}" for kind in ("linear", "spot")])
routes = routes if venue == "bybit" else Routes(listing)
Feed.rest_endpoints = [RestEndpoint(rest, routes=routes)]
state = {"n": 0, "began": 0.0, "cpu": 0.0}


async def on_trade(trade, receipt):
    state["n"] += 1
    if state["n"] == warm:
        urllib.request.urlopen(f"{rest}/go").close()  # noqa: ASYNC210
        state["began"], state["cpu"] = time.perf_counter(), time.process_time()


async def main():
    handler = FeedHandler(config={"log": {"disabled": True}, "uvloop": True})
    handler.add_feed(Feed(symbols=symbols, channels=[TRADES], callbacks={TRADES: on_trade}))
    loop = asyncio.get_running_loop()
    for feed in handler.feeds:
        feed.start(loop)
    while state["n"] < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    wall, cpu = time.perf_counter() - state["began"], time.process_time() - state["cpu"]
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"trades": count - warm, "wall_s": wall, "cpu_s": cpu, "rss_mb": rss}),
        flush=True,
    )
    os._exit(0)


os.sched_setaffinity(0, {0})
asyncio.run(main())
