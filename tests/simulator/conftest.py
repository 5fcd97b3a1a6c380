"""Small tapes, a plain WebSocket reader and the shared recordings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulator.tape import Tape
from simulator.tapes.build import Part, Steps, TrackBuilder

WAIT_S = 90.0
START_MS = 1_700_000_040_000
"""A whole minute."""


Trade = tuple[int, str, str, bool]


@pytest.fixture
def make_tape() -> Callable[..., Tape]:
    """A tape of raw trades `(ms after START_MS, price, qty, taker buys)`; ids count from 101."""

    def make(name: str, trades: Iterable[Trade], **columns: Any) -> Tape:
        trades = list(trades)
        steps = Steps(columns.pop("tick_size", None), columns.pop("lot_size", None))
        builder = TrackBuilder(name, steps)
        linear = name.startswith("bybit:perp")
        builder.add(
            Part(
                event_ms=[START_MS + trade[0] for trade in trades],
                price=[trade[1] for trade in trades],
                qty=[trade[2] for trade in trades],
                buyer=[trade[3] for trade in trades],
                key=[(1 if linear else 101) + place for place in range(len(trades))],
                **columns,
            )
        )
        return Tape((builder.build(),), "made by a test")

    return make


@pytest.fixture
def steady(make_tape: Callable[..., Tape]) -> Callable[..., Tape]:
    """A tape of `count` trades, one every `step_ms`, alternating sides and prices."""

    def make(name: str = "binance:spot:BTCUSDT", count: int = 50, step_ms: int = 100) -> Tape:
        return make_tape(
            name,
            [
                (n * step_ms, f"{100 + n % 7}.5{n % 10}", f"0.{1 + n % 9}01", n % 3 == 0)
                for n in range(count)
            ],
        )

    return make


class Reader:
    """What a connection received, decoded; `texts` are the frames as sent."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.texts: list[str] = []
        self.messages: list[Any] = []
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        try:
            async for text in self.connection:
                assert isinstance(text, str)
                self.texts.append(text)
                try:
                    self.messages.append(json.loads(text))
                except json.JSONDecodeError:
                    self.messages.append(None)
                self.changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()
            self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def ask(self, message: Any) -> Any:
        """Send a message and return the next frame."""
        place = len(self.messages)
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))
        await self.until(lambda: len(self.messages) > place)
        return self.messages[place]

    def events(self, kind: str) -> list[Any]:
        """Binance events or Bybit topics of a kind, without envelope."""
        found = []
        for message in self.messages:
            body = message.get("data", message) if isinstance(message, dict) else {}
            if isinstance(body, dict) and body.get("e") == kind:
                found.append(body)
            elif isinstance(body, list) and str(message.get("topic", "")).startswith(kind):
                found += body
        return found


@pytest.fixture
def listen() -> Callable[..., Any]:
    """A connection that collects what it receives; keywords go to `websockets.connect`."""

    @asynccontextmanager
    async def run(url: str, first: Any = None, **options: Any) -> AsyncIterator[Reader]:
        options = {"compression": None, "close_timeout": 0.3, "max_queue": None} | options
        async with connect(url, **options) as connection:
            reader = Reader(connection)
            task = asyncio.create_task(reader.run())
            if first is not None:
                await connection.send(json.dumps(first))
            try:
                yield reader
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    return run


@pytest.fixture
def start_ms() -> int:
    """When small tapes begin."""
    return START_MS


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait, bounded, for a condition outside any connection."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            # The simulator offers no event for everything a test looks at.
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    return wait
