"""The derivative feeds of one venue: as many connections as its perpetuals need, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from collectors.derivative_feed import POLL_S, DerivativeFeed
from collectors.reading import shards
from collectors.rest import RestClient
from orderflow.instrument import Instrument

SYMBOLS_PER_FEED = 100
OPEN_INTEREST_SHARE = 0.1
"""Part of the REST budget that questions for open interest may use."""
Spawn = Callable[[str, Callable[[], Coroutine[None, None, None]]], asyncio.Task[None]]


class DerivativeFeeds:
    """Follows a list of perpetuals. `make` opens nothing yet; `spawn` runs a part for ever."""

    def __init__(
        self,
        make: Callable[[Sequence[Instrument]], DerivativeFeed],
        rest: RestClient,
        weight_per_minute: int,
        spawn: Spawn,
    ) -> None:
        self.feeds: list[DerivativeFeed] = []
        self._make = make
        self._rest = rest
        self._weight_per_minute = weight_per_minute
        self._spawn = spawn
        self._tasks: dict[DerivativeFeed, list[asyncio.Task[None]]] = {}
        self._opened = 0

    def follow(self, instruments: Sequence[Instrument]) -> None:
        """Deliver exactly these: a feed that has others than before connects anew."""
        wanted = {item.symbol: item for item in instruments}
        parts = []
        for feed in self.feeds:
            kept = [wanted.pop(symbol) for symbol in feed.instruments if symbol in wanted]
            parts.append((feed, kept))
        fresh = list(wanted.values())
        for feed, kept in parts:
            room = SYMBOLS_PER_FEED - len(kept)
            kept, fresh = [*kept, *fresh[:room]], fresh[room:]
            if not kept:
                self._stop(feed)
            elif {item.symbol for item in kept} != feed.instruments.keys():
                feed.change(kept)
        for part in shards(fresh, SYMBOLS_PER_FEED):
            self._open(part)

    def pace_s(self) -> float:
        """Seconds between two rounds of questions for open interest, within the share."""
        count = sum(len(feed.instruments) for feed in self.feeds)
        return max(POLL_S, count * 60 / (OPEN_INTEREST_SHARE * self._weight_per_minute))

    def _open(self, part: Sequence[Instrument]) -> None:
        feed = self._make(part)
        self._opened += 1
        self.feeds.append(feed)
        self._tasks[feed] = [
            self._spawn(f"derivatives {self._opened}", feed.run),
            self._spawn(
                f"open interest {self._opened}", partial(feed.poll, self._rest, self.pace_s)
            ),
        ]

    def _stop(self, feed: DerivativeFeed) -> None:
        self.feeds.remove(feed)
        for task in self._tasks.pop(feed):
            task.cancel()
