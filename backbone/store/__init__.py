"""The store port and its implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backbone.store.base import Store
from backbone.store.memory import MemoryStore
from backbone.store.sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore(folder / "wadm.sqlite"),
    "memory": lambda folder: MemoryStore(),
}
"""Every store by name, made from the data folder."""
