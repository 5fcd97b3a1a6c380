"""One cached answer: wAIckoff's entry keys, what the server said, and when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from wadm_client.clock import Clock, Stamp, iso
from wadm_client.errors import CacheError

VERSION = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A cache file. `timestamp`, `ttl` and `lastAccessed` are milliseconds of this computer.

    `value` is the answer, digit for digit as the server sent it; `checksum` is the SHA-256 of
    its bytes. `stale` says what was known when the file was written: a reader must also compare
    the wall clock with `expires_at`.
    """

    key: str
    timestamp: int
    ttl: int
    hits: int
    lastAccessed: int  # noqa: N815 (wAIckoff's own spelling)
    etag: str | None
    expires_at: str
    stale: bool
    age_ms: int | None
    version: int
    source: str
    steady_ms: int
    boot: str
    checksum: str
    value: msgspec.Raw

    @property
    def stamp(self) -> Stamp:
        """When the server last stood by the answer."""
        return Stamp(self.timestamp, self.steady_ms / 1_000, self.boot)


@dataclass(frozen=True, slots=True)
class Held:
    """An answer in memory: its bytes, its validator, and when the server last stood by it."""

    key: str
    body: bytes
    etag: str | None
    at: Stamp
    fresh_ms: int
    age_ms: int | None
    wait_ms: int

    def fresh(self, clock: Clock) -> bool:
        """Whether nobody has to be asked."""
        since = clock.since_ms(self.at)
        return since is not None and 0 <= since < self.fresh_ms

    def data_age_ms(self, clock: Clock) -> int | None:
        """Age of the data: the server's own at receipt plus what passed here; None: unknown."""
        since = clock.since_ms(self.at)
        return None if since is None or self.age_ms is None else since + self.age_ms


def to_entry(held: Held, source: str, *, stale: bool) -> Entry:
    """The file of an answer."""
    at = held.at
    return Entry(
        key=held.key,
        timestamp=at.wall_ms,
        ttl=held.fresh_ms,
        hits=0,
        lastAccessed=at.wall_ms,
        etag=held.etag,
        expires_at=iso(at.wall_ms + held.fresh_ms),
        stale=stale,
        age_ms=held.age_ms,
        version=VERSION,
        source=source,
        steady_ms=int(at.steady_s * 1_000),
        boot=at.boot,
        checksum=digest(held.body),
        value=msgspec.Raw(held.body),
    )


def to_held(entry: Entry) -> Held:
    """An answer from its file."""
    return Held(
        key=entry.key,
        body=bytes(entry.value),
        etag=entry.etag,
        at=entry.stamp,
        fresh_ms=0 if entry.stale else entry.ttl,
        age_ms=entry.age_ms,
        wait_ms=entry.ttl,
    )


def encode(entry: Entry) -> bytes:
    """The bytes of the file: indented but for the value, which is kept as it came."""
    plain = msgspec.structs.asdict(entry)
    lines = [
        f"  {msgspec.json.encode(name).decode()}: ".encode() + msgspec.json.encode(value)
        for name, value in plain.items()
    ]
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def decode(data: bytes) -> Entry:
    """The entry; CacheError when it is torn, foreign or changed."""
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CacheError("the file is not a cache entry") from None
    if entry.checksum != digest(bytes(entry.value)):
        raise CacheError("the value does not match its checksum")
    if entry.version != VERSION:
        raise CacheError("the entry has an unknown version")
    return entry


def digest(body: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(body).hexdigest()
