"""MongoStore: the store of a house of several processes, on a replica set.

A `put` and a set of checkpoints are one transaction each, sent in chunks of at most 50 documents
so that encoding never holds up the event loop. An upsert compares (revision,
applied_through_ms, published_at_ms) where the document lives, so repeating it is harmless. Readers
go on with a secondary while the set has no primary.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from pymongo import AsyncMongoClient, InsertOne, ReadPreference, ReplaceOne, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import AutoReconnect, BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern

from backbone.store.base import (
    APPEND_ONLY,
    COLLECTIONS,
    EVERY_REVISION,
    Fence,
    Key,
    Query,
    Readable,
    Record,
    Wanted,
    always,
    layout_of,
    refused,
)
from backbone.store.frame import framed, unframed
from backbone.store.mongo_client import connect, within
from backbone.store.mongo_documents import (
    KEY,
    Operation,
    as_operation,
    as_record,
    document_key,
)
from backbone.store.mongo_schema import (
    CHECKPOINTS,
    CODEC,
    FENCES,
    NEWEST_FIRST,
    SERIES,
    Database,
    Document,
    prepare,
    verify,
)
from orderflow.errors import StoreError

CHUNK = 50
WRITE_S = 30.0
"""A write is given up after this long, elections included; the caller repeats it."""
READ_S = 5.0
OPEN_S = 30.0
AGAIN_S = 0.1
T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncClientSession], Awaitable[None]]


class MongoStore:
    """Implements the store port. `read_only`: never writes, needs no right to."""

    def __init__(self, uri: str, database: str, *, read_only: bool = False) -> None:
        self.name = database
        self.read_only = read_only
        self._uri = uri
        self._client: AsyncMongoClient[Document] | None = None
        self._slots: dict[str, dict[int, int]] = {}

    @property
    def _database(self) -> Database:
        if self._client is None:
            raise StoreError("the store is not open")
        return self._client.get_database(self.name, codec_options=CODEC)

    def _readable(self, name: str) -> AsyncCollection[Document]:
        """A collection for reads that go on while there is no primary."""
        return self._database.get_collection(name, read_preference=ReadPreference.PRIMARY_PREFERRED)

    async def open(self, source: str) -> None:
        """Create or check the database; StoreError when it is another source's or not there."""
        if self._client is None:
            self._client = connect(self._uri)
        async with _errors(OPEN_S):
            if self.read_only:
                await verify(self._database, source)
                return
            await prepare(self._database, source)
            known = self._database[CHECKPOINTS].find({}, {"data": False})
            self._slots = {}
            async for found in known:
                self._slots.setdefault(found["name"], {})[found["slot"]] = found["generation"]

    async def take(self, scope: str) -> Fence:
        """Count the scope's epochs; a write that is under way under the one before conflicts: its
        snapshot is older, or it is over before."""
        family, layout = layout_of(scope)
        others = {"$regex": f"^{re.escape(family)}", "$not": re.compile(f"^{re.escape(layout)}")}
        async with _errors(WRITE_S):
            await self._database[FENCES].update_many({"_id": others}, {"$inc": {"epoch": 1}})
            found: Document = await self._database[FENCES].find_one_and_update(  # type: ignore[assignment]
                {"_id": scope},
                {"$inc": {"epoch": 1}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return Fence(scope, int(found["epoch"]))

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """One transaction."""
        operations: dict[str, list[Operation]] = {}
        for number, record in enumerate(records, 1):
            operations.setdefault(record.collection, []).append(as_operation(record))
            if number % CHUNK == 0:
                await asyncio.sleep(0)
        await self._write(operations, fence)

    async def _write(
        self, operations: Mapping[str, Sequence[Operation]], fence: Fence | None = None
    ) -> None:
        """Everything or nothing; retried as a whole while an election lasts."""
        if not any(operations.values()):
            return
        database = self._database

        async def work(session: AsyncClientSession) -> None:
            for name, wanted in operations.items():
                for start in range(0, len(wanted), CHUNK):
                    chunk = wanted[start : start + CHUNK]
                    if name in APPEND_ONLY:
                        chunk = await _unknown(database[name], chunk, session)
                    if not chunk:
                        continue
                    await database[name].bulk_write(chunk, ordered=False, session=session)
                    await asyncio.sleep(0)
            if fence is not None:
                # Last, so that a process that dies in the middle of its write does not keep its
                # successor from taking over until the database gives its transaction up.
                await _hold(database, fence, session)

        async with _errors(WRITE_S), database.client.start_session() as session:
            await session.with_transaction(work, read_concern=ReadConcern("snapshot"))

    async def query(self, query: Query) -> list[Record]:
        """Records of a series, oldest first, the newest revision of each start."""
        return await _read(lambda: self._query(query))

    async def _query(self, query: Query) -> list[Record]:
        found: list[Record] = []
        async with self._found(query) as cursor:
            async for document in cursor:
                if found and found[-1].start_ms == document["start_ms"]:
                    continue
                found.append(as_record(query.collection, document))
                if len(found) == query.limit:
                    break
                if len(found) % CHUNK == 0:
                    await asyncio.sleep(0)
        return found[::-1]

    def _found(self, query: Query) -> AsyncCursor[Document]:
        """The documents of a question, newest first, every kept revision of each start."""
        wanted: Document = {
            "instrument": query.instrument,
            "timeframe": query.timeframe,
            "start_ms": {"$gte": query.start_ms, "$lt": query.end_ms},
            "expires_at": {"$gt": DatetimeMS(query.now_ms)},
        }
        if query.as_of_ms is not None:
            wanted["published_at_ms"] = {"$lte": query.as_of_ms}
        cursor = self._readable(query.collection).find(wanted, hint=SERIES).sort(NEWEST_FIRST)
        return cursor if query.collection in EVERY_REVISION else cursor.limit(query.limit)

    async def scan(self, collection: str, after: Key | None, limit: int) -> list[Record]:
        """Up to `limit` records behind a key, in key order, every revision."""
        names = ("instrument", "timeframe", "start_ms", "kept_revision")
        wanted: Document = {}
        if after is not None:
            wanted["$or"] = [
                dict(zip(names[:place], after[:place], strict=True))
                | {names[place]: {"$gt": after[place]}}
                for place in range(len(names))
            ]
        cursor = self._database[collection].find(wanted).sort([(name, 1) for name in names])
        async with _errors(READ_S), cursor.limit(limit) as limited:
            return [as_record(collection, document) async for document in limited]

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        """One transaction; each name has two slots, the older one is overwritten."""
        operations: list[Operation] = []
        slots: dict[str, dict[int, int]] = {}
        for name, blob in checkpoints.items():
            known = self._slots.get(name, {})
            slot = min((0, 1), key=lambda slot, known=known: known.get(slot, 0))  # type: ignore[misc]
            generation = max(known.values(), default=0) + 1
            slots[name] = {**known, slot: generation}
            document = {
                "name": name,
                "slot": slot,
                "generation": generation,
                "data": Binary(framed(blob)),
            }
            key = f"{name}/{slot}"
            operations.append(ReplaceOne({"_id": key}, {"_id": key, **document}, upsert=True))
            await asyncio.sleep(0)
        await self._write({CHECKPOINTS: operations}, fence)
        self._slots.update(slots)

    async def load_checkpoints(
        self, readable: Readable = always, wanted: Wanted = always
    ) -> dict[str, bytes]:
        """The newest good and readable generation of each; another process may have written it."""
        found: dict[str, bytes] = {}
        async with _errors(OPEN_S):
            names = [n for n in await self._database[CHECKPOINTS].distinct("name") if wanted(n)]
            for start in range(0, len(names), CHUNK):
                asked = {"name": {"$in": names[start : start + CHUNK]}}
                cursor = self._database[CHECKPOINTS].find(asked)
                async for document in cursor.sort([("name", 1), ("generation", 1)]):
                    name = document["name"]
                    self._slots.setdefault(name, {})[document["slot"]] = document["generation"]
                    blob = unframed(bytes(document["data"]))
                    if blob is not None and readable(blob):
                        found[name] = blob
        return found

    async def sweep(self, now_ms: int) -> int:
        """Delete expired records; the database's own TTL monitor does the same a little later, and
        alone where nobody has the right to remove."""
        count = 0
        expired = {"expires_at": {"$lte": DatetimeMS(now_ms)}}
        for name in COLLECTIONS:
            if name in APPEND_ONLY:
                continue
            async with _errors(WRITE_S):
                count += (await self._database[name].delete_many(expired)).deleted_count
        return count

    async def sizes(self) -> dict[str, int]:
        """Bytes of documents per collection, before compression."""
        sizes = {}
        async with _errors(READ_S):
            for name in (*COLLECTIONS, CHECKPOINTS):
                sizes[name] = int((await self._database.command("collStats", name))["size"])
        return sizes

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None


async def _hold(database: Database, fence: Fence, session: AsyncClientSession) -> None:
    """Part of the transaction: conflicts with whoever takes the scope meanwhile; FencedError."""
    held = await database[FENCES].update_one(
        {"_id": fence.scope, "epoch": fence.epoch}, {"$inc": {"writes": 1}}, session=session
    )
    if held.matched_count == 0:
        raise refused(fence)


async def _unknown(
    collection: AsyncCollection[Document],
    operations: Sequence[Operation],
    session: AsyncClientSession,
) -> list[Operation]:
    """Those of these inserts that were not done before: repeating a write is harmless."""
    inserts = [one for one in operations if isinstance(one, InsertOne)]
    asked = {"$or": [document_key(one._doc) for one in inserts]}
    cursor = collection.find(asked, dict.fromkeys(KEY, True), session=session)
    known = [document_key(document) async for document in cursor]
    unknown: list[Operation] = []
    for one in inserts:
        key = document_key(one._doc)
        if key not in known:
            known.append(key)
            unknown.append(one)
    return unknown


async def _read(work: Callable[[], Awaitable[T]]) -> T:
    """Do it again with another member while there is time: the driver tries twice only."""
    deadline = asyncio.get_running_loop().time() + READ_S
    async with _errors(READ_S):
        while True:
            try:
                return await work()
            except AutoReconnect:
                if asyncio.get_running_loop().time() + AGAIN_S > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)


@contextlib.asynccontextmanager
async def _errors(seconds: float) -> AsyncIterator[None]:
    """A time for everything inside; the driver's errors as ours, without hosts or contents."""
    try:
        with within(seconds):
            yield
    except BulkWriteError as error:
        codes = sorted({int(one["code"]) for one in error.details.get("writeErrors", ())})
        raise StoreError(f"MongoDB refused a write (code {codes})") from None
    except PyMongoError as error:
        code = getattr(error, "code", None)
        what = type(error).__name__ + ("" if code is None else f" (code {code})")
        raise StoreError(f"MongoDB: {what}; is a primary reachable and the user known?") from error
