"""Moments: a storage of `limits` for moving windows of one process, at one price a request.

`limits`' own memory storage puts every request in front of a list, copies the list a hundred times
a second in a thread, and so costs the more the more was asked in the last minute: with a key that
asks a thousand times a second it took half of the time of a cached answer. Here a request goes to
the end of a queue and the outdated ones leave at its beginning. The rules are the same: a window
ends now, and what does not fit is not counted. For one thread.
"""

from __future__ import annotations

import time
from collections import deque

from limits.storage import MemoryStorage

ADDRESS = "wadm+memory://"
SWEPT_EVERY_S = 60.0


class Moments(MemoryStorage):
    """When each name asked, oldest first."""

    STORAGE_SCHEME = ("wadm+memory",)  # type: ignore[assignment]

    def __init__(self, uri: str | None = None, *, wrap_exceptions: bool = False, **_: str) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._asked: dict[str, deque[float]] = {}
        self._lasting_s: dict[str, float] = {}
        self._swept_s = 0.0

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` requests now, if they fit into the window that ends now."""
        now_s = time.time_ns() / 1e9
        asked = self._asked.get(key)
        if asked is None:
            self._sweep(now_s)
            asked = self._asked[key] = deque()
            self._lasting_s[key] = expiry
        _forget(asked, now_s - expiry)
        if len(asked) + amount > limit:
            return False
        if amount == 1:
            asked.append(now_s)
        else:
            asked.extend([now_s] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """(the oldest request of the window that ends now, how many it has)."""
        now_s = time.time_ns() / 1e9
        asked = self._asked.get(key)
        if asked is None:
            return now_s, 0
        _forget(asked, now_s - expiry)
        return (asked[0], len(asked)) if asked else (now_s, 0)

    def clear(self, key: str) -> None:
        """Nothing was asked under this name."""
        super().clear(key)
        self._asked.pop(key, None)
        self._lasting_s.pop(key, None)

    def reset(self) -> int | None:
        """Nothing was asked at all."""
        count = len(self._asked)
        self._asked.clear()
        self._lasting_s.clear()
        return (super().reset() or 0) + count

    def _sweep(self, now_s: float) -> None:
        """Once a minute, when a new name comes, let go of those that ask no more."""
        if now_s - self._swept_s < SWEPT_EVERY_S:
            return
        self._swept_s = now_s
        for name, asked in list(self._asked.items()):
            if not asked or asked[-1] < now_s - self._lasting_s[name]:
                del self._asked[name], self._lasting_s[name]


def _forget(asked: deque[float], before_s: float) -> None:
    """What is older has left the window."""
    while asked and asked[0] < before_s:
        asked.popleft()
