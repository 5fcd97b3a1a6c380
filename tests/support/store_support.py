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
