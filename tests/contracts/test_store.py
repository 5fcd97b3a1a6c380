"""The store contract, on every implementation."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backbone.store import STORES
from backbone.store.base import (
    COLLECTIONS,
    DISTRIBUTIONS,
    EVENTS,
    EVERY_REVISION,
    FOOTPRINTS,
    VOLUME_PROFILE,
    Query,
    Record,
    Store,
)
from backbone.store.frame import framed, unframed
from backbone.store.sqlite import SqliteStore
from orderflow.errors import StoreError


def record(start: int = 0, revision: int = 0, through: int = 0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "collection": FOOTPRINTS,
        "instrument": "v:spot:ABC",
        "timeframe": "1m",
        "start_ms": start,
        "revision": revision,
        "applied_through_ms": through,
        "published_at_ms": 1,
        "expires_at_ms": 1_000,
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
        "now_ms": 10,
    }
    return Query(**(values | changes))


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = STORES[request.param](tmp_path)
    await made.open("live")
    yield made
    await made.close()


async def test_newest_revision_wins(store: Store) -> None:
    """In any order of writes the largest (revision, applied_through) stays."""
    versions = [(0, 5), (0, 9), (1, 2), (1, 3), (2, 1)]
    random.Random(3).shuffle(versions)
    for revision, through in versions:
        await store.put([record(60, revision, through)])
    (found,) = await store.query(query())
    assert (found.revision, found.applied_through_ms) == (2, 1)
    assert found.body == record(60, 2, 1).body


async def test_every_revision_is_kept(store: Store) -> None:
    """Profiles keep each revision as a record; a question gets the newest."""
    for revision in (0, 1, 2):
        await store.put([record(0, revision, collection=VOLUME_PROFILE)])
    before = await store.sizes()
    await store.put([record(0, 2, collection=VOLUME_PROFILE)])
    assert await store.sizes() == before
    (found,) = await store.query(query(collection=VOLUME_PROFILE))
    assert found.revision == 2


async def test_series_and_ranges(store: Store) -> None:
    """A question sees its own series, in [start, end), the newest `limit`, oldest first."""
    await store.put([record(start) for start in (3, 1, 2, 5)])
    await store.put([record(9, instrument="v:spot:DEF"), record(8, timeframe="5m")])
    found = await store.query(query(start_ms=1, end_ms=5, limit=2))
    assert [r.start_ms for r in found] == [2, 3]
    assert await store.query(query(instrument="v:spot:GHI")) == []


async def test_expiry(store: Store) -> None:
    """An expired record is never seen, before the sweep and after it."""
    await store.put([record(1, expires_at_ms=50), record(2, expires_at_ms=500)])
    assert [r.start_ms for r in await store.query(query(now_ms=50))] == [2]
    assert await store.sweep(50) == 1
    assert [r.start_ms for r in await store.query(query(now_ms=0))] == [2]


@pytest.mark.parametrize("collection", sorted(EVERY_REVISION))
async def test_as_of_every_revision(store: Store, collection: str) -> None:
    """Where every revision is kept, a question about the past gets the newest of that time."""
    for revision, published in ((0, 100), (1, 200), (2, 300)):
        await store.put(
            [record(7, revision, published_at_ms=published, collection=collection)],
        )
    found = {
        at: [r.revision for r in await store.query(query(collection=collection, as_of_ms=at))]
        for at in (99, 100, 250, 300)
    }
    assert found == {99: [], 100: [0], 250: [1], 300: [2]}
    (newest,) = await store.query(query(collection=collection))
    assert newest.revision == 2


async def test_as_of_newest_only(store: Store) -> None:
    """Elsewhere a record that was published later is not seen, and counts for no limit."""
    await store.put([record(1, published_at_ms=100), record(2, published_at_ms=200)])
    found = await store.query(query(as_of_ms=150, limit=1))
    assert [r.start_ms for r in found] == [1]


async def test_events_and_distributions(store: Store) -> None:
    """Pages of events are replaced by newer ones; pages of distributions are kept side by side."""
    for collection, kept in ((EVENTS, 1), (DISTRIBUTIONS, 2)):
        for revision in (0, 1):
            body = {"events": [{"id": "a", "n": revision}], "counts": [[-3, 4], [1, 2]]}
            await store.put([record(0, revision, collection=collection, body=body)])
        (found,) = await store.query(query(collection=collection))
        assert (found.revision, found.body["events"][0]["n"]) == (1, 1)
        assert found.body["counts"] == [[-3, 4], [1, 2]]
        assert await store.sweep(10**9) == kept


async def test_all_or_nothing(store: Store) -> None:
    """A record that can't be stored takes its whole write with it, and says why."""
    bad = record(2, body={"big": 2**70})
    with pytest.raises(StoreError, match="footprints"):
        await store.put([record(1), bad])
    assert await store.query(query()) == []


