"""The bus port: ordered topics between the services.

Contract (tests/contracts/test_bus.py): every subscriber of a topic receives every message
published after it subscribed, in publishing order; `publish` waits while a subscriber is full,
it never drops; what was not acknowledged is delivered again to a later subscription of that name
where the implementation outlives its process.

A reader that keeps the position of what it has made durable passes it as `after` and reads on
behind it; `Subscription.gapless` says whether the bus still had everything since.

Trades of one instrument that were published together may arrive as one batch.

A reader of a partition gets the messages of its instruments and those that are about several, in
the topic's order; positions are the topic's own, whoever reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from backbone.breaker import BreakerStatus
from backbone.bus.partition import Partition

TRADES = "trades"
CONTEXT = "context"
REPAIRS = "repairs"
UPDATES = "updates"
REPORTS = "reports"

FROM_ACK = 0
"""Read on behind what this name acknowledged; a new name begins with what is published now."""
OLDEST = -1
"""Read from the oldest message the bus still has."""


class Delivery(NamedTuple):
    """Messages published together, and their position on the topic (from 1, increasing)."""

    position: int
    messages: Sequence[object]


class Subscription(Protocol):
    """One reader of one topic.

    `epoch` names the life of the topic that positions count in: another epoch, other positions.
    """

    @property
    def epoch(self) -> str:
        """The life of this topic."""
        ...

    @property
    def gapless(self) -> bool:
        """True when nothing between `after` and the first delivery was lost or expired."""
        ...

    async def next(self) -> list[Delivery]:
        """Everything waiting, at least one delivery; BusError once closed and empty."""
        ...

    async def ack(self, position: int) -> None:
        """Everything up to this position is durable elsewhere and may be forgotten."""
        ...

    async def close(self) -> None:
        """Stop reading."""
        ...


class Bus(Protocol):
    """Topics by name."""

    @property
    def connected(self) -> bool:
        """False while nothing can be published or read; both wait meanwhile."""
        ...

    def breakers(self) -> list[BreakerStatus]:
        """What guards the way to the other processes; none within one."""
        ...

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Publish messages in order; waits while a subscriber's queue is full."""
        ...

    async def subscribe(
        self,
        topic: str,
        name: str,
        after: int = FROM_ACK,
        epoch: str = "",
        partition: Partition | None = None,
    ) -> Subscription:
        """Read a topic as `name`, from behind position `after` of that epoch where it still is;
        of a topic that is partitioned otherwise BusError."""
        ...

    async def close(self) -> None:
        """Close every topic; waiting readers get BusError."""
        ...
