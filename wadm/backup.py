"""A backup file: every record and checkpoint of a store, compressed, encrypted and in one piece.

Layout: MAGIC, 16 random bytes (salt), then chunks: length (4 bytes), AES-256-GCM of a compressed
page. The key of a file comes from the backup key and its salt (HKDF-SHA256); a chunk's nonce is
its number, and its associated data says whether it is the last, so a file that was cut, reordered
or changed is refused. Checkpoints are read before the records: after a restore the processor does
again what came later, which is harmless.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from backbone.store.base import COLLECTIONS, Record, Store, key_of
from orderflow.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"WADM backup 1\n"
SALT_BYTES, LENGTH_BYTES, NONCE_BYTES, KEY_BYTES = 16, 4, 12, 32
MOST_CHUNK_BYTES = 64 * 1024 * 1024
MOST_PAGE_BYTES = 256 * 1024 * 1024
PAGE = 500
Show = Callable[[str, int], None]


class Page(msgspec.Struct):
    """What one chunk holds; the first has the source and the checkpoints, the last counts all."""

    source: str = ""
    checkpoints: dict[str, bytes] = {}
    records: list[Record] = []
    total: int = -1


def new_backup_key() -> str:
    """The text of a key: what it closes nobody opens without it."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_backup_key(path: Path) -> bytes:
    """The key in a file; ConfigError when there is none."""
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} holds no backup key; make one: wadm backup key") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path.name} holds no backup key; make one: wadm backup key")
    return key


async def write_backup(store: Store, source: str, path: Path, key: bytes, show: Show) -> int:
    """All records into a new file, which appears under its name when it is whole; their number."""
    unfinished = path.with_name(path.name + ".part")
    total = 0
    with unfinished.open("xb") as file:
        try:
            chunks = _Writer(file, key)
            chunks.write(Page(source=source, checkpoints=await store.load_checkpoints()))
            for collection in COLLECTIONS:
                after = None
                while page := await store.scan(collection, after, PAGE):
                    chunks.write(Page(records=page))
                    after = key_of(page[-1])
                    total += len(page)
                    show(collection, total)
            chunks.write(Page(total=total), last=True)
        except BaseException:
            unfinished.unlink()
            raise
    unfinished.rename(path)
    return total


async def read_backup(path: Path, key: bytes, store: Store, source: str, show: Show) -> int:
    """Put everything into the store; ConfigError when the file is not whole, before any writing."""
    total = sum(len(page.records) for page in pages(path, key, source))
    done = 0
    for page in pages(path, key, source):
        if page.records:
            await store.put(page.records)
            done += len(page.records)
            show(page.records[0].collection, done)
    for page in pages(path, key, source):
        if page.checkpoints:
            await store.save_checkpoints(page.checkpoints)
    if done != total:
        raise StoreError("the file changed while it was read")
    return done


def pages(path: Path, key: bytes, source: str) -> Iterator[Page]:
    """Every page of a file, in order; ConfigError when anything about it is not as written."""
    with path.open("rb") as file:
        reader = _Reader(file, key)
        first = reader.read()
        if first.source != source:
            raise ConfigError(f"this backup holds {first.source} data, not {source}")
        yield first
        count = 0
        while not reader.ended:
            page = reader.read()
            count += len(page.records)
            if reader.ended and page.total != count:
                raise _broken()
            yield page
        if file.read(1):
            raise _broken()


class _Writer:
    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self.file = file
        salt = secrets.token_bytes(SALT_BYTES)
        self._cipher = _cipher(key, salt)
        self._number = 0
        file.write(MAGIC + salt)

    def write(self, page: Page, *, last: bool = False) -> None:
        text = zlib.compress(msgspec.msgpack.encode(page), 6)
        nonce = self._number.to_bytes(NONCE_BYTES, "big")
        chunk = self._cipher.encrypt(nonce, text, _kind(last=last))
        self.file.write(len(chunk).to_bytes(LENGTH_BYTES, "big") + chunk)
        self._number += 1


class _Reader:
    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self.file = file
        self.ended = False
        if file.read(len(MAGIC)) != MAGIC:
            raise ConfigError("this is no backup of WADM")
        self._cipher = _cipher(key, file.read(SALT_BYTES))
        self._number = 0

    def read(self) -> Page:
        length = int.from_bytes(self.file.read(LENGTH_BYTES), "big")
        if not 0 < length <= MOST_CHUNK_BYTES:
            raise _broken()
        chunk = self.file.read(length)
        text = self._opened(chunk)
        self._number += 1
        return msgspec.msgpack.decode(_inflated(text), type=Page)

    def _opened(self, chunk: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        nonce = self._number.to_bytes(NONCE_BYTES, "big")
        for last in (False, True):
            try:
                text = self._cipher.decrypt(nonce, chunk, _kind(last=last))
            except InvalidTag:
                continue
            self.ended = last
            return text
        raise _broken()


def _inflated(text: bytes) -> bytes:
    """At most MOST_PAGE_BYTES: only who has the key can write a chunk, and still."""
    engine = zlib.decompressobj()
    data = engine.decompress(text, MOST_PAGE_BYTES)
    if engine.unconsumed_tail:
        raise _broken()
    return data


def _kind(*, last: bool) -> bytes:
    return b"last" if last else b"more"


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, MAGIC).derive(key))


def _broken() -> ConfigError:
    return ConfigError("the backup is not whole, or was made with another key")
