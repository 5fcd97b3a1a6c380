"""The cache on disk: whole files, inside its folder, shared by processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from client_support import entry_files
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from wadm_client.cache import BAD, PART, FileCache, file_name
from wadm_client.clock import Clock, Stamp
from wadm_client.entry import Entry, Held, encode, to_entry
from wadm_client.errors import CacheError

NASTY = ["..", "../../etc/passwd", "CON", "nul", "a/b", "\\\\host\\x", "\x00", "", ".", "BTC usdt"]
NASTY += ["x" * 5_000, "ÅΩ\u202e", "btcusdt", "BTCUSDT", "~root", "C:\\x", "%2e%2e", "-rf", "\n"]
KILLS = 200
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {source!r})
from wadm_client.cache import FileCache, file_name
from wadm_client.clock import Clock
from wadm_client.entry import Held, to_entry
clock, cache = Clock(), FileCache(Path({root!r}))

def write_for_ever():
    turn = 0
    while True:
        turn += 1
        body = (b'{{"n":%d,"fill":"' % turn) + b"x" * 60_000 + b'"}}'
        symbol = f"SYM{{turn % 4}}"
        key = f"volume_profile:{{symbol}}:1h"
        held = Held(key, body, None, clock.stamp(), 1000, 0, 1000)
        name = file_name("volume_profile", symbol, "1h", key)
        cache.write(name, to_entry(held, "u", stale=False))

for _ in range({kills} // 2):
    writers = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            write_for_ever()
        writers.append(child)
    time.sleep(random.uniform(0.004, 0.04))
    for child in writers:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    bad = [line.problem for line in cache.lines() if line.problem]
    assert not bad, bad
print("whole")
"""


def entry(key: str, body: bytes = b'{"a":1.10}', steady_s: float = 5.0) -> Entry:
    held = Held(key, body, '"e"', Stamp(1_000, steady_s, "boot"), 60_000, 5, 60_000)
    return to_entry(held, "https://wadm.test", stale=False)


@hypothesis_settings(max_examples=300)
@given(st.lists(st.text(max_size=80) | st.sampled_from(NASTY), min_size=3, max_size=3))
def test_names_stay_inside(words: list[str]) -> None:
    """Whatever a name holds, its file is two plain levels below the folder."""
    kind, symbol, step = words
    name = file_name(kind, symbol, step, f"{kind}:{symbol}:{step}")
    assert len(name.parts) == 2
    assert all(
        set(part) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
        for part in name.parts
    )
    assert not any(part.startswith(".") for part in name.parts)
    assert len(str(name)) < 160


