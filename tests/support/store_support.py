"""Every registered store, made for a test."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mongo_support import drop_database, mongo_uri

from backbone.settings import Settings, read_settings
from backbone.store.base import FOOTPRINTS, Query, Record

LATER_MS = 4_000_000_000_000
"""A wall time no database's own clock has reached: its TTL monitor leaves these tests alone."""


def record(start: int = 0, revision: int = 0, through: int = 0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "collection": FOOTPRINTS,
        "instrument": "v:spot:ABC",
        "timeframe": "1m",
        "start_ms": start,
        "revision": revision,
        "applied_through_ms": through,
        "published_at_ms": 1,
        "expires_at_ms": LATER_MS + 1_000,
        "body": {"is": [start, revision, through], "none": None, "text": "x"},
    }
    return Record(**(values | changes))


def query(**changes: Any) -> Query:
    values: dict[str, Any] = {
        "collection": FOOTPRINTS,
        "instrument": "v:spot:ABC",
        "timeframe": "1m",
        "start_ms": 0,
        "end_ms": 10**6,
        "now_ms": LATER_MS + 10,
    }
    return Query(**(values | changes))


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of one MongoDB for all tests of a run."""
    with mongo_uri(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@contextlib.contextmanager
def store_settings(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of an empty store of this kind; its database is dropped afterwards."""
    chosen: dict[str, Any] = {"store": name, "data_dir": str(folder)}
    if name != "mongo":
        yield read_settings({}, **chosen)
        return
    uri = request.getfixturevalue("mongo")
    database = f"wadm_test_{uuid.uuid4().hex[:12]}"
    try:
        yield read_settings({}, mongo_uri=uri, mongo_database=database, **chosen)
    finally:
        for source in ("", "_simulated"):
            drop_database(uri, database + source)
