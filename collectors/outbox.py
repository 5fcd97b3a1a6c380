"""Outbox: what a connection decoded and the bus has not taken yet, bounded per stream.

A full stream first slows the reader down (the socket then pushes back on the venue); only when
that does not help are its new trades dropped. A drop is never silent: it is counted, a stream with
consecutive ids shows the hole by itself, and for any other the outbox marks an interruption, so
that the processor asks for a repair either way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from orderflow.trade import Connected, Disconnect, TradeBatch

OVERFLOW = "buffer_overflow"
HIGH_SHARE = 0.8
RATE_SECONDS = 5
LARGEST = 50_000


class Outbox:
    """Events in order, waiting for the bus."""

    def __init__(self, capacity: int, connection: str, monotonic: Callable[[], float]) -> None:
        self.least = capacity
        self.connection = connection
        self.events: list[object] = []
        self.waiting: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.filled = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self._monotonic = monotonic
        self._counted: Counter[str] = Counter()
        self._since_s = monotonic()
        self._rates: dict[str, float] = {}

    def capacity(self, instrument: str) -> int:
        """Trades this stream may have waiting: some seconds of its measured rate."""
        measured = int(self._rates.get(instrument, 0.0) * RATE_SECONDS)
        return min(max(self.least, measured), LARGEST)

    def put(self, event: object) -> None:
        """Queue an event that is no trade."""
        self.events.append(event)
        self.filled.set()

    def put_trades(self, batch: TradeBatch, *, unordered: bool) -> None:
        """Queue trades, or drop them when their stream is full."""
        name = batch.instrument
        room = self.capacity(name) - self.waiting[name]
        self._counted[name] += len(batch)
        if len(batch) > room and self.waiting[name]:
            self.dropped[name] += len(batch)
            if unordered:
                at = batch.event_ms[0] if batch.event_ms else 0
                self.put(Disconnect([name], self.connection, at, OVERFLOW))
                self.put(Connected([name], self.connection, at))
            return
        self.waiting[name] += len(batch)
        if self.waiting[name] >= HIGH_SHARE * self.capacity(name):
            self.drained.clear()
        self.put(batch)

    async def take(self) -> list[object]:
        """Everything waiting, at least one event."""
        while not self.events:
            self.filled.clear()
            await self.filled.wait()
        events, self.events = self.events, []
        return events

    def taken(self, events: list[object]) -> None:
        """The bus has these: their streams have room again."""
        for event in events:
            if isinstance(event, TradeBatch):
                self.waiting[event.instrument] -= len(event)
        self.drained.set()
        self._measure()

    def _measure(self) -> None:
        now = self._monotonic()
        seconds = now - self._since_s
        if seconds >= 1:
            self._rates = {name: count / seconds for name, count in self._counted.items()}
            self._counted.clear()
            self._since_s = now

    async def pause(self, timeout_s: float) -> None:
        """Wait for room, but not for long: a socket left unread is lost sooner or later."""
        if not self.drained.is_set():
            try:
                await asyncio.wait_for(self.drained.wait(), timeout_s)
            except TimeoutError:
                return
