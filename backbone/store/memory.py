"""MemoryStore: the store port in plain dictionaries, for tests and short runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from backbone.store.base import (
    APPEND_ONLY,
    COLLECTIONS,
    Fence,
    Key,
    Query,
    Readable,
    Record,
    Wanted,
    always,
    key_of,
    layout_of,
    refused,
)
from backbone.store.frame import framed, unframed
from orderflow.errors import StoreError


class MemoryStore:
    """Implements the store port."""

    def __init__(self) -> None:
        self.source: str | None = None
        self.records: dict[str, dict[Key, Record]] = {name: {} for name in COLLECTIONS}
        self.checkpoints: dict[str, list[bytes]] = {}
        self.epochs: dict[str, int] = {}

    async def open(self, source: str) -> None:
        """Remember the source of the first opening; refuse another."""
        if self.source not in (None, source):
            raise StoreError(f"this store holds {self.source} data, not {source}")
        self.source = source

    async def take(self, scope: str) -> Fence:
        """Count the scope's epochs."""
        family, layout = layout_of(scope)
        for other in self.epochs:
            if other.startswith(family) and not other.startswith(layout):
                self.epochs[other] += 1
        self.epochs[scope] = self.epochs.get(scope, 0) + 1
        return Fence(scope, self.epochs[scope])

    def _check(self, fence: Fence | None) -> None:
        if fence is not None and self.epochs.get(fence.scope) != fence.epoch:
            raise refused(fence)

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """All or nothing: bodies are encoded before anything changes."""
        for record in records:
            encode_body(record)
        self._check(fence)
        for record in records:
            table = self.records[record.collection]
            key = key_of(record)
            known = table.get(key)
            if known is not None and record.collection in APPEND_ONLY:
                continue
            if known is None or _order(record) >= _order(known):
                table[key] = record

    async def query(self, query: Query) -> list[Record]:
        """Records of a series, oldest first, the newest revision of each start."""
        newest: dict[int, Record] = {}
        for record in self.records[query.collection].values():
            if (
                record.instrument == query.instrument
                and record.timeframe == query.timeframe
                and query.start_ms <= record.start_ms < query.end_ms
                and record.expires_at_ms > query.now_ms
                and (query.as_of_ms is None or record.published_at_ms <= query.as_of_ms)
            ):
                known = newest.get(record.start_ms)
                if known is None or _order(record) > _order(known):
                    newest[record.start_ms] = record
        return [newest[start] for start in sorted(newest)][-query.limit :]

    async def scan(self, collection: str, after: Key | None, limit: int) -> list[Record]:
        """Up to `limit` records behind a key, in key order, every revision."""
        table = self.records[collection]
        keys = sorted(key for key in table if after is None or key > after)
        return [table[key] for key in keys[:limit]]

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        """Keep two generations."""
        self._check(fence)
        for name, blob in checkpoints.items():
            self.checkpoints[name] = [framed(blob), *self.checkpoints.get(name, [])][:2]

    async def load_checkpoints(
        self, readable: Readable = always, wanted: Wanted = always
    ) -> dict[str, bytes]:
        """The newest good and readable generation of each."""
        found: dict[str, bytes] = {}
        for name, generations in self.checkpoints.items():
            if not wanted(name):
                continue
            for data in generations:
                if (blob := unframed(data)) is not None and readable(blob):
                    found[name] = blob
                    break
        return found

    async def sweep(self, now_ms: int) -> int:
        """Delete expired records."""
        count = 0
        for table in self.records.values():
            expired = [key for key, record in table.items() if record.expires_at_ms <= now_ms]
            count += len(expired)
            for key in expired:
                del table[key]
        return count

    async def sizes(self) -> dict[str, int]:
        """Encoded bytes per collection."""
        sizes = {
            name: sum(len(encode_body(record)) + 48 for record in table.values())
            for name, table in self.records.items()
        }
        sizes["checkpoints"] = sum(len(d) for g in self.checkpoints.values() for d in g)
        return sizes

    async def close(self) -> None:
        """Nothing to release."""


def encode_body(record: Record) -> bytes:
    """The body in MessagePack; StoreError when it is no plain data of at most 64-bit integers."""
    try:
        return msgspec.msgpack.encode(record.body)
    except (OverflowError, TypeError, ValueError) as error:
        raise StoreError(f"{record.collection} body can't be stored: {error}") from error


def _order(record: Record) -> tuple[int, int, int]:
    return record.revision, record.applied_through_ms, record.published_at_ms
