"""Trades at a rate, stamped with the time they are sent, and an account of them.

A pool of trades is drawn once and sent round and round with ids that go on, so that minutes at
100,000 a second need no more memory than seconds; where the pool begins again prices jump by what
they walked. The candle of a minute follows it within some milliseconds, to those who asked for
candles: a candle never written would be asked for over REST, which is none of what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable

from bench.stamps import Stamps
from bench.tape import BEFORE_FIRST_KEY, MINUTE_MS, Minute, drawn, noted, template
from simulator.wire.session import framed

POOL = 200_000
TICK_S = 0.0005
FEW, FEW_S = 20, 0.02
CANDLES_PER_TICK = 10
"""More at once would hold up the sender, and with it what it measures."""
Write = Callable[[bytes], None]


class Pace:
    """What is sent, to whom, and how much of it."""

    def __init__(self, count: int, rate: float, symbols: int, stamps: Stamps) -> None:
        self.rate, self.stamps = rate, stamps
        self._pool = [(trade, template(trade)) for trade in drawn(min(count, POOL), symbols)]
        self._at = 0
        self.keys = [BEFORE_FIRST_KEY] * symbols
        self.lots = [0] * symbols
        self.before: dict[int, list[int]] = {}
        """Lots sent before each minute, by its start."""
        self.writers: dict[int, Write] = {}
        self.candles_wanted: set[int] = set()
        self._minute: dict[int, Minute] = {}
        self._minute_ms = self._last_ms = 0
        self._candles: deque[tuple[int, str]] = deque()
        self.sent_s = 0.0
        self.heard: Callable[[list[int], int, int], None] | None = None
        """Told which symbols were written to, at what nanosecond and in what millisecond."""

    async def start(self) -> None:
        """A few trades of every symbol that was asked for, until all were: a collector asks for
        twenty at a time, and leaves a connection on which nothing comes."""
        while len(self.writers) < len(self.keys):
            self._send(FEW, max(time.time_ns() // 1_000_000, self._last_ms + 1))
            await asyncio.sleep(FEW_S)

    async def run(self, count: int, *, last: bool) -> None:
        """`rate` trades a second until `count` were sent."""
        gc.collect()
        gc.freeze()
        began, sent = time.monotonic(), 0
        while sent < count:
            due = min(count, int((time.monotonic() - began) * self.rate))
            now_ms = time.time_ns() // 1_000_000
            if due > sent and now_ms > self._last_ms:
                self._send(due - sent, now_ms)
                sent = due
            await asyncio.sleep(TICK_S)
        self.sent_s = time.monotonic() - began
        if last:
            self.stamps.total = sum(self.keys) - BEFORE_FIRST_KEY * len(self.keys)
            self.stamps.over_ns = time.monotonic_ns()

    def _send(self, number: int, now_ms: int) -> None:
        """The next trades, each to the connection that asked for its symbol."""
        self._last_ms = now_ms
        if now_ms >= self._minute_ms + MINUTE_MS:
            self._roll(now_ms)
        parts: dict[Write, list[str]] = {write: [] for write in self.writers.values()}
        for _ in range(min(CANDLES_PER_TICK, len(self._candles))):
            place, candle = self._candles.popleft()
            parts[self.writers[place]].append(framed(candle))
        pool, keys, lots, minute, writers = (
            *(self._pool, self.keys, self.lots, self._minute, self.writers),
        )
        places = []
        for _ in range(number):
            trade, text = pool[self._at]
            self._at = (self._at + 1) % len(pool)
            place = trade.place
            if place not in writers:
                continue
            key = keys[place] = keys[place] + 1
            lots[place] += trade.lots
            noted(minute, key, trade)
            parts[writers[place]].append(framed(text % (now_ms, key, key, key, now_ms)))
            places.append(place)
        whole = [(write, "".join(part).encode("latin-1")) for write, part in parts.items() if part]
        now_ns = time.monotonic_ns()
        self.stamps.put(now_ms, now_ns)
        for write, data in whole:
            write(data)
        if self.heard is not None:
            self.heard(places, now_ns, now_ms)

    def _roll(self, now_ms: int) -> None:
        """A new minute: the candles of the one before are due."""
        end_ms = self._minute_ms + MINUTE_MS
        for place, minute in self._minute.items():
            if place in self.candles_wanted:
                self._candles.append((place, minute.frame(place, end_ms)))
        self._minute.clear()
        self._minute_ms = now_ms // MINUTE_MS * MINUTE_MS
        self.before[self._minute_ms] = self.lots.copy()

    def figures(self) -> dict[str, object]:
        """What a recount has to find, by the place of a symbol."""
        trades = [key - BEFORE_FIRST_KEY for key in self.keys]
        return {"trades": trades, "lots": self.lots, "sent_s": self.sent_s}