async def test_checkpoints(store: Store) -> None:
    """The newest generation of each name comes back."""
    await store.save_checkpoints({"a": b"1", "b": b"x" * 10_000})
    await store.save_checkpoints({"a": b"2"})
    await store.save_checkpoints({"a": b"3"})
    assert await store.load_checkpoints() == {"a": b"3", "b": b"x" * 10_000}


async def test_sizes(store: Store) -> None:
    """Sizes name every collection."""
    assert set(await store.sizes()) == {*COLLECTIONS, "checkpoints"}


async def test_source_is_remembered(tmp_path: Path) -> None:
    """A store belongs to one source and refuses the other by name."""
    for name, make in STORES.items():
        folder = tmp_path / name
        one = make(folder)
        await one.open("live")
        if name == "memory":
            with pytest.raises(StoreError, match="live"):
                await one.open("simulated")
            continue
        await one.close()
        other = make(folder)
        with pytest.raises(StoreError, match="WADM_DATA_DIR"):
            await other.open("simulated")
        await other.close()


async def test_corrupt_newest_generation(tmp_path: Path) -> None:
    """A damaged checkpoint is not believed; the generation before is used."""
    path = tmp_path / "wadm.sqlite"
    store = SqliteStore(path)
    await store.open("live")
    await store.save_checkpoints({"a": b"old"})
    await store.save_checkpoints({"a": b"new"})
    await store.close()
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE checkpoints SET data = ? WHERE generation = 2", (framed(b"new")[:-1] + b"?",)
    )
    connection.commit()
    connection.close()
    store = SqliteStore(path)
    await store.open("live")
    assert await store.load_checkpoints() == {"a": b"old"}
    await store.save_checkpoints({"a": b"newer"})
    assert await store.load_checkpoints() == {"a": b"newer"}
    await store.close()


async def test_full_disk(tmp_path: Path) -> None:
    """A full disk is a StoreError that says what to look at; what was there stays readable."""
    store = SqliteStore(tmp_path / "wadm.sqlite")
    await store.open("live")
    await store.put([record(1)])

    def shrink(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await store._on_writer(shrink)
    with pytest.raises(StoreError, match="disk space"):
        await store.put([record(k, body={"x": "y" * 3_000}) for k in range(2, 60)])
    assert [r.start_ms for r in await store.query(query())] == [1]
    await store.close()


async def test_closed_store() -> None:
    """A store that is not open says so."""
    with pytest.raises(StoreError, match="not open"):
        await SqliteStore(Path("nowhere")).put([record()])


CHILD = """
import asyncio, sys
from pathlib import Path
from backbone.store.sqlite import SqliteStore
async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open("live")
    for number in range(1_000_000):
        await store.save_checkpoints({"a": str(number).encode()})
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 7, 30])
async def test_killed_writer(tmp_path: Path, root: Path, after: int) -> None:
    """An acknowledged checkpoint survives kill -9."""
    path = tmp_path / "wadm.sqlite"
    child = subprocess.Popen(  # noqa: ASYNC220 (waited for in a thread)
        [sys.executable, "-c", CHILD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.stdout is not None
    acknowledged = -1
    while acknowledged < after:
        line = await asyncio.to_thread(child.stdout.readline)
        acknowledged = int(line)
    child.send_signal(signal.SIGKILL)
    rest, _ = await asyncio.to_thread(child.communicate)
    complete = [line for line in rest.split("\n")[:-1] if line]
    acknowledged = int(complete[-1]) if complete else acknowledged
    store = SqliteStore(path)
    await store.open("live")
    found = await store.load_checkpoints()
    assert int(found["a"]) >= acknowledged
    await store.close()


def test_frames() -> None:
    """A frame is believed only whole and unchanged."""
    assert unframed(framed(b"abc")) == b"abc"
    assert unframed(framed(b"abc")[:-1]) is None
    assert unframed(b"ab") is None
