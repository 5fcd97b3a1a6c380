"""The JSON cache on disk, in wAIckoff's layout: atomic, bounded, shared by processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wadm_client.clock import Clock
from wadm_client.entry import Entry, decode, encode
from wadm_client.errors import CacheError
from wadm_client.filelock import locked

FOLDER = Path("storage") / "market-data" / "wadm"
MOST_FILE_BYTES = 10 << 20
PLAIN = re.compile(r"[A-Z0-9]{1,32}")
DAY_MS = 86_400_000
MINUTE_MS = 60_000
BAD = ".corrupt"
PART = ".part"
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Line:
    """One file of the cache as `cache ls` shows it."""

    path: Path
    size: int
    modified_ms: int
    entry: Entry | None
    problem: str = ""


def slug(text: str, most: int = 40) -> str:
    """Upper-case letters, digits and single dashes: a name no system gives a meaning."""
    return re.sub(r"[^A-Z0-9]+", "-", text.upper()[: 4 * most]).strip("-")[:most]


def file_name(kind: str, symbol: str, step: str, key: str) -> Path:
    """KIND/SYMBOL_STEP.json for a plain question, with a hash of the key for any other.

    Names differ in more than case, so they also stay apart on systems that ignore it.
    """
    room = re.sub(r"[^a-z_]+", "", kind)[:32] or "other"
    simple = re.sub(r"[^a-z0-9_]+", "", step)[:24]
    plain = bool(PLAIN.fullmatch(symbol)) and simple == step and key == f"{kind}:{symbol}:{step}"
    if plain and room == kind:
        return Path(room) / f"{symbol}_{step}.json"
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    words = "_".join(part for part in (slug(symbol) or "ALL", simple, mark) if part)
    return Path(room) / f"{words}.json"


class FileCache:
    """Entries under `root`/storage/market-data/wadm. Every method may raise CacheError."""

    def __init__(
        self, root: Path, most_bytes: int = 1 << 30, days: float = 30.0, clock: Clock | None = None
    ) -> None:
        self.folder = root / FOLDER
        self.most_bytes = most_bytes
        self.keep_ms = int(days * DAY_MS)
        self.clock = clock or Clock()

    def path(self, name: Path) -> Path:
        """The file of a name, which must lie inside the folder, links resolved."""
        path = self.folder / name
        if not path.parent.resolve().is_relative_to(self.folder.resolve()) or path.is_symlink():
            raise CacheError("a cache file would lie outside of the cache folder")
        return path

    def read(self, name: Path, key: str) -> Entry | None:
        """The entry, or None; a damaged file is set aside and counts as absent."""
        try:
            path = self.path(name)
            entry = decode(_bounded(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"the cache cannot be read: {error.strerror}") from None
        except CacheError:
            self.set_aside(self.folder / name)
            return None
        return entry if entry.key == key else None

    def write(self, name: Path, entry: Entry) -> bool:
        """Put the entry in place; False when the file already holds a newer answer."""
        data = encode(entry)
        if len(data) > MOST_FILE_BYTES:
            raise CacheError("the answer is larger than a cache file may be (10 MB)")
        try:
            self.path(name).parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
            path = self.path(name)
            with locked(path.parent / ".lock"):
                known = self.read(name, entry.key)
                if known is not None and _newer(known, entry):
                    return False
                replace_file(path, data)
        except OSError as error:
            raise CacheError(f"the cache cannot be written: {error.strerror}") from None
        return True

    def set_aside(self, path: Path) -> None:
        """Keep a damaged file under another name for `cache verify` to report."""
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(BAD))

    def lines(self) -> Iterator[Line]:
        """Every file, damaged ones with their problem; nothing is changed."""
        for path in sorted(self.folder.glob("*/*")):
            if path.suffix not in {".json", BAD} or path.is_symlink():
                continue
            try:
                found = path.stat()
                entry, problem = _checked(path)
            except OSError:
                continue  # another process has just removed it
            yield Line(path, found.st_size, found.st_mtime_ns // 1_000_000, entry, problem)

    def verify(self) -> list[Line]:
        """The damaged files, set aside."""
        bad = [line for line in self.lines() if line.problem]
        for line in bad:
            if line.path.suffix != BAD:
                self.set_aside(line.path)
        return bad

    def prune(self) -> list[Path]:
        """Remove what is too old, then the oldest until the size fits; damaged files as well."""
        now_ms = self.clock.wall_ms()
        lines = sorted(self.lines(), key=lambda line: -line.modified_ms)
        gone, total = [], 0
        for line in lines:
            total += line.size
            old = now_ms - line.modified_ms > self.keep_ms
            if old or total > self.most_bytes or line.problem:
                gone.append(line.path)
        for part in self.folder.glob(f"*/*{PART}"):
            with contextlib.suppress(OSError):
                if now_ms - part.stat().st_mtime_ns // 1_000_000 > MINUTE_MS:
                    gone.append(part)
        for path in gone:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        return gone


def replace_file(path: Path, data: bytes) -> None:
    """Write beside, make durable, and rename over: readers see the old or the new, whole."""
    part = path.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _newer(known: Entry, offered: Entry) -> bool:
    """Whether the known answer came later, by the steady clock of one run of the machine."""
    if known.boot == offered.boot and known.boot:
        return known.steady_ms > offered.steady_ms
    return False


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > MOST_FILE_BYTES:
        raise CacheError("the file is too large")
    return path.read_bytes()


def _checked(path: Path) -> tuple[Entry | None, str]:
    if path.suffix == BAD:
        return None, "set aside earlier"
    try:
        return decode(_bounded(path)), ""
    except CacheError as error:
        return None, str(error)
