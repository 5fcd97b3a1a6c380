"""What an earlier life published of a stream: revisions go on from there and never begin anew.

Bars are written before the checkpoint that contains them. A processor that is killed in between
goes on from an older checkpoint, whose revisions are behind those in the store, and the store
refuses a smaller revision for good. So before a stream publishes its first bar, what the store
holds of its hot minutes and windows is read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from backbone.clock import wall_ms
from backbone.store.base import FAR_FUTURE_MS, FOOTPRINTS, Query, Record, Store
from orderflow.content import bar_hash
from orderflow.encoding import bar_from_body
from orderflow.errors import StoreError
from orderflow.timeframe import HOUR_MS, TIMEFRAMES, floor_ms
from processor.engine import Engine
from processor.said import Said
from processor.stream import Stream

log = structlog.get_logger()
AT_A_TIME = 50
RETRY_MS = 1_000


class Told:
    """Reads what was published before, once for every stream."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._read: set[str] = set()
        self._again_ms = 0

    async def known(self, streams: Mapping[str, Stream], mono_ms: int) -> list[str]:
        """The streams that may publish: reads what is missing, some streams at a time."""
        if len(self._read) == len(streams):
            return list(streams)
        unread = [name for name, s in streams.items() if name not in self._read and _observed(s)]
        if unread and mono_ms >= self._again_ms:
            unread = unread[:AT_A_TIME]
            try:
                await asyncio.gather(*(self._recall(streams[name]) for name in unread))
                self._read.update(unread)
            except StoreError as error:
                self._again_ms = mono_ms + RETRY_MS
                log.warning("processor.told_unread", error=str(error))
        return [name for name, s in streams.items() if name in self._read or not _observed(s)]

    async def _recall(self, stream: Stream) -> None:
        since = _since(stream)
        for timeframe, length in TIMEFRAMES.items():
            query = Query(
                FOOTPRINTS,
                stream.instrument.name,
                timeframe,
                floor_ms(since, length),
                FAR_FUTURE_MS,
                wall_ms(),
            )
            for record in await self._store.query(query):
                await asyncio.sleep(0)
                if timeframe == "1m":
                    recall_minute(stream, record)
                else:
                    self._recall_window(record)

    def _recall_window(self, record: Record) -> None:
        key = (record.instrument, record.timeframe, record.start_ms)
        said = self._engine.said.get(key)
        if said is None or said.revision < record.revision:
            bar, quality = bar_from_body(record.body)
            content = bar_hash([record.instrument], record.timeframe, bar)
            self._engine.said[key] = Said(record.revision, content, quality)


def _observed(stream: Stream) -> bool:
    """A stream that observed nothing closes nothing."""
    return stream.coverage.observed_from_ms is not None


def _since(stream: Stream) -> int:
    """Nothing before this can be published any more; without a checkpoint, some time before."""
    if stream.evicted_before_ms:
        return stream.evicted_before_ms
    return min([stream.coverage.observed_from_ms or 0, *stream.minutes]) - HOUR_MS


def recall_minute(stream: Stream, record: Record) -> None:
    """A minute closed already takes the revision; one that is not yet, when it closes."""
    published = stream.published.get(record.start_ms)
    if published is None:
        bar, _ = bar_from_body(record.body)
        stream.earlier.note(record.instrument, bar, record.revision)
    elif published.quality.revision < record.revision:
        published.quality = msgspec.structs.replace(published.quality, revision=record.revision)
