"""What the database holds: collections with their validators and indexes, versions, one source."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ASCENDING, DESCENDING, IndexModel, ReadPreference, ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from backbone.store.base import COLLECTIONS
from orderflow.errors import StoreError

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Document]
Migration: TypeAlias = Callable[[Database], Awaitable[None]]

SCHEMA = 1
MIGRATIONS: Mapping[int, Migration] = {}
"""How to get from a schema to the next; each must be harmless when it runs twice."""

TRIES = 3
META = "meta"
CHECKPOINTS = "checkpoints"
FENCES = "fences"
STORE_ID = "store"
SERIES = "series"
EXPIRY = "expiry"
NEWEST_FIRST = [("start_ms", DESCENDING), ("kept_revision", DESCENDING)]
INDEXES = [
    IndexModel(
        [("instrument", ASCENDING), ("timeframe", ASCENDING), *NEWEST_FIRST],
        name=SERIES,
        unique=True,
    ),
    IndexModel("expires_at", name=EXPIRY, expireAfterSeconds=0),
]
CODEC: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
"""Expiry as milliseconds: a year beyond what Python's datetime holds is no error."""


def _whole(least: int) -> Document:
    return {"bsonType": ["int", "long"], "minimum": least}


def _schema(fields: Mapping[str, Document]) -> Document:
    shape = {
        "bsonType": "object",
        "required": list(fields),
        "additionalProperties": False,
        "properties": {"_id": {}, **fields},
    }
    return {"$jsonSchema": shape}


TEXT = {"bsonType": "string", "minLength": 1, "maxLength": 200}
BLOB = {"bsonType": "binData"}
RECORD_SCHEMA = _schema(
    {
        "instrument": TEXT,
        "timeframe": TEXT,
        "start_ms": _whole(0),
        "kept_revision": _whole(0),
        "revision": _whole(0),
        "applied_through_ms": _whole(0),
        "published_at_ms": _whole(0),
        "expires_at": {"bsonType": "date"},
        "body": BLOB,
    }
)
CHECKPOINT_SCHEMA = _schema(
    {"name": TEXT, "slot": {"enum": [0, 1]}, "generation": _whole(1), "data": BLOB}
)
FENCE_SCHEMA = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["epoch"],
        "additionalProperties": False,
        "properties": {"_id": TEXT, "epoch": _whole(1), "writes": _whole(0)},
    }
}
SCHEMAS = dict.fromkeys(COLLECTIONS, RECORD_SCHEMA) | {
    CHECKPOINTS: CHECKPOINT_SCHEMA,
    FENCES: FENCE_SCHEMA,
}


async def prepare(database: Database, source: str) -> None:
    """Create what is missing and bring an older schema up to date; refuse another source first."""
    meta = await _meta(database, source)
    check(meta, database.name, source)
    await _collections(database)
    for version in range(int(meta["schema"]), SCHEMA):
        await MIGRATIONS[version](database)
        await database[META].update_one(
            {"_id": STORE_ID, "schema": version}, {"$set": {"schema": version + 1}}
        )


async def _meta(database: Database, source: str) -> Document:
    """What the database says of itself; of several processes that begin at once one says it."""
    first = {"$setOnInsert": {"source": source, "schema": SCHEMA}}
    found: Document | None = None
    for _ in range(TRIES):
        with contextlib.suppress(DuplicateKeyError):
            found = await database[META].find_one_and_update(
                {"_id": STORE_ID}, first, upsert=True, return_document=ReturnDocument.AFTER
            )
        if found is not None:
            return found
    raise StoreError(f"database {database.name} can't be begun")


async def verify(database: Database, source: str) -> None:
    """For a reader: the processor made this database, for the same source and schema."""
    primary = database.with_options(
        read_preference=ReadPreference.PRIMARY_PREFERRED, read_concern=ReadConcern("majority")
    )
    meta = await primary[META].find_one({"_id": STORE_ID})
    if meta is None:
        raise StoreError(f"database {database.name} is empty; start the processor first")
    check(meta, database.name, source)
    if meta["schema"] < SCHEMA:
        raise StoreError(f"database {database.name} is older than this server; start the processor")


def check(meta: Mapping[str, Any], name: str, source: str) -> None:
    """StoreError when the database belongs to another source or a newer version."""
    if meta["source"] != source:
        raise StoreError(
            f"database {name} holds {meta['source']} data, not {source}; "
            "give another one with WADM_MONGO_DATABASE"
        )
    if meta["schema"] > SCHEMA:
        raise StoreError(f"database {name} has schema {meta['schema']}, newer than {SCHEMA}")


async def _collections(database: Database) -> None:
    known = set(await database.list_collection_names())
    for name, schema in SCHEMAS.items():
        if name not in known:
            try:
                await database.create_collection(name, validator=schema)
            except CollectionInvalid:
                continue
    for name in COLLECTIONS:
        await database[name].create_indexes(INDEXES)
