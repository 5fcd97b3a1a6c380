"""The web page in the system's Chromium, driven by Playwright; and a line to it that can fail."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chromium import browser
from playwright.async_api import ConsoleMessage, Page, Response, async_playwright
from recorded import real_day

from simulator.columns import EVENT
from simulator.tape import Tape, Track

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
WAIT_MS = 120_000
DESKTOP, PHONE = (1440, 900), (390, 844)
VIEW_SHOWN = ".view[data-layers=shown]"
HOUR_MS = 3_600_000


class Opened:
    """A tab. `problems` are errors of the console, of the page and of its policy; `loaded` holds
    what each answer weighs when it is packed, without streams."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.loaded: dict[str, int] = {}
        self.pending: set[asyncio.Task[None]] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"page: {error}"))
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type}: {message.text}")

    def _response(self, response: Response) -> None:
        if "/stream" not in response.url:
            task = asyncio.create_task(self._weigh(response))
            self.pending.add(task)
            task.add_done_callback(self.pending.discard)

    async def _weigh(self, response: Response) -> None:
        # An answer whose question was taken back has no body.
        with contextlib.suppress(Exception):
            self.loaded[response.url] = len(gzip.compress(await response.body(), 6))

    async def texts(self, selector: str) -> dict[str, str]:
        """Numbers on the page by the name of their field."""
        found: dict[str, str] = await self.page.evaluate(
            "(s) => Object.fromEntries([...document.querySelectorAll(`${s} [data-field]`)]"
            ".map((cell) => [cell.dataset.field, cell.textContent]))",
            selector,
        )
        return found

    async def until(self, condition: str, given: Any = None) -> None:
        """Wait for a JavaScript condition, but not for ever."""
        await self.page.wait_for_function(condition, arg=given, timeout=WAIT_MS)


@contextlib.asynccontextmanager
async def opened(
    address: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False
) -> AsyncIterator[Opened]:
    """A tab at an address, gone afterwards."""
    found = browser()
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        try:
            page = await chromium.new_page(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            page.set_default_timeout(WAIT_MS)
            tab = Opened(page)
            await page.goto(address)
            yield tab
            await asyncio.gather(*tab.pending)
        finally:
            await chromium.close()


def day_until(shared: Path, hours: float) -> Tape:
    """The first hours of the real day."""
    day = real_day(shared)
    (track,) = day.tracks
    rows = track.given.matrix()
    kept = rows[:, rows[EVENT] < track.start_ms + hours * HOUR_MS]
    return Tape((Track(track.instrument, kept, is_aggregated=track.is_aggregated),), day.label)


class Line:
    """A TCP line to a server: it can go quiet, as a network does, or be cut; what is opened later
    leads to the `upstream` of then."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Line]:
        """Listens on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.heal()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def quiet(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._flows.clear()

    def heal(self) -> None:
        """Everything comes through again."""
        self._flows.set()

    def cut(self) -> None:
        """Every connection ends now."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            above, below = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        for source, target in ((reader, below), (above, writer)):
            task = asyncio.create_task(self._pipe(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._open.add(target)
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._flows.wait()
                target.write(data)
                await target.drain()
        self._open.discard(target)
        target.transport.abort()
