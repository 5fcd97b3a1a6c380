"""Budget: requests per minute of a key, one for REST and MCP, in a moving window.

Strategy and limiter are those of `slowapi.Limiter`, the storage of one process is `Moments`.
Several servers share one budget through a storage that they share: an address that begins with
`async+`, for example `async+redis://`.
"""

from __future__ import annotations

import functools
import time
from math import ceil
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
from limits import RateLimitItemPerMinute, WindowStats
from limits.aio.strategies import MovingWindowRateLimiter as SharedWindow
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import RateLimiter
from slowapi import Limiter
from starlette.requests import Request

from backbone.settings import Settings
from mcp_server.access.moments import ADDRESS
from orderflow.errors import ConfigError

STRATEGY = "moving-window"
MINUTE_S = 60
OWN_MEMORY = "memory://"
"""As people write it; `Moments` is what they get."""
REDIS = ("async+redis", "async+rediss")
CLIENT: dict[str, float | str | bool] = {
    "implementation": "redispy",
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
}
"""The client that the extra `shared` installs; one that does not answer must not hold us up."""
log = structlog.get_logger()


def limits_address(settings: Settings) -> str:
    """Where budgets are counted, from its file where one is named; ConfigError without it."""
    if not settings.limits_storage_file:
        return settings.limits_storage
    try:
        return Path(settings.limits_storage_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = type(error).__name__
        raise ConfigError(f"WADM_LIMITS_STORAGE_FILE can't be read: {reason}") from error


class Spent(NamedTuple):
    """One request against a budget: whether it fits, and what is left."""

    fits: bool
    most: int
    left: int
    reset_s: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """RateLimit fields as the IETF draft has them; Retry-After when it did not fit."""
        fields = [
            (b"ratelimit-policy", b'"default";q=%d;w=%d' % (self.most, MINUTE_S)),
            (b"ratelimit", b'"default";r=%d;t=%d' % (self.left, self.reset_s)),
        ]
        if not self.fits:
            fields.append((b"retry-after", b"%d" % self.reset_s))
        return fields


class Windows(Protocol):
    """What counts."""

    async def hit(self, item: RateLimitItemPerMinute, name: str) -> bool: ...

    async def stats(self, item: RateLimitItemPerMinute, name: str) -> WindowStats: ...


class OwnWindows:
    """In this process: a few microseconds, so no thread."""

    def __init__(self) -> None:
        limiter = Limiter(key_func=_nobody, strategy=STRATEGY, storage_uri=ADDRESS)
        self._windows: RateLimiter = limiter.limiter

    async def hit(self, item: RateLimitItemPerMinute, name: str) -> bool:
        return self._windows.hit(item, name)

    async def stats(self, item: RateLimitItemPerMinute, name: str) -> WindowStats:
        return self._windows.get_window_stats(item, name)


class SharedWindows:
    """In a storage that other servers count in as well; while it is away each counts alone."""

    def __init__(self, address: str) -> None:
        options = CLIENT if address.startswith(REDIS) else {}
        self._storage = storage_from_string(address, wrap_exceptions=True, **options)
        self._windows = SharedWindow(self._storage)
        self._alone = OwnWindows()
        self._away = False

    async def hit(self, item: RateLimitItemPerMinute, name: str) -> bool:
        try:
            fits = await self._windows.hit(item, name)
        except StorageError as error:
            self._lost(error)
            return await self._alone.hit(item, name)
        self._away = False
        return fits

    async def stats(self, item: RateLimitItemPerMinute, name: str) -> WindowStats:
        try:
            return await self._windows.get_window_stats(item, name)
        except StorageError as error:
            self._lost(error)
            return await self._alone.stats(item, name)

    async def close(self) -> None:
        """Let the connections go."""
        bridge = getattr(self._storage, "bridge", None)
        if bridge is not None:
            await bridge.get_connection().aclose()

    def _lost(self, error: StorageError) -> None:
        """Say it once; the address may hold a password."""
        if not self._away:
            log.warning("budgets.alone", reason=type(error.storage_error).__name__)
        self._away = True


class Budget:
    """Counts requests by key id."""

    def __init__(self, per_minute: int, storage: str) -> None:
        self.per_minute = per_minute
        self._windows: Windows = OwnWindows() if storage == OWN_MEMORY else SharedWindows(storage)

    async def spend(self, name: str, per_minute: int | None) -> Spent:
        """Count one request of this key; one that does not fit is not counted."""
        item = self._item(per_minute)
        fits = await self._windows.hit(item, name)
        return await self._spent(item, name, fits=fits)

    async def close(self) -> None:
        """At the end."""
        if isinstance(self._windows, SharedWindows):
            await self._windows.close()

    async def left(self, name: str, per_minute: int | None) -> Spent:
        """What is left; nothing is counted."""
        return await self._spent(self._item(per_minute), name, fits=True)

    def _item(self, per_minute: int | None) -> RateLimitItemPerMinute:
        return _per_minute(self.per_minute if per_minute is None else per_minute)

    async def _spent(self, item: RateLimitItemPerMinute, name: str, *, fits: bool) -> Spent:
        stats = await self._windows.stats(item, name)
        # The window's end is in wall time: that is how the storage counts.
        reset_s = ceil(stats.reset_time - time.time_ns() / 1e9)
        return Spent(fits, item.amount, stats.remaining, min(MINUTE_S, max(1, reset_s)))


@functools.lru_cache(maxsize=1_024)
def _per_minute(most: int) -> RateLimitItemPerMinute:
    """The limit; made once, because there are few and each request asks for one."""
    return RateLimitItemPerMinute(most)


def _nobody(request: Request) -> str:
    """slowapi wants a function for its decorators, which are not used here."""
    return ""