def test_ten_thousand_hostile_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 hostile names are 10,000 different files, also where case is ignored, all of them
    inside the folder and each with its own answer.

    Every 20th is really written here, all of them by `make client-hour`.
    """
    monkeypatch.setattr(os, "fsync", lambda _: None)  # not about power loss; 20,000 of them
    words = [f"{nasty}{number}" for number in range(600) for nasty in NASTY][:10_000]
    names = {
        str(file_name("volume_profile", w, "1h", f"volume_profile:{w}:1h")).lower() for w in words
    }
    assert len(names) == len(set(words))
    cache = FileCache(tmp_path / "cache")
    written = words if os.environ.get("CLIENT_HOUR") == "1" else words[:: len(NASTY) + 1]
    for number, word in enumerate(written):
        key = f"volume_profile:{word}:1h"
        name = file_name("volume_profile", word, "1h", key)
        assert cache.write(name, entry(key, b"%d" % number))
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert [path.name for path in cache.folder.iterdir()] == ["volume_profile"]
    found = [path.resolve() for path in (cache.folder / "volume_profile").iterdir()]
    assert all(path.parent == (cache.folder / "volume_profile").resolve() for path in found)
    assert len(found) == len(written) + 1, "a file per name and the lock"
    for number in (0, len(written) // 2, len(written) - 1):
        key = f"volume_profile:{written[number]}:1h"
        kept = cache.read(file_name("volume_profile", written[number], "1h", key), key)
        assert kept is not None
        assert bytes(kept.value) == b"%d" % number


def test_links_out_are_refused(tmp_path: Path) -> None:
    """A link planted in the folder does not lead a write outside."""
    cache, outside = FileCache(tmp_path / "c"), tmp_path / "outside"
    outside.mkdir()
    cache.folder.mkdir(parents=True)
    (cache.folder / "volume_profile").symlink_to(outside)
    with pytest.raises(CacheError, match="outside"):
        cache.write(file_name("volume_profile", "A", "1h", "volume_profile:A:1h"), entry("k"))
    assert list(outside.iterdir()) == []


def test_a_file_is_as_waickoff_reads_it(tmp_path: Path) -> None:
    """Place, name and keys are wAIckoff's; the value keeps the server's digits."""
    key = "volume_profile:BTCUSDT:1h"
    cache, name = FileCache(tmp_path), file_name("volume_profile", "BTCUSDT", "1h", key)
    assert cache.write(name, entry(key))
    path = tmp_path / "storage/market-data/wadm/volume_profile/BTCUSDT_1h.json"
    text = path.read_text()
    found = json.loads(text)
    assert {
        "key",
        "value",
        "timestamp",
        "ttl",
        "hits",
        "lastAccessed",
        "etag",
        "expires_at",
        "stale",
    } <= set(found)
    assert found["key"] == key
    assert found["expires_at"] == "1970-01-01T00:01:01.000Z"
    assert '"value": {"a":1.10}' in text
    assert cache.read(name, key) == msgspec.structs.replace(
        entry(key), value=msgspec.Raw(b'{"a":1.10}')
    )


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key": 1}', b"\xff" * 50, b"[" * 100_000])
def test_damage_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    """A damaged file counts as absent, stays for the report, and never comes back as data."""
    key = "volume_profile:BTCUSDT:1h"
    cache, name = FileCache(tmp_path), file_name("volume_profile", "BTCUSDT", "1h", key)
    cache.write(name, entry(key))
    cache.path(name).write_bytes(damage)
    assert cache.read(name, key) is None
    assert [line.problem for line in cache.verify()] == ["set aside earlier"]
    assert cache.write(name, entry(key))
    assert cache.read(name, key) is not None


def test_a_changed_digit_is_noticed(tmp_path: Path) -> None:
    """The checksum covers every byte of the value."""
    key = "volume_profile:BTCUSDT:1h"
    cache, name = FileCache(tmp_path), file_name("volume_profile", "BTCUSDT", "1h", key)
    cache.write(name, entry(key))
    path = cache.path(name)
    path.write_bytes(path.read_bytes().replace(b"1.10", b"1.11"))
    assert [line.problem for line in cache.verify()] == ["the value does not match its checksum"]
    assert path.with_suffix(BAD).exists()


def test_the_newer_answer_stays(tmp_path: Path) -> None:
    """A slow writer does not put an older answer over a newer one."""
    key = "volume_profile:BTCUSDT:1h"
    cache, name = FileCache(tmp_path), file_name("volume_profile", "BTCUSDT", "1h", key)
    assert cache.write(name, entry(key, b'{"a":2}', steady_s=9.0))
    assert not cache.write(name, entry(key, b'{"a":1}', steady_s=8.0))
    found = cache.read(name, key)
    assert found is not None
    assert bytes(found.value) == b'{"a":2}'


def test_prune_keeps_to_its_limits(tmp_path: Path) -> None:
    """Old files go, then the oldest until the size fits; parts of dead writers as well."""
    cache = FileCache(tmp_path, most_bytes=2_500, days=1)
    for number in range(6):
        key = f"volume_profile:S{number}:1h"
        name = file_name("volume_profile", f"S{number}", "1h", key)
        cache.write(name, entry(key, b'"' + b"x" * 300 + b'"'))
        age_s = 90_000 if number == 0 else 600 - 60 * number
        os.utime(cache.path(name), (Clock().wall_ms() / 1_000 - age_s,) * 2)
    part = cache.folder / "volume_profile" / f".dead{PART}"
    part.write_bytes(b"x")
    os.utime(part, (0, 0))
    gone = cache.prune()
    assert part in gone
    assert cache.folder / "volume_profile" / "S0_1h.json" in gone
    assert sum(line.size for line in cache.lines()) <= 2_500
    assert (cache.folder / "volume_profile" / "S5_1h.json").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the folder should be, or a full disk, is a clear error."""
    (tmp_path / "storage").write_text("in the way")
    with pytest.raises(CacheError, match="cannot be written"):
        FileCache(tmp_path).write(Path("a/b.json"), entry("k"))
    full = Path("/dev/full")
    if full.exists():
        with pytest.raises(OSError, match="space"):
            full.write_bytes(b"x")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_kills_leave_no_torn_file(tmp_path: Path, root: Path) -> None:
    """200 SIGKILLs among two writers: every file is whole, and the next writer goes on."""
    code = KILLER.format(source=str(root / "mcp_client/src"), root=str(tmp_path), kills=KILLS)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "whole\n", done.stderr
    cache = FileCache(tmp_path)
    key = "volume_profile:SYM1:1h"
    name = file_name("volume_profile", "SYM1", "1h", key)
    assert cache.read(name, key) is not None
    held = Held(key, b'{"last":1}', None, Clock().stamp(), 1, 0, 1)
    assert cache.write(name, to_entry(held, "u", stale=False))
    assert entry_files(tmp_path)


def test_files_of_another_shape_are_foreign(tmp_path: Path) -> None:
    """An entry of another version is set aside, not guessed at."""
    key = "volume_profile:BTCUSDT:1h"
    cache, name = FileCache(tmp_path), file_name("volume_profile", "BTCUSDT", "1h", key)
    cache.write(name, entry(key))
    cache.path(name).write_bytes(encode(msgspec.structs.replace(entry(key), version=9)))
    assert cache.read(name, key) is None
