"""What came back over the wire, read without trust: bounded, whole, documented errors."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec

from wadm_client.errors import (
    ApiError,
    BadAnswerError,
    NotReadyError,
    RateLimitedError,
    TooLargeError,
)

GZIP_WBITS = 31
MOST_WAIT_S = 3_600.0
NOT_MODIFIED = 304
BUSY = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer (200 or 304) and what the server says about asking again."""

    status: int
    body: bytes = b""
    etag: str | None = None
    left: int | None = None
    reset_s: float | None = None
    date_ms: int | None = None


class Body:
    """Collects a body, inflating it, and stops at `most` bytes whatever was announced."""

    def __init__(self, encoding: str, most: int) -> None:
        if encoding not in {"", "identity", "gzip"}:
            raise BadAnswerError("the answer has an encoding nobody asked for")
        self._inflate = zlib.decompressobj(GZIP_WBITS) if encoding == "gzip" else None
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes as they came from the network."""
        if self._inflate is None:
            self._keep(chunk)
            return
        try:
            self._keep(self._inflate.decompress(chunk, self._most + 1 - self._size))
        except zlib.error:
            raise BadAnswerError("the compressed answer is damaged") from None
        if self._inflate.unconsumed_tail:
            raise TooLargeError(f"the answer is larger than {self._most} bytes")

    def finish(self) -> bytes:
        """The whole body; BadAnswerError when it was cut."""
        if self._inflate is not None and self._size and not self._inflate.eof:
            raise BadAnswerError("the answer was cut")
        return b"".join(self._parts)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most:
            raise TooLargeError(f"the answer is larger than {self._most} bytes")
        self._parts.append(data)


class _Problem(msgspec.Struct):
    message: str = ""
    code: str = ""
    retry_after: float | None = None
    request_id: str = ""


def reply(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """The reply, or the error the server meant."""
    if status == NOT_MODIFIED or status == 200:
        left, reset_s = rate_left(headers)
        return Reply(status, body, headers.get("etag"), left, reset_s, date_ms(headers.get("date")))
    raise refusal(status, headers, body)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error of a status that is not good."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    wait_s = retry_after_s(headers.get("retry-after"), headers.get("date"))
    if wait_s is None:
        wait_s = problem.retry_after
    message = problem.message or f"the server answered with status {status}"
    code = problem.code or f"HTTP_{status}"
    kind = RateLimitedError if status == 429 else NotReadyError if status in BUSY else ApiError
    return kind(status, code, message, wait_s, problem.request_id)


def retry_after_s(text: str | None, date: str | None = None) -> float | None:
    """Seconds of a Retry-After; a date counts from the server's own Date, never from our clock."""
    if text is None:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
            wait_s = (until - parsedate_to_datetime(date or "")).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, wait_s), MOST_WAIT_S) if wait_s == wait_s else None


def date_ms(text: str | None) -> int | None:
    """Epoch milliseconds of a Date header: what the server believes."""
    try:
        return int(parsedate_to_datetime(text or "").timestamp() * 1_000)
    except (ValueError, TypeError, OverflowError):
        return None


def rate_left(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
    """(requests left, seconds until more) of RateLimit: "default";r=12;t=30, or of older names."""
    fields = dict(
        part.strip().partition("=")[::2] for part in headers.get("ratelimit", "").split(";")
    )
    left = fields.get("r") or headers.get("ratelimit-remaining")
    reset = fields.get("t") or headers.get("ratelimit-reset")
    return (
        int(left) if left and left.isdecimal() else None,
        min(float(reset), MOST_WAIT_S) if reset and reset.isdecimal() else None,
    )
