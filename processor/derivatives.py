"""Derivative context by minute: the newest values and the liquidations of each minute. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from orderflow.derivatives import (
    DerivativeEvent,
    DerivativeMinute,
    Interruption,
    after,
    following,
    minute_of,
)
from orderflow.timeframe import DAY_MS, MINUTE_MS

CLOSE_AFTER_MS = 5_000
"""Liquidations come up to half a second late; later ones are counted as late."""
KEPT_MINUTES = DAY_MS // MINUTE_MS


class DerivativeBook:
    """One instrument's open minutes (two around their border) and its closed ones of a day."""

    def __init__(self) -> None:
        self.sampled = True
        self.open: dict[int, DerivativeMinute] = {}
        self.closed: deque[DerivativeMinute] = deque(maxlen=KEPT_MINUTES)
        self.late = 0
        self.newest_ms = 0
        self._since_ms: int | None = None

    @property
    def newest(self) -> DerivativeMinute | None:
        """The newest minute; None after an interruption and before anything was heard."""
        return self.open[max(self.open)] if self.open else None

    def on_event(self, event: DerivativeEvent) -> list[DerivativeMinute]:
        """Apply one event; returns the minutes that it closed."""
        if isinstance(event, Interruption):
            self.sampled = event.sampled
            return self._interrupt(event)
        self.newest_ms = max(self.newest_ms, event.event_ms)
        done = self.due(self.newest_ms)
        start = minute_of(event.event_ms)
        if start not in self.open and not self._begin(start):
            self.late += 1
            return done
        self.open[start] = after(self.open[start], event)
        return done

    def due(self, now_ms: int) -> list[DerivativeMinute]:
        """Minutes that are over at `now_ms` (exchange time).

        The values of the last one go on, unless the streams have ended.
        """
        done = []
        while self.open:
            start = min(self.open)
            if start + MINUTE_MS + CLOSE_AFTER_MS > now_ms:
                break
            if self._since_ms is not None:
                self._begin(start + MINUTE_MS)
            done.append(self._close(start))
        return done

    def _begin(self, start_ms: int) -> bool:
        """Open a minute unless it is there or closed already; True when it is open then."""
        if start_ms in self.open:
            return True
        newest = self.newest
        whole = self._since_ms is not None and self._since_ms <= start_ms
        if newest is not None and start_ms > newest.start_ms:
            self.open[start_ms] = following(newest, start_ms, whole=whole)
        elif newest is None and (not self.closed or start_ms > self.closed[-1].start_ms):
            self.open[start_ms] = DerivativeMinute(start_ms, whole, self.sampled)
        else:
            return False
        return True

    def _interrupt(self, event: Interruption) -> list[DerivativeMinute]:
        """What was known before the minute of the interruption is not known any more."""
        for start, minute in self.open.items():
            self.open[start] = msgspec.structs.replace(minute, whole=False)
        self._since_ms = None if event.ended else event.event_ms
        first = minute_of(event.event_ms)
        return [self._close(start) for start in sorted(self.open) if start < first]

    def _close(self, start_ms: int) -> DerivativeMinute:
        """A minute is whole only when something was heard after it."""
        done = self.open.pop(start_ms)
        if self.newest_ms < start_ms + MINUTE_MS:
            done = msgspec.structs.replace(done, whole=False)
        self.closed.append(done)
        return done
