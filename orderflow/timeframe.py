"""Fixed timeframes and periods, and window arithmetic in UTC milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orderflow.errors import ValidationError

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
CELL_MS = 5_000
"""The finest flow bar: every period and every minute is a whole number of cells."""

TIMEFRAMES: dict[str, int] = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
}
PERIODS: dict[str, int] = {
    "5s": 5_000,
    "15s": 15_000,
    "30s": 30_000,
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "1h": HOUR_MS,
}
SPELLINGS = {
    "1": "1m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "240": "4h",
    "D": "1d",
    "1D": "1d",
    "24h": "1d",
    "60m": "1h",
    "240m": "4h",
    "60s": "1m",
    "300s": "5m",
}
"""Other spellings in use (wAIckoff's intervals among them)."""

WindowKind = Literal["rolling", "aligned"]


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open interval [start_ms, end_ms) of exchange time."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """Length in milliseconds."""
        return self.end_ms - self.start_ms


def parse_timeframe(
    text: str, *, allowed: dict[str, int] | None = None, what: str = "timeframe"
) -> str:
    """The canonical name of a timeframe or period; ValidationError lists the allowed ones."""
    table = TIMEFRAMES if allowed is None else allowed
    name = SPELLINGS.get(text, text)
    if name not in table:
        raise ValidationError(f"unknown {what}; allowed: {', '.join(table)}")
    return name


def parse_period(text: str) -> str:
    """The canonical name of an order-flow period; ValidationError lists the allowed ones."""
    return parse_timeframe(text, allowed=PERIODS, what="period")


def floor_ms(event_ms: int, length_ms: int) -> int:
    """Start of the aligned window of this length that contains `event_ms`."""
    return event_ms - event_ms % length_ms


def aligned(event_ms: int, length_ms: int) -> Window:
    """The UTC-aligned window that contains `event_ms`."""
    start = floor_ms(event_ms, length_ms)
    return Window(start, start + length_ms)


def rolling(now_ms: int, length_ms: int) -> Window:
    """The newest `length_ms` in whole steps, the step that contains `now_ms` included.

    Steps are minutes, or cells where the window is shorter than a minute.
    """
    step = MINUTE_MS if length_ms >= MINUTE_MS else CELL_MS
    end = floor_ms(now_ms, step) + step
    return Window(end - length_ms, end)
