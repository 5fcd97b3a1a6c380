"""Time of this computer. Ages never trust one clock alone."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def steady_s() -> float:
    """Seconds that never go back and, where the system can, count sleep as well."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)


def wall_ms() -> int:
    """UTC milliseconds as this computer believes."""
    return time.time_ns() // 1_000_000


def iso(epoch_ms: int) -> str:
    """ISO-8601 in UTC with milliseconds."""
    moment = EPOCH + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1_000:03d}Z"


def moment_ms(text: str) -> int:
    """Epoch milliseconds of ISO-8601, UTC where no zone is given; ValueError for other text."""
    found = datetime.fromisoformat(text)
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return round((found - EPOCH).total_seconds() * 1_000)


@functools.cache
def boot_id() -> str:
    """Names this run of the machine; empty where the system does not tell."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks, replaceable in tests."""

    steady_s: Callable[[], float] = steady_s
    wall_ms: Callable[[], int] = wall_ms
    boot: Callable[[], str] = boot_id

    def stamp(self) -> Stamp:
        """Now, on both clocks."""
        return Stamp(self.wall_ms(), self.steady_s(), self.boot())

    def since_ms(self, stamp: Stamp) -> int | None:
        """Milliseconds since a stamp, the larger of both clocks; None where neither can say.

        A wall clock that was set back cannot make data young: the steady clock of the same run
        of the machine goes on. After a restart a wall clock behind the stamp says nothing.
        """
        wall = self.wall_ms() - stamp.wall_ms
        same_run = stamp.boot == self.boot() and stamp.boot != ""
        if same_run and (steady := self.steady_s() - stamp.steady_s) >= 0:
            return max(wall, int(steady * 1_000))
        return wall if wall >= 0 else None


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks."""

    wall_ms: int
    steady_s: float
    boot: str
