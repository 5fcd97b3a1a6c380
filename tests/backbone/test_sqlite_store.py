"""What only the embedded store promises: damage, a full disk, a killed writer."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from store_support import query, record

from backbone.store.frame import framed, unframed
from backbone.store.sqlite import SqliteStore
from orderflow.errors import StoreError


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
