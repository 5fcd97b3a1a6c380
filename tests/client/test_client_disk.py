"""The cache when the disk is full, read-only or shared: clear errors, and answers go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from client_support import client_of, in_virtual_time, profile_json
from wadm_client import question as ask_for
from wadm_client.cache import FileCache, file_name
from wadm_client.clock import Clock
from wadm_client.errors import CacheError

ASKED = ask_for.volume_profile("BTCUSDT", "1h", {})
EACH = 60
WRITER = """
import sys
from pathlib import Path
from wadm_client.cache import FileCache, file_name
from wadm_client.clock import Clock
from wadm_client.entry import Held, to_entry

clock, cache, me = Clock(), FileCache(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    for symbol in (f"OWN{me}X{number}", "SHARED"):
        key = f"volume_profile:{symbol}:1h"
        body = b'{"from":"%s","n":%d}' % (me.encode(), number)
        entry = to_entry(Held(key, body, None, clock.stamp(), 1, 0, 1), "u", stale=False)
        cache.write(file_name("volume_profile", symbol, "1h", key), entry)
"""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 kB of its own, where this process may mount one."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk here: a really full disk was not tried")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def told_while_asking(folder: Path, rounds: int = 3) -> list[str]:
    """Ask past every freshness; each answer must come, and the warnings are returned."""
    calls: list[float] = []

    async def work(clock: Clock) -> None:
        async def serve(request: httpx2.Request) -> httpx2.Response:
            calls.append(clock.steady_s())
            return httpx2.Response(200, content=profile_json())

        async with client_of(serve, clock, cache_dir=folder) as client:
            for number in range(rounds):
                answer = await client.ask(ASKED)
                assert (answer.origin, answer.stale) == ("server", False)
                assert (await client.ask(ASKED)).origin == "memory"
                assert len(calls) == number + 1
                await asyncio.sleep(6)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        in_virtual_time(work)
    return [str(one.message) for one in caught]


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk with no byte left is one clear warning; answers go on from memory, no part stays,
    and when there is room again they are written again."""
    with small_disk(tmp_path / "disk") as disk:
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        told = told_while_asking(disk)
        assert len(told) == 1, told
        assert "No space left on device" in told[0]
        assert "answers go on from memory" in told[0]
        assert list(disk.rglob("*.part")) == []
        with pytest.raises(CacheError, match="cannot be written: No space"):
            FileCache(disk).write(*_named())
        filler.unlink()
        assert told_while_asking(disk) == []
        assert (FileCache(disk).folder / "volume_profile/BTCUSDT_1h.json").exists()


def test_a_read_only_folder(tmp_path: Path) -> None:
    """A folder that only can be read is the same; what it holds is still read."""
    with small_disk(tmp_path / "disk") as disk:
        assert told_while_asking(disk) == []
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        told = told_while_asking(disk)
        assert len(told) == 1, told
        assert "Read-only file system" in told[0]
        entry = FileCache(disk).read(_named()[0], ASKED.key)
        assert entry is not None
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_any_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whichever step of a write finds the disk full: a warning, no torn file, no rest."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, call, full)
    told = told_while_asking(tmp_path)
    monkeypatch.undo()
    assert len(told) == 1
    assert "No space left" in told[0]
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"] == []


def test_two_writers_lose_nothing(tmp_path: Path, root: Path) -> None:
    """Two processes write their own files and a common one: every file is there and whole."""
    env = os.environ | {"PYTHONPATH": str(root / "mcp_client/src")}
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*words, who, str(EACH)], env=env) for who in "AB"]
    assert [writer.wait(100) for writer in writers] == [0, 0]
    cache = FileCache(tmp_path)
    assert cache.verify() == []
    names = [f"OWN{who}X{n}" for who in "AB" for n in range(EACH)]
    for symbol in [*names, "SHARED"]:
        key = f"volume_profile:{symbol}:1h"
        entry = cache.read(file_name("volume_profile", symbol, "1h", key), key)
        assert entry is not None, symbol
        number = EACH - 1 if symbol == "SHARED" else int(symbol.partition("X")[2])
        assert bytes(entry.value).endswith(b'"n":%d}' % number)


def _named() -> tuple[Path, object]:
    from wadm_client.entry import Held, to_entry

    held = Held(ASKED.key, b"{}", None, Clock().stamp(), 1, 0, 1)
    name = file_name("volume_profile", "BTCUSDT", "1h", ASKED.key)
    return name, to_entry(held, "u", stale=False)
