"""Records as documents of the database and back, and how one is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from pymongo import InsertOne, ReplaceOne, UpdateOne

from backbone.store.base import APPEND_ONLY, Record, kept_revision
from backbone.store.memory import encode_body
from backbone.store.mongo_schema import Document

Operation: TypeAlias = UpdateOne | ReplaceOne[Document] | InsertOne[Document]
KEY = ("instrument", "timeframe", "start_ms", "kept_revision")


def document_key(document: Mapping[str, Any]) -> Document:
    """What makes a document unique in its collection."""
    return {name: document[name] for name in KEY}


def as_operation(record: Record) -> Operation:
    """Write the record unless the one there is newer; where nothing is ever replaced, add it."""
    key = dict(
        zip(
            KEY,
            (record.instrument, record.timeframe, record.start_ms, kept_revision(record)),
            strict=True,
        )
    )
    revision, through = record.revision, record.applied_through_ms
    document = key | {
        "revision": revision,
        "applied_through_ms": through,
        "published_at_ms": record.published_at_ms,
        "expires_at": DatetimeMS(record.expires_at_ms),
        "body": Binary(encode_body(record)),
    }
    if record.collection in APPEND_ONLY:
        return InsertOne(document)
    known = {"$ifNull": ["$revision", -1]}
    newer = {
        "$or": [
            {"$gt": [revision, known]},
            {"$and": [{"$eq": [revision, known]}, {"$gt": [through, "$applied_through_ms"]}]},
            {
                "$and": [
                    {"$eq": [revision, known]},
                    {"$eq": [through, "$applied_through_ms"]},
                    {"$gte": [record.published_at_ms, "$published_at_ms"]},
                ]
            },
        ]
    }
    replaced = {"$cond": [newer, {"$literal": document}, "$$ROOT"]}
    return UpdateOne(key, [{"$replaceWith": replaced}], upsert=True)


def as_record(collection: str, document: Mapping[str, Any]) -> Record:
    """The inverse. Longs come back as the driver's own kind of int, which msgspec can't write."""
    return Record(
        collection=collection,
        instrument=document["instrument"],
        timeframe=document["timeframe"],
        start_ms=int(document["start_ms"]),
        revision=int(document["revision"]),
        applied_through_ms=int(document["applied_through_ms"]),
        published_at_ms=int(document["published_at_ms"]),
        expires_at_ms=int(document["expires_at"]),
        body=msgspec.msgpack.decode(document["body"]),
    )
