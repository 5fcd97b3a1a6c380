"""When waiting trades are applied: before anybody looks, before a minute closes, or in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from processor.engine import Engine
from processor.waiting import Trades, Waiting

FEW = 256
"""So few trades are applied at every tick; more wait for each other, at most this long:"""
SETTLE_MS = 100
"""With a second's worth an answer at 10,000 trades/s came 470 ms late, with this 33 ms."""
TURN_S = 0.003
"""Work on one stream after another lets the event loop turn this often."""


class Settling:
    """What waits in front of an engine."""

    def __init__(
        self,
        engine: Engine,
        now_ms: Callable[[str], int],
        perf_s: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._perf_s = perf_s
        self._settled_ms = 0
        self._waiting = Waiting()
        self.queued = self._waiting.size

    def add(self, trades: Trades) -> None:
        """Let trades wait; those that have waited enough are applied."""
        self._engine.version += 1
        for batch in self._waiting.add(trades):
            self._engine.handle(batch)

    def names(self) -> list[str]:
        """Streams of which trades wait."""
        return [name for name in self._waiting.names() if name in self._engine.streams]

    def settle(self, instrument: str) -> None:
        """Apply what waits of one instrument, before it is looked at."""
        for batch in self._waiting.take(instrument):
            self._engine.handle(batch)

    def settle_all(self) -> None:
        """Apply everything that waits."""
        for batch in self._waiting.take_all():
            self._engine.handle(batch)

    async def settle_slowly(self) -> None:
        """Apply everything that waits, and let others run in between."""
        began = self._perf_s()
        while due := self._waiting.take_some():
            for batch in due:
                self._engine.handle(batch)
            if self._perf_s() - began > TURN_S:
                await asyncio.sleep(0)
                began = self._perf_s()

    async def tick(self, mono_ms: int) -> None:
        """Few trades cost little at once; many wait until a minute is over or for long enough."""
        few = len(self._waiting) <= FEW
        if few or mono_ms - self._settled_ms >= SETTLE_MS or self._wanted():
            await self.settle_slowly()
            self._settled_ms = mono_ms

    def _wanted(self) -> bool:
        """A stream whose trades wait closes a minute, or its first trade is among them."""
        for name in self.names():
            stream = self._engine.streams[name]
            if not stream.trade_since_connect or stream.closes(self._now_ms(name)):
                return True
        return False

    def before_time(self, instrument: str, now_ms: int) -> bool:
        """Apply what waits of a stream that closes a minute now; True when nothing waits of it."""
        if instrument not in self._waiting:
            return True
        if not self._engine.streams[instrument].closes(now_ms):
            return False
        self.settle(instrument)
        return True
