"""A whole server as a process of its own, for attacks: `python served.py FOLDER [SETTING=VALUE …]`.

The short tapes are played to their end first, so what it holds does not grow by itself. It prints
one JSON line {port, keys} and serves until its input ends; then it prints {statuses}: how
often it answered what, counted around the whole application.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from journeys_support import journey
from sim_support import short_tapes
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.keys.book import KeyBook, Terms
from backbone.telemetry import configure_logs

ROWS = "BTCUSDT=0.05,ETHUSDT=0.05"
PER_MINUTE = 100_000_000
KEYS = 8


class Counted:
    """The application, and what it answered to each path's first part."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.statuses: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Data of a tape are old: /health and /readyz say so, which is no failure.
                first = scope["path"].lstrip("/").partition("/")[0]
                told = first if first in {"health", "readyz"} else "other"
                self.statuses[f"{told} {message['status']}"] += 1
            await send(message)

        await self.app(scope, receive, counting)


async def main(folder: Path, settings: dict[str, Any]) -> None:
    """Serve until the input ends."""
    configure_logs("info")
    async with journey(folder, short_tapes(), row_sizes=ROWS, keys="required", **settings) as trip:
        await trip.until_played()
        server: Any = trip.system.server
        app = server.config.loaded_app
        counted = server.config.loaded_app = Counted(app)
        book = KeyBook(trip.system.store, "attack")
        cost = trip.system.settings.key_cost
        terms = Terms(per_minute=PER_MINUTE)
        keys = [(await book.create("attack", cost, terms))[0].text for _ in range(KEYS)]
        await server.config.app.state.access.ring.refresh()
        print(json.dumps({"port": trip.system.port, "keys": keys}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"statuses": counted.statuses}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), dict(word.split("=", 1) for word in sys.argv[2:])))
