"""What a topic is on JetStream: one stream, how long it keeps what, and how it is partitioned.

The broker decides the partition: the stream stores `trades.<venue>.<market>.<symbol>` as
`p-trades.<count>.<number>.<venue>.<market>.<symbol>`, and everything that is about several
instruments, whose subject has fewer tokens, as it came. A reader of a partition filters by both.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

import structlog
from nats.js import JetStreamContext
from nats.js.api import (
    ConsumerInfo,
    DiscardPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from backbone.bus.base import CONTEXT, REPAIRS, REPORTS, TRADES, UPDATES
from backbone.bus.partition import MOST_PARTITIONS, Partition
from backbone.clock import wall_ms
from orderflow.errors import BusError, ConfigError

log = structlog.get_logger()
KEPT_S = {TRADES: 600.0, CONTEXT: 600.0, REPAIRS: 120.0, UPDATES: 120.0, REPORTS: 600.0}
"""How long a topic keeps what was published; raw trades never longer than ten minutes."""
OTHERS_KEPT_S = 60.0
MOST_BYTES = {TRADES: 2**30, UPDATES: 2**27, REPORTS: 2**24}
PASSING = frozenset({UPDATES, REPORTS})
"""Kept in memory; a full one forgets its oldest packets instead of making publishers wait."""
OTHERS_MOST_BYTES = 2**26
DUPLICATES_S = 60.0
PARTITIONED = frozenset({TRADES, CONTEXT})
AT_WORK_MS = 3_000
"""A cursor that was given something so lately, or that waits for it, has a reader."""
LEAVING_LOOKS, LOOK_S = 20, 0.5
"""Readers that were stopped a moment ago are seen to be gone after this many looks."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many partitions the topics of instruments have, and how many brokers keep each topic."""

    partitions: int = 1
    replicas: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= MOST_PARTITIONS:
            raise ConfigError(f"WADM_PARTITIONS must be 1 to {MOST_PARTITIONS}")
        if self.replicas not in (1, 3):
            raise ConfigError("WADM_NATS_REPLICAS must be 1 or 3")


def topic_config(topic: str, shape: Shape | None = None) -> StreamConfig:
    """The stream of a topic: when it forgets, and that a full one makes publishers wait."""
    shape = shape or Shape()
    return StreamConfig(
        name=topic.upper(),
        subjects=[f"{topic}.>"],
        max_age=KEPT_S.get(topic, OTHERS_KEPT_S),
        max_bytes=MOST_BYTES.get(topic, OTHERS_MOST_BYTES),
        discard=DiscardPolicy.OLD if topic in PASSING else DiscardPolicy.NEW,
        storage=StorageType.MEMORY if topic in PASSING else StorageType.FILE,
        duplicate_window=DUPLICATES_S,
        num_replicas=shape.replicas,
        subject_transform=_transform(topic, shape.partitions),
    )


def _transform(topic: str, count: int) -> SubjectTransform | None:
    if topic not in PARTITIONED or count == 1:
        return None
    parts = f"{{{{partition({count},1,3)}}}}"
    rest = ".".join(f"{{{{wildcard({number})}}}}" for number in (1, 2, 3))
    return SubjectTransform(src=f"{topic}.*.*.*", dest=f"p-{topic}.{count}.{parts}.{rest}")


def partitions_of(config: StreamConfig) -> int:
    """How many partitions a stream has."""
    transform = config.subject_transform
    return 1 if transform is None else int(transform.dest.split(".")[1])


def filters_of(topic: str, partition: Partition | None, config: StreamConfig) -> list[str] | None:
    """What a cursor filters by; BusError when the topic has another number of partitions."""
    if partition is None:
        return None
    count = partitions_of(config)
    if partition.count != count:
        raise BusError(
            f"{topic} has {count} partitions and this reader is of {partition.count}: "
            "WADM_PARTITIONS must be the same everywhere"
        )
    if count == 1:
        return None
    return [f"p-{topic}.{count}.{partition.number}.>", f"{topic}.>"]


async def found_or_made(
    js: JetStreamContext, topic: str, shape: Shape, *, may_make: bool, may_change: bool
) -> StreamInfo:
    """The stream; its owner makes it where there is none, and brings it up to date at its start:
    whoever has been at work when it changed leaves it as it is."""
    try:
        info = await js.stream_info(topic.upper())
    except NotFoundError:
        if not may_make:
            raise
        return await js.add_stream(topic_config(topic, shape))
    if not (may_make and may_change):
        return info
    wanted = topic_config(topic, shape)
    if partitions_of(info.config) != partitions_of(wanted):
        return await _made_anew(js, info, wanted)
    if (info.config.max_age, info.config.num_replicas) != (wanted.max_age, wanted.num_replicas):
        return await js.update_stream(wanted)
    return info


async def _made_anew(js: JetStreamContext, info: StreamInfo, wanted: StreamConfig) -> StreamInfo:
    """Another number of partitions is another life of the topic.

    What the old one held lies under numbers that nobody reads any more; in a new epoch readers
    know that they missed it and have it repaired. Never under a reader that is at work.
    """
    name, count = str(wanted.name), partitions_of(info.config)
    for look in range(LEAVING_LOOKS):
        busy = [cursor.name for cursor in await js.consumers_info(name) if _is_at_work(cursor)]
        if not busy:
            break
        if look + 1 == LEAVING_LOOKS:
            raise BusError(
                f"{name} has {count} partitions and {', '.join(sorted(busy))} read it: stop every "
                f"processor before WADM_PARTITIONS changes, or set it to {count}"
            )
        await asyncio.sleep(LOOK_S)
    log.warning("bus.repartitioned", topic=name, before=count, now=partitions_of(wanted))
    await js.delete_stream(name)
    return await js.add_stream(wanted)


def _is_at_work(cursor: ConsumerInfo) -> bool:
    delivered = cursor.delivered.last_active if cursor.delivered is not None else None
    if cursor.num_waiting:
        return True
    if delivered is None:
        return False
    age = dt.datetime.fromtimestamp(wall_ms() / 1_000, dt.UTC) - delivered
    return age < dt.timedelta(milliseconds=AT_WORK_MS)
