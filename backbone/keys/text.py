"""The text of an API key: wadm_<id, 12 hex>_<secret, 43 base62><checksum, 6 base62>.

The id is public and finds the record; the secret has 256 random bits; the checksum (CRC-32 of
everything before it) rejects typing errors without any hash.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from typing import NamedTuple

PREFIX = "wadm"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_BYTES, SECRET_BITS, SECRET_CHARS, CHECK_CHARS = 6, 256, 43, 6
PATTERN = re.compile(r"(wadm_([0-9a-f]{12})_([0-9A-Za-z]{43}))([0-9A-Za-z]{6})", re.ASCII)
ANY_KEY = re.compile(r"wadm_[0-9a-f]{12}_[0-9A-Za-z]{1,80}", re.ASCII)
"""Anything that looks like a key, whole or cut, for redaction."""
ID = re.compile(r"[0-9a-f]{12}", re.ASCII)


class KeyText(NamedTuple):
    """The parts of a key."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        """The whole key, with its checksum."""
        head = f"{PREFIX}_{self.id}_{self.secret}"
        return head + _checksum(head)


def new_key() -> KeyText:
    """A key nobody has seen."""
    secret = _base62(secrets.randbits(SECRET_BITS), SECRET_CHARS)
    return KeyText(secrets.token_hex(ID_BYTES), secret)


def parse_key(text: str) -> KeyText | None:
    """The parts of a well-formed key, else None."""
    found = PATTERN.fullmatch(text)
    if found is None or _checksum(found[1]) != found[4]:
        return None
    return KeyText(found[2], found[3])


def redacted(text: str) -> str:
    """The text with the secrets of keys taken out."""
    return ANY_KEY.sub(lambda found: f"{found[0][:17]}_[redacted]", text)


def _checksum(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), CHECK_CHARS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
