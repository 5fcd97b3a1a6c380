"""What the parts of a house apart tell about themselves: the topic `reports`.

A collector has no way into the database: its figures travel here, and the processor stores them.
A server shows the newest state of every part; one that fell silent is said to be unreported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from backbone.breaker import BreakerStatus
from backbone.bus.base import OLDEST, REPORTS, Bus
from backbone.clock import wall_ms
from backbone.live import FeedStatus

STATE_EVERY_S = 2.0
SILENT_MS = 10_000
UNREPORTED = "unreported"


class PartState(msgspec.Struct, tag="part_state", gc=False, frozen=True):
    """A part as it stood at `said_ms` (wall): connections, breakers, REST use by venue."""

    part: str
    said_ms: int
    feeds: list[FeedStatus] = []
    breakers: list[BreakerStatus] = []
    rest: dict[str, dict[str, int]] = {}


class PartMinute(msgspec.Struct, tag="part_minute", gc=False, frozen=True):
    """Figures of a part over about a minute from `start_ms` (wall); for `system_metrics`."""

    part: str
    start_ms: int
    end_ms: int
    body: dict[str, Any]


class PartStates:
    """The newest state of every part that told one."""

    def __init__(self, bus: Bus, name: str, wall: Callable[[], int] = wall_ms) -> None:
        self._bus = bus
        self._name = name
        self._wall = wall
        self._known: dict[str, PartState] = {}

    async def run(self) -> None:
        """Read the topic until the bus closes."""
        subscription = await self._bus.subscribe(REPORTS, self._name, OLDEST)
        while True:
            for delivery in await subscription.next():
                self.take(delivery.messages)
                await subscription.ack(delivery.position)

    def take(self, messages: Sequence[object]) -> None:
        """Remember states; everything else on the topic is for the processor."""
        for message in messages:
            if isinstance(message, PartState):
                self._known[message.part] = message

    def feeds(self) -> list[FeedStatus]:
        """Connections of every part; ages go on since they were told."""
        return [
            _aged(feed, self._age_ms(self._known[part]))
            for part in sorted(self._known)
            for feed in self._known[part].feeds
        ]

    def breakers(self) -> list[BreakerStatus]:
        """Of parts that still report: of the others nothing is known."""
        return [breaker for state in self._reporting() for breaker in state.breakers]

    def rest(self) -> dict[str, dict[str, int]]:
        """REST use by venue, of parts that still report."""
        return {venue: dict(n) for state in self._reporting() for venue, n in state.rest.items()}

    def _reporting(self) -> list[PartState]:
        known = (self._known[part] for part in sorted(self._known))
        return [state for state in known if self._age_ms(state) <= SILENT_MS]

    def _age_ms(self, state: PartState) -> int:
        return max(0, self._wall() - state.said_ms)


def _aged(feed: FeedStatus, age_ms: int) -> FeedStatus:
    frame_ms = feed.last_frame_age_ms
    return msgspec.structs.replace(
        feed,
        state=UNREPORTED if age_ms > SILENT_MS else feed.state,
        last_frame_age_ms=None if frame_ms is None else frame_ms + age_ms,
    )
