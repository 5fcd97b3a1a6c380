"""Headless Chromium over its own protocol: one page, evaluated and photographed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import websockets

NAMES = ("chromium", "chromium-headless-shell", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-features=IsolateSandboxedIframes",
    "--remote-debugging-port=0",
    "--window-size=720,900",
)
WAIT_S = 90.0


def browser() -> str | None:
    """The installed browser."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A tab; `asked` are the addresses it loaded."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.asked: list[str] = []

    async def send(self, method: str, **params: Any) -> Any:
        """A command's result."""
        number = next(self.numbers)
        await self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(WAIT_S):
            while True:
                told = json.loads(await self.socket.recv())
                if told.get("method") == "Network.requestWillBeSent":
                    self.asked.append(told["params"]["request"]["url"])
                if told.get("id") == number:
                    assert "error" not in told, told
                    return told["result"]

    async def open(self, url: str) -> None:
        """Load a page."""
        for domain in ("Page", "Network", "Runtime"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)

    async def evaluate(self, expression: str, context: int | None = None) -> Any:
        """A value in the page, or in a context of one of its frames."""
        place = {} if context is None else {"contextId": context}
        told = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, **place
        )
        return told["result"].get("value")

    async def until(self, expression: str, context: int | None = None) -> Any:
        """Wait for something true."""
        async with asyncio.timeout(WAIT_S):
            while not (found := await self.evaluate(expression, context)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found

    async def inside(self) -> int:
        """A context in the one frame of the page."""
        tree = (await self.send("Page.getFrameTree"))["frameTree"]
        frame = tree["childFrames"][0]["frame"]["id"]
        made = await self.send("Page.createIsolatedWorld", frameId=frame)
        return int(made["executionContextId"])

    async def photograph(self, path: Path) -> None:
        """A PNG of what is seen."""
        told = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))


@contextlib.asynccontextmanager
async def tab(folder: Path) -> AsyncIterator[Page]:
    """A new browser with one tab, gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        str(browser()),
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    draining: asyncio.Task[bytes] | None = None
    try:
        assert process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            line = ""
            while "DevTools listening on" not in line:
                line = (await process.stderr.readline()).decode()
        draining = asyncio.create_task(process.stderr.read())
        base = line.split()[-1]
        async with websockets.connect(base, max_size=None) as whole:
            await whole.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(await whole.recv())["result"]["targetInfos"]
        (target,) = [one["targetId"] for one in targets if one["type"] == "page"]
        address = f"{base.split('/devtools/')[0]}/devtools/page/{target}"
        async with websockets.connect(address, max_size=None) as socket:
            yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        if draining is not None:
            await draining
