"""What of a stream's time was observed, and which holes are known, open or lost. Pure."""

from __future__ import annotations

import msgspec

from orderflow.completeness import Gap
from orderflow.trade import EVERY_CONNECTION

NEVER = 2**62
CLOSE_AFTER_WATERMARK_MS = 2_000
CLOSE_AFTER_CLOCK_MS = 5_000
LAPSE_MS = 15_000
"""A connection behind another one by so much has died without a word."""
LAPSED, BEGAN_ANEW = "connection lapsed", "connection began anew"


class Coverage(msgspec.Struct):
    """Observation of one stream.

    `observed_from_ms`: everything since then was delivered, but for holes (None: nothing yet).
    `watermark_ms`: until then that is proven. `connections`: what each has delivered until now,
    `since`: from when on. A connection proves only what it said it delivered: time that another
    one began behind waits for one that was there before to go on, or is an outage once that one
    turns out to be dead. `lapsed` are those that were taken for dead.
    `outage`: delivery stopped here and what was missed is not yet proven to be nothing.
    `lost`: holes that will not be filled any more.
    """

    observed_from_ms: int | None = None
    watermark_ms: int = 0
    connections: dict[str, int] = {}
    outage: Gap | None = None
    lost: list[Gap] = []
    since: dict[str, int] = {}
    lapsed: list[str] = []

    @property
    def connected(self) -> bool:
        """True while at least one connection delivers this stream."""
        return bool(self.connections)

    def advance(self, connection: str, event_ms: int) -> bool:
        """All trades up to `event_ms` have been delivered by this connection; True when an outage
        has come to light."""
        if connection in self.lapsed:
            self.lapsed.remove(connection)
            self.connections[connection] = self.since[connection] = event_ms
        if connection not in self.connections:
            return False
        self.connections[connection] = max(event_ms, self.connections[connection])
        if self.observed_from_ms is None:
            self.observed_from_ms = event_ms
        if len(self.connections) == 1:
            self.watermark_ms = max(self.watermark_ms, event_ms)
            return False
        found = self._drop_dead(event_ms)
        self._follow()
        return found

    def _follow(self) -> None:
        """The watermark as far as one connection after the other proves it without a break; time
        before all of them is a declared outage."""
        begin = min(self.since.get(name, 0) for name in self.connections)
        proven, before = max(self.watermark_ms, begin), -1
        while proven > before:
            before = proven
            said = (m for name, m in self.connections.items() if self.since.get(name, 0) <= proven)
            proven = max(proven, *said)
        self.watermark_ms = proven

    def _drop_dead(self, event_ms: int) -> bool:
        """End the claims of connections that fell silent; what only they claimed is an outage."""
        dead = [name for name, said in self.connections.items() if event_ms - said > LAPSE_MS]
        for name in dead:
            del self.connections[name]
            self.lapsed.append(name)
        return bool(dead) and self._expose(LAPSED)

    def _expose(self, reason: str) -> bool:
        """True when time that only ended claims covered is an outage now: all that are left began
        behind it."""
        begin = min((self.since.get(name, 0) for name in self.connections), default=0)
        if self.observed_from_ms is None or begin <= self.watermark_ms:
            return False
        start = self.watermark_ms if self.outage is None else self.outage.start_ms
        self.outage = Gap(min(start, self.watermark_ms), begin, reason)
        return True

    def go_on(self, connections: dict[str, int], since: dict[str, int], lapsed: list[str]) -> None:
        """Claims as they were: everything they said meanwhile will be heard. A checkpoint of before
        says only who was there, not since when: long enough."""
        self.since = dict.fromkeys(connections, 0) | since
        self.connections, self.lapsed = connections, lapsed

    def over(self, end_ms: int, now_ms: int) -> bool:
        """True when what ended then need not wait for more: by what was delivered, or by clock."""
        delivered = self.watermark_ms >= end_ms + CLOSE_AFTER_WATERMARK_MS
        return delivered or now_ms >= end_ms + CLOSE_AFTER_CLOCK_MS

    def connect(self, connection: str, event_ms: int) -> None:
        """A connection began to deliver; an outage ends here, though it is not proven harmless."""
        if connection in self.connections:
            self.disconnect(connection, self.connections[connection], BEGAN_ANEW)
        if not self.connections and self.outage is not None:
            end = max(event_ms, self.outage.start_ms)
            self.outage = Gap(self.outage.start_ms, end, self.outage.reason)
        self.connections[connection] = self.since[connection] = event_ms
        self.lapsed = [name for name in self.lapsed if name != connection]

    def disconnect(self, connection: str, event_ms: int, reason: str) -> None:
        """A connection ended, or all whose names begin as `connection` does before its `*`;
        without another one an outage begins."""
        if connection.endswith(EVERY_CONNECTION):
            begin = connection.removesuffix(EVERY_CONNECTION)
            gone = [name for name in self.since if name.startswith(begin)]
        else:
            gone = [connection]
        for name in gone:
            self.connections.pop(name, None)
            self.since.pop(name, None)
        self.lapsed = [name for name in self.lapsed if name not in gone]
        self._expose(reason)
        if self.connections or self.observed_from_ms is None:
            return
        start = min(event_ms, self.watermark_ms) if event_ms else self.watermark_ms
        if self.outage is None:
            self.outage = Gap(start, NEVER, reason)
        elif self.outage.end_ms < NEVER:
            # One that is not settled yet goes on: its repair must reach beyond this hole too.
            self.outage = Gap(min(start, self.outage.start_ms), NEVER, self.outage.reason)

    def lose(self, gap: Gap) -> None:
        """A hole that stays."""
        self.lost.append(gap)

    def forget_before(self, event_ms: int) -> None:
        """Drop holes that ended before anything still kept."""
        self.lost = [gap for gap in self.lost if gap.end_ms >= event_ms]

    def covered_ms(self, start_ms: int, end_ms: int, holes: list[Gap]) -> int:
        """Observed milliseconds of [start, end): seen, not beyond the watermark, not in a hole."""
        if self.observed_from_ms is None:
            return 0
        start = max(start_ms, self.observed_from_ms)
        end = min(end_ms, self.watermark_ms)
        if end <= start:
            return 0
        covered, at = 0, start
        for gap in sorted(holes, key=lambda gap: gap.start_ms):
            covered += max(0, min(gap.start_ms, end) - at)
            at = max(at, min(gap.end_ms, end))
        return covered + max(0, end - at)


def touching(gaps: list[Gap], start_ms: int, end_ms: int) -> list[Gap]:
    """The holes that may have taken trades out of [start, end)."""
    return [gap for gap in gaps if gap.end_ms >= start_ms and gap.start_ms < end_ms]
