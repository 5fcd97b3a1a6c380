"""Which WebSocket library is used: `picows.websockets` is a drop-in for `websockets`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from orderflow.errors import ConfigError

MODULES = {"websockets": "websockets.asyncio.client", "picows": "picows.websockets"}
ERRORS = {"websockets": "websockets.exceptions", "picows": "picows.websockets.exceptions"}
MAX_FRAME_BYTES = 4 * 1024 * 1024
QUEUE_FRAMES = 2_048
"""Frames a library holds for us; beyond that it stops reading the socket."""


class Socket(Protocol):
    """What is used of a connection."""

    async def recv(self, decode: bool | None = None) -> bytes | str:
        """The next message; bytes with `decode=False`."""
        ...

    async def send(self, message: str) -> None:
        """Send a text message."""
        ...

    async def ping(self) -> Awaitable[float]:
        """Send a ping; the answer is awaited separately."""
        ...

    async def close(self) -> None:
        """Close politely, within the close timeout."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """How to connect, and what a broken connection raises."""

    name: str
    connect: Callable[[str], Awaitable[Socket]]
    errors: tuple[type[Exception], ...]


def library(choice: str) -> Library:
    """The library of the setting `ws`; `auto` takes picows when it is installed."""
    installed = importlib.util.find_spec("picows") is not None
    name = ("picows" if installed else "websockets") if choice == "auto" else choice
    if name == "picows" and not installed:
        raise ConfigError("WADM_WS=picows needs the package: pip install 'wadm[fast]'")
    connect: Any = importlib.import_module(MODULES[name]).connect
    broken: Any = importlib.import_module(ERRORS[name]).WebSocketException

    async def opened(url: str) -> Socket:
        socket = await connect(
            url,
            compression=None,
            open_timeout=10,
            ping_interval=None,
            close_timeout=1,
            max_size=MAX_FRAME_BYTES,
            max_queue=QUEUE_FRAMES,
        )
        return cast(Socket, socket)

    return Library(name, opened, (broken, OSError, TimeoutError, EOFError))
