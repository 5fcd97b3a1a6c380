"""The store port and its implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backbone.settings import Settings
from backbone.store.base import Store
from backbone.store.memory import MemoryStore
from backbone.store.sqlite import SqliteStore

LIVE = "live"


def _sqlite(settings: Settings, source: str) -> Store:
    return SqliteStore(Path(settings.data_dir) / source / "wadm.sqlite")


def _memory(settings: Settings, source: str) -> Store:
    return MemoryStore()


def _mongo(settings: Settings, source: str, *, read_only: bool = False) -> Store:
    # The driver takes a quarter of a second to import; nobody else should wait for it.
    from backbone.store.mongo import MongoStore
    from backbone.store.mongo_client import mongo_uri

    name = settings.mongo_database
    database = name if source == LIVE else f"{name}_{source}"
    return MongoStore(mongo_uri(settings), database, read_only=read_only)


STORES: dict[str, Callable[[Settings, str], Store]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    "mongo": _mongo,
}
"""Every store by name, made from the settings for one source."""


def reading_store(settings: Settings, source: str) -> Store:
    """The configured store for one who only reads: a user without the right to write will do."""
    if settings.store == "mongo":
        return _mongo(settings, source, read_only=True)
    return STORES[settings.store](settings, source)
