"""The event log of a virtual run: every message on the bus and every arrival of bytes, in order.

Only its hash is kept, for an hour has a hundred thousand events; `lines` are kept on request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence


class EventLog:
    """Two runs of one seed have the same `digest`; the first line that differs says where."""

    def __init__(self, now_s: Callable[[], float], *, keep_lines: bool = False) -> None:
        self._now_s = now_s
        self._hash = hashlib.blake2b(digest_size=16)
        self.events = 0
        self.lines: list[str] | None = [] if keep_lines else None

    @property
    def digest(self) -> str:
        """The hash of everything so far."""
        return self._hash.hexdigest()

    def note(self, topic: str, messages: Sequence[object]) -> None:
        """Messages were published."""
        self._add(f"{self._now_s():.6f} {topic} {messages!r}")

    def arrived(self, port: int, count: int) -> None:
        """Bytes reached an end of a connection. How many, not which: masks of client frames and
        keys of handshakes are drawn by the operating system."""
        self._add(f"{self._now_s():.6f} {port} {count}")

    def _add(self, line: str) -> None:
        self.events += 1
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)
