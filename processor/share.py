"""The share of the market that one processor owns: a partition, and the proof of it for the store.

Everything in one process is the share of all: one partition, no fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from backbone.bus.partition import Partition, partition_of
from backbone.store.base import Fence
from processor import floor

NAME = "processor"
WHOLE = Partition(0, 1)


def scope_of(partition: Partition) -> str:
    """What a store fences: a partition of this many."""
    return f"partitions-{partition.count}/{partition.number}"


class Share(NamedTuple):
    """A partition; `fence` where others may own it later; `life` names this life of the owner.

    Two lives never read the bus by one cursor, so that one who was cut off and comes back does not
    take it from its successor.
    """

    partition: Partition = WHOLE
    fence: Fence | None = None
    life: str = ""

    @property
    def cursor(self) -> str:
        """The name this life reads trades by."""
        return f"{NAME}-{self.partition.number}-{self.life}" if self.life else NAME

    @property
    def floor_name(self) -> str:
        """The checkpoint that says how far all checkpoints of this partition contain the bus."""
        part = self.partition
        return floor.NAME if part.count == 1 else f"{floor.NAME}-{part.number}-of-{part.count}"

    def owns(self, instrument: str) -> bool:
        """True for an instrument of this partition."""
        return partition_of(instrument, self.partition.count) == self.partition.number

    def wants(self, checkpoint: str) -> bool:
        """True for the checkpoint of an own instrument, and for the own floor."""
        if checkpoint.startswith(floor.NAME):
            return checkpoint == self.floor_name
        return self.owns(checkpoint)

    def own(self, messages: Sequence[object]) -> Sequence[object]:
        """Messages about several instruments, of which the own ones are left."""
        if self.partition.count == 1:
            return messages
        found: list[object] = []
        for message in messages:
            several: Any = getattr(message, "instruments", None)
            if several is None or not isinstance(message, msgspec.Struct):
                found.append(message)
            elif mine := [name for name in several if self.owns(name)]:
                found.append(msgspec.structs.replace(message, instruments=mine))
        return found
