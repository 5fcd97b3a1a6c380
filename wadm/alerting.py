"""Alerts of one file, over the running server's REST or over the queries of this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import structlog
from starlette.applications import Starlette

from alerts.book import read_book
from alerts.credential import options_of
from alerts.journal import Journal
from alerts.reach import Reach
from alerts.retrying import Retries
from alerts.rule import Book, TargetEntry
from alerts.sender import Sender
from alerts.service import AlertService, Ask
from alerts.targets import TARGETS
from backbone.clock import wall_ms
from backbone.settings import Settings
from mcp_server.http import Http
from mcp_server.problems import HANDLERS
from mcp_server.queries import Queries
from orderflow.errors import ConfigError
from wadm.asking import checked

log = structlog.get_logger()
AGAIN_S = 5.0
LARGEST_BYTES = 1_000_000


def book_of(path: Path) -> Book:
    """The rules of a file; ConfigError names the file, the line, the rule and the fix."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path.name} is larger than {LARGEST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path.name} can't be read; see its name, mode and encoding") from None
    try:
        return read_book(text, {name: kind.takes for name, kind in TARGETS.items()})
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from None


def folder_of(settings: Settings) -> Path:
    """Where it is kept what was sent."""
    return Path(settings.data_dir) / "alerts"


def reach_of(settings: Settings, context: ssl.SSLContext | None = None) -> Reach:
    """What targets are reached by."""
    return Reach(allow_private=settings.alerts_private == "on", context=context)


class Alerting:
    """Rules, journal and sender of one file; every secret is looked for at the start."""

    def __init__(
        self, settings: Settings, path: Path, ask: Ask, retries: Retries | None = None
    ) -> None:
        self.book = book_of(path)
        self.folder = path.absolute().parent
        for target in self.book.targets:
            self.options(target)
        self.journal = Journal(folder_of(settings), alone=True)
        reach = reach_of(settings)
        self.sender = Sender(self.journal, self.options, reach, wall_ms, retries or Retries())
        self.service = AlertService(self.book, ask, self.journal, self.sender, wall_ms)

    def options(self, target: TargetEntry) -> Mapping[str, str]:
        """Options and secrets of a target, read now: a changed file counts at once."""
        return options_of(target, os.environ, self.folder)

    async def run(self) -> None:
        """Until cancelled; closes the journal."""
        try:
            await self.service.run()
        finally:
            self.journal.close()


def check_file(path: Path) -> None:
    """ConfigError for a file or a secret that is wrong."""
    for target in book_of(path).targets:
        options_of(target, os.environ, path.absolute().parent)


@contextlib.asynccontextmanager
async def inside(queries: Queries) -> AsyncIterator[Ask]:
    """Questions to this process: the routes of REST without sockets and keys."""
    routes = Http(queries, lambda: (b"", "text/plain")).routes("")
    transport = httpx2.ASGITransport(
        Starlette(routes=routes, exception_handlers=dict(HANDLERS)), raise_app_exceptions=False
    )
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def ask(path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
            return checked(await client.get(path, params=dict(parameters)))

        yield ask


async def beside(settings: Settings, queries: Queries) -> None:
    """The alerts of `wadm up`; what breaks here is logged and tried again."""
    async with inside(queries) as ask:
        while True:
            try:
                await Alerting(settings, Path(settings.alerts_file), ask).run()
            except Exception as error:  # noqa: BLE001 (numbers go on being served)
                log.error("alerts.failed", reason=repr(error))  # noqa: TRY400 (one line a fact)
            await asyncio.sleep(AGAIN_S)
