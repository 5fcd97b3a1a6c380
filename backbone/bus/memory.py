"""MemoryBus: topics inside one process, bounded, never dropping."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence

from backbone.breaker import BreakerStatus
from backbone.bus.base import FROM_ACK, Delivery
from backbone.bus.partition import Partition, concerning
from orderflow.errors import BusError
from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch

CAPACITY = 50_000
"""Trades or messages a subscriber may have waiting before publishers wait for it."""


class MemorySubscription:
    """One reader's queue."""

    gapless = False

    def __init__(self, capacity: int, epoch: str, partition: Partition | None) -> None:
        self.capacity = capacity
        self.partition = partition
        self.epoch = epoch
        self.waiting: deque[Delivery] = deque()
        self.weight = 0
        self.closed = False
        self.filled = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def put(self, delivery: Delivery, weight: int) -> None:
        """Queue a delivery; the publisher has waited for room."""
        self.waiting.append(delivery)
        self.weight += weight
        self.filled.set()
        if self.weight >= self.capacity:
            self.room.clear()

    async def next(self) -> list[Delivery]:
        """Everything waiting, at least one delivery."""
        while not self.waiting:
            if self.closed:
                raise BusError("the bus is closed")
            self.filled.clear()
            await self.filled.wait()
        deliveries = list(self.waiting)
        self.waiting.clear()
        self.weight = 0
        self.room.set()
        return deliveries

    async def ack(self, position: int) -> None:
        """Nothing outlives this process, so there is nothing to forget."""

    async def close(self) -> None:
        """Stop reading; publishers no longer wait for this reader."""
        self.closed = True
        self.waiting.clear()
        self.filled.set()
        self.room.set()


class MemoryBus:
    """Implements the bus port for one event loop."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.readers: dict[str, list[MemorySubscription]] = {}
        self.positions: dict[str, int] = {}
        self.closed = False
        self.epoch = secrets.token_hex(8)

    @property
    def connected(self) -> bool:
        """True until it is closed."""
        return not self.closed

    def breakers(self) -> list[BreakerStatus]:
        """Nothing can fail between parts of one process."""
        return []

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Queue messages for every reader of the topic; waits while one is full."""
        if self.closed:
            raise BusError("the bus is closed")
        if not messages:
            return
        readers = self.readers.get(topic, [])
        for reader in readers:
            while not reader.room.is_set() and not reader.closed:
                await reader.room.wait()
        position = self.positions[topic] = self.positions.get(topic, 0) + 1
        weight = _weight(messages)
        for reader in readers:
            if reader.closed:
                continue
            if reader.partition is None:
                reader.put(Delivery(position, messages), weight)
            elif mine := concerning(messages, reader.partition):
                reader.put(Delivery(position, mine), _weight(mine))

    async def subscribe(
        self,
        topic: str,
        name: str,
        after: int = FROM_ACK,
        epoch: str = "",
        partition: Partition | None = None,
    ) -> MemorySubscription:
        """Read what is published from now on."""
        if self.closed:
            raise BusError("the bus is closed")
        reader = MemorySubscription(self.capacity, self.epoch, partition)
        readers = self.readers.setdefault(topic, [])
        readers[:] = [known for known in readers if not known.closed] + [reader]
        return reader

    async def close(self) -> None:
        """Close every topic."""
        self.closed = True
        for readers in self.readers.values():
            for reader in readers:
                reader.closed = True
                reader.filled.set()
                reader.room.set()


def _weight(messages: Sequence[object]) -> int:
    return sum(len(m) if isinstance(m, TradeBatch | MixedTrades) else 1 for m in messages)
