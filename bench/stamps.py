"""When frames were written, shared between sender and reader through a file in memory.

A trade carries the millisecond it was sent, which is too coarse for what takes less than one. So
the sender writes down the nanosecond (CLOCK_MONOTONIC, one for all processes) of every millisecond
in which it wrote; it writes once in a millisecond at most.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path

SLOTS = 1 << 16
OVER, TOTAL = SLOTS, SLOTS + 1
BYTES = 8 * (SLOTS + 2)
BIN_NS = 10_000
BINS = 200_000


class Stamps:
    """A minute of them; older ones are written over."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        if fresh:
            path.write_bytes(bytes(BYTES))
        with path.open("r+b") as file:
            self._cells = memoryview(mmap.mmap(file.fileno(), BYTES)).cast("q")

    def put(self, at_ms: int, ns: int) -> None:
        """Everything with this time is written at that moment."""
        self._cells[at_ms % SLOTS] = ns

    def sent_ns(self, at_ms: int) -> int:
        """When a trade with this time was written; 0: nobody wrote it."""
        return self._cells[at_ms % SLOTS]

    @property
    def total(self) -> int:
        """Trades written, when it is over."""
        return self._cells[TOTAL]

    @total.setter
    def total(self, count: int) -> None:
        self._cells[TOTAL] = count

    @property
    def over_ns(self) -> int:
        """When the last trade was written; 0 before."""
        return self._cells[OVER]

    @over_ns.setter
    def over_ns(self, ns: int) -> None:
        self._cells[OVER] = ns


class Lateness:
    """How late things were: a count per ten microseconds, two seconds at most."""

    def __init__(self) -> None:
        self._counts = [0] * (BINS + 1)
        self._most_ns = 0

    def add(self, late_ns: int, times: int = 1) -> None:
        """Once more, or several times."""
        self._counts[min(max(late_ns, 0) // BIN_NS, BINS)] += times
        self._most_ns = max(self._most_ns, late_ns)

    def since(self, stamps: Stamps, times_ms: object) -> None:
        """Of trades with these times, now."""
        now_ns = time.monotonic_ns()
        for at_ms in times_ms:  # type: ignore[attr-defined]
            if sent_ns := stamps.sent_ns(int(at_ms)):
                self.add(now_ns - sent_ns)

    def figures(self) -> dict[str, float | int | None]:
        """Count, median, p99 and most; a share is the upper edge of its ten microseconds."""
        total = sum(self._counts)
        found: dict[str, float | int | None] = {"count": total}
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
            found[name] = self._share_ms(total * share) if total else None
        return found | {"max_ms": self._most_ns / 1e6 if total else None}

    def _share_ms(self, wanted: float) -> float:
        below = 0
        for place, count in enumerate(self._counts):
            below += count
            if below >= wanted:
                return (place + 1) * BIN_NS / 1e6
        return BINS * BIN_NS / 1e6
