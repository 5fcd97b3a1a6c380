"""Backups: what comes back is what was there, and nothing comes back from a damaged file."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from store_support import mongo as mongo
from store_support import store_settings
from typer.testing import CliRunner

from backbone.audit import audit_entries
from backbone.store import STORES
from backbone.store.base import COLLECTIONS, Record
from backbone.store.memory import MemoryStore
from backbone.store.sqlite import SqliteStore
from orderflow.errors import ConfigError
from wadm.__main__ import app
from wadm.backup import new_backup_key, pages, read_backup, read_backup_key, write_backup

LATER_MS = 4_000_000_000_000
NOW_MS = 1_735_689_600_000
KEY = bytes(range(32))


def some_records() -> list[Record]:
    """Every collection, more than a page of one of them."""
    return [
        Record(
            name,
            f"v:spot:{n % 7}",
            "1m",
            NOW_MS + n,
            n % 3,
            NOW_MS + n,
            1,
            LATER_MS,
            {"n": n, "b": b"\0\xff"},
        )
        for place, name in enumerate(COLLECTIONS)
        for n in range(603 if place == 0 else 5)
    ]


def quiet(*_: Any) -> None: ...


async def filled() -> MemoryStore:
    store = MemoryStore()
    await store.open("live")
    await store.put(some_records())
    await store.save_checkpoints({"a": b"one", "b": b"\0" * 1_000})
    return store


async def everything(store: Any) -> list[list[Record]]:
    return [await store.scan(name, None, 10_000) for name in COLLECTIONS]


@pytest.mark.parametrize("kind", ["memory", "sqlite", "mongo"])
async def test_there_and_back(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Any store takes any other's backup, record by record; a second time changes nothing."""
    origin = await filled()
    path = tmp_path / "x"
    count = await write_backup(origin, "live", path, KEY, quiet)
    assert count == len(some_records())
    with store_settings(kind, tmp_path, request) as settings:
        target = STORES[kind](settings, "live")
        await target.open("live")
        for _ in range(2):
            assert await read_backup(path, KEY, target, "live", quiet) == count
            assert await everything(target) == await everything(origin)
            assert await target.load_checkpoints() == await origin.load_checkpoints()
        await target.close()


async def test_damage(tmp_path: Path) -> None:
    """A changed, cut, longer or reordered file, or another key, is refused before any writing."""
    path = tmp_path / "x"
    await write_backup(await filled(), "live", path, KEY, quiet)
    whole = path.read_bytes()
    assert b"v:spot" not in whole
    for place in (0, 20, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        await refused(tmp_path, bytes(damaged), KEY)
    first = 4 + int.from_bytes(whole[30:34], "big")
    for cut in (whole[:-1], whole[: len(whole) // 2], whole[: 30 + first], whole + b"x", b""):
        await refused(tmp_path, cut, KEY)
    second = 4 + int.from_bytes(whole[30 + first : 34 + first], "big")
    start, third = 30 + first, 30 + first + second
    length = 4 + int.from_bytes(whole[third : third + 4], "big")
    swapped = whole[:start] + whole[third : third + length] + whole[start:third]
    await refused(tmp_path, swapped + whole[third + length :], KEY)
    await refused(tmp_path, whole, bytes(32))
    with pytest.raises(ConfigError, match="live data, not simulated"):
        list(pages(path, KEY, "simulated"))


async def refused(folder: Path, data: bytes, key: bytes) -> None:
    path = folder / "damaged"
    path.write_bytes(data)
    target = MemoryStore()
    await target.open("live")
    with pytest.raises(ConfigError, match="backup"):
        await read_backup(path, key, target, "live", quiet)
    assert not any(target.records.values())


async def test_nothing_half_written(tmp_path: Path) -> None:
    """A store that fails leaves no file behind."""
    store = await filled()

    async def broken(*_: Any) -> list[Record]:
        raise RuntimeError("away")

    store.scan = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await write_backup(store, "live", tmp_path / "x", KEY, quiet)
    assert list(tmp_path.iterdir()) == []


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, backup, check and restore as an administrator types them; both ends are audited."""

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    key_file = str(tmp_path / "backup.key")
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "one"))
    monkeypatch.setenv("WADM_KEY_COST", "4")
    run("keys", "create", "desk")
    run("backup", "key", key_file)
    assert stat.S_IMODE(Path(key_file).stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        run("backup", "key", key_file)
    path = run("backup", "create", str(tmp_path / "kept"), "--key-file", key_file)
    assert "whole" in run("backup", "check", path, "--key-file", key_file)
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "two"))
    assert "restored" in run("restore", path, "--key-file", key_file)
    assert "desk" in run("keys", "list")


async def test_restore_only_into_an_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a processor has written is never mixed with a backup."""
    store = SqliteStore(tmp_path / "var/live/wadm.sqlite")
    await store.open("live")
    await store.save_checkpoints({"a": b"1"})
    path = tmp_path / "x"
    (tmp_path / "key").write_text(new_backup_key())
    await write_backup(store, "live", path, read_backup_key(tmp_path / "key"), quiet)
    assert await audit_entries(store, 0) == []
    await store.close()
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "var"))
    words = ["restore", str(path), "--key-file", str(tmp_path / "key")]
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert isinstance(done.exception, ConfigError)
    assert "empty" in str(done.exception)
