"""A receiver of webhooks on a real socket that does what it is told, and rules for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from access_support import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.book import read_book
from alerts.journal import Journal
from alerts.reach import Reach
from alerts.retrying import Retries
from alerts.rule import Book
from alerts.sender import Sender
from alerts.targets import TARGETS
from backbone.clock import wall_ms

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WAIT_S = 90.0
QUICK = Retries(first_s=0.01, longest_s=0.02)


@dataclass
class Hit:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with the next (status, headers, body) of `plan`, then 204; or hangs."""

    port: int = 0
    plan: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    hang: bool = False
    free: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def handle(self, request: Request) -> Response:
        body = await request.body()
        self.hits.append(Hit(request.url.path, dict(request.headers), body))
        if self.hang:
            await self.free.wait()
        status, headers, text = self.plan.pop(0) if self.plan else (204, {}, b"")
        return Response(text, status, headers)


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A running receiver."""
    made = Receiver()
    app = Starlette(routes=[Route("/{path:path}", made.handle, methods=["POST"])])
    async with serving(app) as port:
        made.port = port
        try:
            yield made
        finally:
            made.free.set()


def book_from(text: str) -> Book:
    """A book of text."""
    return read_book(text, {name: kind.takes for name, kind in TARGETS.items()})


def rules_text(url: str, rule: str = "", name: str = "moved") -> str:
    """One rule, one webhook whose secret is in the environment."""
    said = rule or 'field = "delta"\ndiffers_from = 0\nonly = "final"'
    return (
        f'[targets.desk]\nkind = "webhook"\nurl = "{url}"\nsecret_env = "DESK_SECRET"\n\n'
        f'[rules.{name}]\nsymbols = ["BTCUSDT"]\ntargets = ["desk"]\nevery_s = 1\n'
        f'parameters = {{ period = "1m", market = "spot" }}\n{said}\n'
    )


def sender_on(
    folder: Path,
    options: dict[str, str],
    retries: Retries = QUICK,
    now_ms: Callable[[], int] = wall_ms,
) -> Sender:
    """A sender to private addresses, with these options for every target."""
    reach = Reach(allow_private=True)
    return Sender(Journal(folder), lambda _: options, reach, now_ms, retries, lambda: 1.0)


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition, but not for ever."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 (any condition, bounded)
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {WAIT_S} s") from None
