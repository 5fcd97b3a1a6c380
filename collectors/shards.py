"""Which connection delivers what: the feeds of one venue in groups that deliver the same.

What is new joins a group that has room; a group that delivers nothing any more is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from collectors.feed import Feed
from collectors.listing import Listed
from collectors.reading import shards
from collectors.venue import VenueMarket
from orderflow.instrument import Instrument

GONE = ("delisted", "renamed")
DELISTED = "delisted"
Open = Callable[[VenueMarket, tuple[Instrument, ...], dict[str, int]], list[Feed]]


class Shards:
    """`open_group` makes and runs the feeds of a new group, `close` ends a feed."""

    def __init__(self, open_group: Open, close: Callable[[Feed], None]) -> None:
        self.feeds: list[Feed] = []
        self._groups: list[list[Feed]] = []
        self._open_group = open_group
        self._close = close

    def apply(self, market: VenueMarket, batch: Sequence[Listed]) -> None:
        """Tell feeds what changed; what is new joins one with room, or gets new ones."""
        served = {name for feed in self.feeds for name in feed.names}
        fresh: list[Instrument] = []
        for instrument, scale in batch:
            if instrument.name not in served and instrument.status == "trading":
                fresh.append(instrument)
            for feed in self.feeds:
                feed.redefine(instrument, scale)
        self.leave({item.name for item, _ in batch if item.status in GONE}, DELISTED)
        scales = {listed.instrument.name: listed.scale for listed in batch}
        size = market.symbols_per_connection
        for group in self._groups:
            if fresh and group[0].link.market is market:
                room = size - len(group[0].instruments)
                for feed in group if room else ():
                    feed.join(fresh[:room], scales)
                fresh = fresh[room:]
        for part in shards(fresh, size):
            group = self._open_group(market, part, scales)
            self._groups.append(group)
            self.feeds += group

    def leave(self, names: Set[str], reason: str) -> None:
        """Deliver these no longer; a connection that delivers nothing is closed."""
        for group in list(self._groups) if names else ():
            for feed in group:
                feed.leave(names, reason)
            if not group[0].instruments:
                self._groups.remove(group)
                for feed in group:
                    self.feeds.remove(feed)
                    self._close(feed)
