"""Partitions of a topic: every instrument belongs to one of them, the broker and we agree which.

The number is what nats-server computes for `partition(count,1,3)` on `<topic>.<venue>.<market>.
<symbol>`: FNV-1a with 32 bits over the bytes of venue and symbol without anything between them,
modulo the count. The markets of a symbol stay together, for events compare spot and perpetual.
Messages that concern no single instrument belong to every partition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orderflow.mixed import MixedTrades

UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
FNV_OFFSET, FNV_PRIME, MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
KNOWN_NAMES = 65_536
MARKS = 2
"""Colons in a canonical name."""
MOST_PARTITIONS = 1_024


@dataclass(frozen=True, slots=True)
class Partition:
    """Partition `number`, from 0, of `count`."""

    number: int
    count: int


def token(text: str) -> str:
    """A part of a subject: what a broker gives a meaning becomes an underscore."""
    return UNSAFE.sub("_", text) or "_"


def instrument_tokens(name: str) -> list[str]:
    """Venue, market and symbol of a canonical name, as they stand in a subject."""
    return [token(part) for part in name.split(":")]


@lru_cache(KNOWN_NAMES)
def _hash_of(name: str) -> int:
    found = FNV_OFFSET
    venue, *_, symbol = instrument_tokens(name)
    for byte in (venue + symbol).encode("ascii"):
        found = ((found ^ byte) * FNV_PRIME) & MASK
    return found


def partition_of(instrument: str | Sequence[str], count: int) -> int:
    """The partition, from 0, of a canonical name or of its venue, market and symbol."""
    name = instrument if isinstance(instrument, str) else ":".join(instrument)
    return _hash_of(name) % count


def instrument_name(message: object) -> str | None:
    """The one instrument that a message is about; None when it is about several or none."""
    name = getattr(message, "instrument", None)
    if name is None and hasattr(message, "symbol"):
        name = f"{getattr(message, 'venue')}:{getattr(message, 'market')}:{message.symbol}"  # noqa: B009
    return str(name) if name else None


def concerning(messages: Sequence[object], partition: Partition) -> list[object]:
    """What a reader of this partition gets, in order: its instruments' messages, and whole those
    that are about several."""
    return [message for message in unmixed(messages) if _concerns(message, partition)]


def unmixed(messages: Sequence[object]) -> Iterator[object]:
    """The same with a batch of each instrument in place of bursts of many."""
    for message in messages:
        if isinstance(message, MixedTrades):
            yield from message.batches()
        else:
            yield message


def _concerns(message: object, partition: Partition) -> bool:
    name = instrument_name(message)
    if name is None or name.count(":") != MARKS:
        return True
    return partition_of(name, partition.count) == partition.number
