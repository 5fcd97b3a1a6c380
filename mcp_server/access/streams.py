"""Streams: how many long answers a key holds open at once."""

from __future__ import annotations

from collections import Counter

from starlette.types import Scope

from orderflow.errors import RateLimitError

LISTEN = b"subscriptions/listen"
STREAMING = frozenset({"mcp", "stream"})
"""First parts of paths whose GET stays open."""
RETRY_S = 5


class Streams:
    """Counts by key id; `most` of them may be open."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: Counter[str] = Counter()

    def hold(self, key_id: str) -> None:
        """One more; RateLimitError when the key holds as many as it may."""
        if self.open[key_id] >= self.most:
            raise RateLimitError(
                f"this key holds {self.most} open streams; end one first", retry_after_s=RETRY_S
            )
        self.open[key_id] += 1

    def release(self, key_id: str) -> None:
        """One less."""
        self.open[key_id] -= 1
        if self.open[key_id] <= 0:
            del self.open[key_id]


def is_stream(scope: Scope, name: str) -> bool:
    """The answer stays open: a GET for updates, or a listen request of the modern era, whose method
    header the SDK compares with its body."""
    if name not in STREAMING:
        return False
    if scope["method"] == "GET":
        return True
    return any(key == b"mcp-method" and value == LISTEN for key, value in scope["headers"])
