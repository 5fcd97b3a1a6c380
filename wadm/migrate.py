"""From one store to another: every record with every revision, every checkpoint, then a proof.

Nothing is deleted in the source. Copying twice is harmless, so a copy that was interrupted is
simply started again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec

from backbone.store.base import COLLECTIONS, Key, Record, Store, key_of
from orderflow.errors import StoreError

PAGE = 500
Progress = Callable[[str, int], None]
"""Told (collection, records so far) after every page."""


@dataclass(slots=True)
class Sum:
    """Count and hash of a collection's records in key order."""

    count: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, record: Record) -> None:
        """The next record."""
        self.count += 1
        self.hash.update(msgspec.msgpack.encode(record, order="deterministic"))


async def pages(store: Store, collection: str) -> AsyncIterator[list[Record]]:
    """Every record of a collection, in key order."""
    after: Key | None = None
    while page := await store.scan(collection, after, PAGE):
        yield page
        after = key_of(page[-1])


async def copy(source: Store, target: Store, told: Progress) -> dict[str, int]:
    """Everything, into a store that holds nothing of it yet or an earlier copy; StoreError when
    the two differ afterwards. Returns records copied per collection, and checkpoints."""
    checkpoints = await source.load_checkpoints()
    copied: dict[str, int] = {}
    for collection in COLLECTIONS:
        copied[collection] = 0
        async for page in pages(source, collection):
            await target.put(page)
            copied[collection] += len(page)
            told(collection, copied[collection])
    if checkpoints:
        await target.save_checkpoints(checkpoints)
    copied["checkpoints"] = len(checkpoints)
    await verify(source, target, told)
    return copied


async def verify(source: Store, target: Store, told: Progress) -> None:
    """Both stores hold the same records and checkpoints; StoreError names the first difference."""
    for collection in COLLECTIONS:
        one, other = Sum(), Sum()
        for store, total in ((source, one), (target, other)):
            async for page in pages(store, collection):
                for record in page:
                    total.add(record)
                told(f"{collection} checked", one.count)
        if (one.count, one.hash.digest()) != (other.count, other.hash.digest()):
            raise StoreError(
                f"{collection} differs after copying: {one.count} records and {other.count}; "
                "stop the processor while migrating, into an empty store"
            )
    if await source.load_checkpoints() != await target.load_checkpoints():
        raise StoreError("checkpoints differ after copying; stop the processor while migrating")
