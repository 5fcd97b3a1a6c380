"""Feeds against the loopback venue, with both WebSocket libraries, and what the venue sends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from backbone.clock import VenueClock
from collectors.buffer import Buffer
from collectors.feed import Feed
from collectors.pacing import ConnectLimiter
from collectors.session import Link, Timers
from collectors.sockets import library
from collectors.venues import VENUES
from orderflow.instrument import Instrument
from orderflow.trade import TradeBatch

NOW = 1_700_000_000_000
FAST = Timers(
    first_data_s=0.3,
    stale_after_s=0.2,
    tick_s=0.02,
    pong_s=0.3,
    silent_s=30.0,
    ack_s=0.2,
    request_gap_s=0.0,
    pause_s=0.05,
    overlap_s=0.1,
    successor_s=1.0,
    first_delay_s=0.01,
    longest_delay_s=0.05,
)


@pytest.fixture(params=["websockets", "picows"])
def name_of_library(request: pytest.FixtureRequest) -> str:
    """Every test here runs with both libraries."""
    return str(request.param)


@pytest.fixture
async def start(bus: Any, sockets: Any, name_of_library: str) -> AsyncIterator[Callable[..., Feed]]:
    """Start a feed; it is stopped at the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def begin(instruments: list[Instrument], timers: Timers = FAST, capacity: int = 1_000) -> Feed:
        market = VENUES[instruments[0].venue][instruments[0].market]
        url = sockets.url + market.socket_path(instruments)
        clock = VenueClock()
        link = Link(market, url, library(name_of_library), timers, time.monotonic, clock)
        feed = Feed(
            link,
            "feed",
            instruments,
            {},
            lambda name: Buffer(bus, name, capacity, time.monotonic),
            ConnectLimiter(burst=1_000, per_window=1_000),
            lambda: 0.5,
        )
        tasks.append(asyncio.create_task(feed.run()))
        return feed

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def aggregate(key: int, event_ms: int = NOW) -> str:
    data = {"e": "aggTrade", "E": event_ms, "s": "BTCUSDT", "a": key, "p": "42000.01"}
    data |= {"q": "0.001", "f": key, "l": key, "T": event_ms, "m": True}
    return json.dumps({"stream": "btcusdt@aggTrade", "data": data})


def sends(*frames: str, then: Callable[[Any], Awaitable[None]] | None = None) -> Any:
    """A script: send frames, then do something else or stay."""

    async def script(connection: Any) -> None:
        for frame in frames:
            await connection.send(frame)
        if then is None:
            await connection.wait_closed()
        else:
            await then(connection)

    return script


async def hang_up(connection: Any) -> None:
    await connection.close()


def keys(trades: Any) -> list[int]:
    return [key for batch in trades.of(TradeBatch) for key in batch.key]
