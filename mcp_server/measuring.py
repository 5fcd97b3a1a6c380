"""Measuring: every answer by route and status, and how long it took to begin."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.clock import monotonic_s
from backbone.measures import REQUEST_SECONDS, REQUESTS
from backbone.meter import Meter

PAGE = frozenset({"", "assets"})
STREAMED = b"text/event-stream"


class Measuring:
    """Outermost: what is refused counts as well."""

    def __init__(self, app: ASGIApp, meter: Meter, base_path: str) -> None:
        self.app = app
        self.meter = meter
        self.base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note how the answer begins."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = route_name(scope, self.base_path)
        began_s = monotonic_s()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.meter.add(REQUESTS, route, str(message["status"]))
                if not _is_streamed(message):
                    self.meter.observe(REQUEST_SECONDS, monotonic_s() - began_s, route)
            await send(message)

        await self.app(scope, receive, noted)


def route_name(scope: Scope, base_path: str) -> str:
    """The first part of the path, as somebody sent it; `page` for the dashboard."""
    name: str = scope["path"].removeprefix(base_path).lstrip("/").partition("/")[0]
    return "page" if name in PAGE else name


def _is_streamed(start: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(STREAMED)
        for name, value in start.get("headers", ())
    )
