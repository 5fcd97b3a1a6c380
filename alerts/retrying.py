"""When to try again: full jitter under a doubling ceiling, a target's own pause, a budget. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_PAUSE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Retries:
    """`first_s` doubles up to `longest_s`; given up after `tries` or when `budget_s` is over."""

    first_s: float = 1.0
    longest_s: float = 300.0
    budget_s: float = 3_600.0
    tries: int = 12

    def next_ms(
        self,
        created_ms: int,
        now_ms: int,
        tried: int,
        chance: Callable[[], float],
        pause_s: float | None,
    ) -> int | None:
        """When to try after so many tries, or None: it is given up.

        A target's pause is obeyed, and jitter comes on top so that not all come back at once.
        """
        if tried >= self.tries:
            return None
        ceiling_s = min(self.longest_s, self.first_s * 2.0 ** (tried - 1))
        at_ms = now_ms + int(((pause_s or 0.0) + chance() * ceiling_s) * 1_000)
        return None if at_ms > created_ms + self.budget_s * 1_000 else at_ms


def pause_of(text: str | None, now_ms: int) -> float | None:
    """Seconds of a Retry-After field: a number of seconds or an HTTP date."""
    if not text:
        return None
    stripped = text.strip()
    try:
        seconds = float(stripped)
    except ValueError:
        try:
            at = parsedate_to_datetime(stripped)
        except ValueError:
            return None
        at = at.replace(tzinfo=at.tzinfo or UTC)
        seconds = (at - datetime.fromtimestamp(now_ms / 1_000, UTC)).total_seconds()
    if seconds != seconds:  # a NaN is unlike itself
        return None
    return min(max(seconds, 0.0), MOST_PAUSE_S)
