"""The bus port: ordered topics between the services.

Contract (tests/contracts/test_bus.py): every subscriber of a topic receives every message
published after it subscribed, in publishing order; `publish` waits while a subscriber is full,
it never drops; what was not acknowledged is delivered again to a later subscription of that name
where the implementation outlives its process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

TRADES = "trades"
CONTEXT = "context"
REPAIRS = "repairs"
UPDATES = "updates"


class Delivery(NamedTuple):
    """Messages published together, and their position on the topic (from 1, increasing)."""

    position: int
    messages: Sequence[object]


class Subscription(Protocol):
    """One reader of one topic."""

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

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Publish messages in order; waits while a subscriber's queue is full."""
        ...

    async def subscribe(self, topic: str, name: str, after: int = 0) -> Subscription:
        """Read a topic as `name`, from behind position `after` where the bus still has it."""
        ...

    async def close(self) -> None:
        """Close every topic; waiting readers get BusError."""
        ...
