"""What of a stream's time was observed, and which holes are known, open or lost. Pure."""

from __future__ import annotations

import msgspec

from orderflow.completeness import Gap
from orderflow.trade import EVERY_CONNECTION

NEVER = 2**62
CLOSE_AFTER_WATERMARK_MS = 2_000
CLOSE_AFTER_CLOCK_MS = 5_000


class Coverage(msgspec.Struct):
    """Observation of one stream.

    `observed_from_ms`: everything since then was delivered, but for holes (None: nothing yet).
    `outage`: delivery stopped here and what was missed is not yet proven to be nothing.
    `lost`: holes that will not be filled any more.
    """

    observed_from_ms: int | None = None
    watermark_ms: int = 0
    connections: dict[str, int] = {}
    outage: Gap | None = None
    lost: list[Gap] = []

    @property
    def connected(self) -> bool:
        """True while at least one connection delivers this stream."""
        return bool(self.connections)

    def advance(self, connection: str, event_ms: int) -> None:
        """All trades up to `event_ms` have been delivered by this connection."""
        if connection in self.connections:
            self.connections[connection] = max(event_ms, self.connections[connection])
            self.watermark_ms = max(self.watermark_ms, event_ms)
            if self.observed_from_ms is None:
                self.observed_from_ms = event_ms

    def over(self, end_ms: int, now_ms: int) -> bool:
        """True when what ended then need not wait for more: by what was delivered, or by clock."""
        delivered = self.watermark_ms >= end_ms + CLOSE_AFTER_WATERMARK_MS
        return delivered or now_ms >= end_ms + CLOSE_AFTER_CLOCK_MS

    def connect(self, connection: str, event_ms: int) -> None:
        """A connection began to deliver; an outage ends here, though it is not proven harmless."""
        if not self.connections and self.outage is not None:
            end = max(event_ms, self.outage.start_ms)
            self.outage = Gap(self.outage.start_ms, end, self.outage.reason)
        self.connections[connection] = 0

    def disconnect(self, connection: str, event_ms: int, reason: str) -> None:
        """A connection ended, or every one; without another one an outage begins."""
        if connection == EVERY_CONNECTION:
            self.connections = {}
        else:
            self.connections.pop(connection, None)
        if not self.connections and self.observed_from_ms is not None and self.outage is None:
            start = min(event_ms, self.watermark_ms) if event_ms else self.watermark_ms
            self.outage = Gap(start, NEVER, reason)

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
