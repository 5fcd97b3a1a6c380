"""Just enough HTTP/1.1: a request head, a response, keep-alive."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

HEAD_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request head. `path` is decoded, header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    head: bytes

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def keeps_alive(self) -> bool:
        """Whether the client may send another request on the connection."""
        return self.headers.get("connection", "").lower() != "close"

    @property
    def body_bytes(self) -> int:
        """Length of the body; ValueError if it is not stated as a number."""
        return int(self.headers.get("content-length", "0"))


@dataclass(slots=True)
class HttpResponse:
    """A response; `body` other than bytes is sent as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"

    def encode(self, *, keep_alive: bool, with_body: bool = True) -> bytes:
        """The bytes on the wire."""
        body = self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)
        lines = [
            f"HTTP/1.1 {self.status} {_phrase(self.status)}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(body)}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head + body if with_body else head


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def parse_head(head: bytes) -> HttpRequest:
    """A request head including its empty line; ValueError if it is none."""
    try:
        lines = head.decode("utf-8").split("\r\n")
        method, target, version = lines[0].split(" ")
    except ValueError as error:
        raise ValueError("not an HTTP request line") from error
    if not version.startswith("HTTP/1."):
        raise ValueError("not HTTP/1.x")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return HttpRequest(method, unquote(parts.path), query, headers, head)
