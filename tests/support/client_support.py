"""Parts for tests of wadm-client: virtual time, a scripted server, a certificate of our own."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from wadm_client.client import AsyncClient
from wadm_client.clock import Clock
from wadm_client.config import Config
from wadm_client.patience import Patience
from wadm_client.wire import AsyncWire

T = TypeVar("T")
WALL_MS = 1_735_689_600_000


class VirtualSelector(selectors.DefaultSelector):
    """Nothing to read means that time passes at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select(None)
        if not ready:
            self.now_s += max(0.0, timeout or 0.0)
        return ready


def in_virtual_time(work: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    """Run on a loop whose timers cost nothing; the clock given is the loop's."""
    selector = VirtualSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s  # type: ignore[method-assign]
    clock = Clock(
        steady_s=lambda: selector.now_s,
        wall_ms=lambda: WALL_MS + int(selector.now_s * 1_000),
        boot=lambda: "test",
    )
    try:
        return loop.run_until_complete(work(clock))
    finally:
        loop.close()


Handler = Callable[[httpx2.Request], Awaitable[httpx2.Response]]


class Once(httpx2.AsyncByteStream):
    """A body that comes in one piece, as from a socket."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class Scripted(httpx2.AsyncBaseTransport):
    """A network that is a function."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        made = await self.handler(request)
        return httpx2.Response(made.status_code, headers=made.headers, stream=Once(made.content))


def client_of(handler: Handler, clock: Clock, **settings: Any) -> AsyncClient:
    """A client whose network is a function."""
    patience = settings.pop("patience", Patience())
    config = Config(url="https://wadm.test", **settings)
    wire = AsyncWire(config, transport=Scripted(handler))
    return AsyncClient(config, wire=wire, clock=clock, patience=patience)


def quality(**changes: Any) -> dict[str, Any]:
    """A quality block."""
    return {
        "final": False,
        "revision": 0,
        "applied_through": "2025-01-01T00:00:00.000Z",
        "age_ms": 100,
        "stale": False,
        "next_update_at": "2025-01-01T00:00:05.000Z",
        "next_update_in_ms": 5_000,
        "source": "simulated",
        "content_hash": "x",
        "algo": "order_flow/1",
        "completeness": {"state": "verified", "coverage": 1, "gaps": [], "delta_proven": True},
        "venues": {},
    } | changes


def filled(kind: type[Any], **known: Any) -> dict[str, Any]:
    """JSON of an answer type: every field that must be there, with something of its type."""
    out: dict[str, Any] = {}
    samples = {"str": "x", "int": 1, "bool": False, "Decimal": 1}
    for name, text in kind.__annotations__.items():
        options = [part.strip() for part in str(text).split("|")]
        if name in known:
            out[name] = known[name]
        elif "None" in options:
            out[name] = None
        elif options[0] in samples:
            out[name] = samples[options[0]]
        elif options[0].startswith("list"):
            out[name] = []
        elif options[0].startswith("dict"):
            out[name] = {}
        elif options[0] == "Quality":
            out[name] = quality()
        else:
            out[name] = filled(getattr(_types(), options[0]))
    return out


def _types() -> Any:
    from wadm_client import types

    return types


def profile_json(symbol: str = "BTCUSDT", **known: Any) -> bytes:
    """A volume profile as the server would send it."""
    from wadm_client.types import VolumeProfileReport

    return json.dumps(filled(VolumeProfileReport, symbol=symbol, **known)).encode()


def entry_files(folder: Path) -> list[Path]:
    """All files below a cache folder, without locks."""
    return [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
