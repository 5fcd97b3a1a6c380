"""A checkpoint blob with its checksum, the same in every store."""

from __future__ import annotations

import zlib

HEADER_BYTES = 4


def framed(blob: bytes) -> bytes:
    """CRC-32, then the blob."""
    return zlib.crc32(blob).to_bytes(HEADER_BYTES, "big") + blob


def unframed(data: bytes) -> bytes | None:
    """The blob, or None when the checksum does not hold."""
    blob = data[HEADER_BYTES:]
    if len(data) < HEADER_BYTES or zlib.crc32(blob).to_bytes(HEADER_BYTES, "big") != data[:4]:
        return None
    return blob
