"""AnswerCache: an answer is made and encoded once per update, then served as the same bytes.

An answer stays while the live view has the same version, and at most FRESH_S: what moves with the
clock alone (age_ms, timestamp) is never further behind than that. When the store is away, the last
answer to the same question is given for KEPT_S, with every `stale` in it true. Keys that see less
than everybody else pass by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from backbone.clock import Monotonic, monotonic_s
from mcp_server.access.caller import sees_everything
from orderflow.errors import StoreError

Name = tuple[str, bytes]
"""Path and query."""
Handler = Callable[[Request], Awaitable[Response]]
FRESH_S, KEPT_S = 0.2, 600.0
MOST_BYTES = 64 * 1024 * 1024
MOST_ANSWERS = 4_096
FRESH_FLAG, STALE_FLAG = b'"stale":false', b'"stale":true'
"""As encoded; inside a string the quotes would be escaped, so nothing else looks like it."""


class Kept(NamedTuple):
    """One answer, and when it was made of what; `whole` is what is sent to everybody who asks."""

    version: int
    made_s: float
    body: bytes
    headers: dict[str, str]
    whole: Response


class AnswerCache:
    """Answers by path and query."""

    def __init__(self, version: Callable[[], int], clock: Monotonic = monotonic_s) -> None:
        self.made = 0
        self._version = version
        self._clock = clock
        self._kept: OrderedDict[Name, Kept] = OrderedDict()
        self._bytes = 0

    def wrapped(self, handler: Handler) -> Handler:
        """The same handler behind the cache."""

        async def cached(request: Request) -> Response:
            if not sees_everything():
                return await handler(request)
            name = (request.scope["path"], request.scope["query_string"])
            kept = self._kept.get(name)
            if kept is not None and self._fresh(kept):
                return _answer(request, kept)
            try:
                response = await self._make(name, request, handler)
            except StoreError:
                if kept is None or self._clock() - kept.made_s > KEPT_S:
                    raise
                return _stale(kept)
            return response

        return cached

    def _fresh(self, kept: Kept) -> bool:
        return kept.version == self._version() and self._clock() - kept.made_s < FRESH_S

    async def _make(self, name: Name, request: Request, handler: Handler) -> Response:
        version, now = self._version(), self._clock()
        response = await handler(request)
        if response.status_code == 200:
            self.made += 1
            headers = {k: v for k, v in response.headers.items() if k != "content-length"}
            body = bytes(response.body)
            self._keep(name, Kept(version, now, body, headers, Response(body, 200, headers)))
        return response

    def _keep(self, name: Name, kept: Kept) -> None:
        known = self._kept.pop(name, None)
        self._bytes += len(kept.body) - (0 if known is None else len(known.body))
        self._kept[name] = kept
        while self._bytes > MOST_BYTES or len(self._kept) > MOST_ANSWERS:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


def _answer(request: Request, kept: Kept) -> Response:
    tag = kept.headers.get("etag")
    if tag is not None and request.headers.get("if-none-match") == tag:
        headers = {k: v for k, v in kept.headers.items() if k != "content-type"}
        return Response(None, 304, headers)
    return kept.whole


def _stale(kept: Kept) -> Response:
    """No validator and not to be kept by anybody: it says of itself that it is old."""
    headers = {k: v for k, v in kept.headers.items() if k != "etag"}
    headers["cache-control"] = "no-store"
    return Response(kept.body.replace(FRESH_FLAG, STALE_FLAG), 200, headers)
