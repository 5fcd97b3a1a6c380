"""Streams of one instrument: trades as the tape has them, candles as they change."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable

from simulator.candles import Candle, candle_at
from simulator.columns import EMIT, EVENT, Columns, Row
from simulator.tape import Track
from simulator.wire.session import Item, Session, framed

CLOSE_DELAY_MS = 5
"""A final candle follows the last trade of its span and the end of the span by this much."""

Payloads = list[tuple[int, str]]
"""Send time and JSON text."""


def ascii_json(text: str) -> str:
    """The inside of a JSON string in ASCII."""
    return json.dumps(text)[1:-1]


class Stream(ABC):
    """A named stream and who listens. Subclasses say what is due.

    `quiet_until_ms`: nothing is due up to then, so thousands of quiet streams cost nothing.
    """

    quiet_until_ms = 0

    def __init__(self, name: str, track: Track) -> None:
        self.name = name
        self.track = track
        self.sessions: list[Session] = []

    @property
    def is_trades(self) -> bool:
        """Whether it carries trades, which play may wait for."""
        return False

    @abstractmethod
    def rewind(self, now_ms: int) -> None:
        """Begin after `now_ms`: called when the first session joins."""

    def begin(self, now_ms: int) -> None:
        """Begin after `now_ms`, whatever was due before."""
        self.quiet_until_ms = 0
        self.rewind(now_ms)

    def join(self, session: Session, now_ms: int) -> None:
        """Add a listener."""
        if not self.sessions:
            self.begin(now_ms)
        self.sessions.append(session)

    def leave(self, session: Session) -> None:
        """Remove a listener."""
        if session in self.sessions:
            self.sessions.remove(session)

    def wrap(self, payloads: Payloads, *, combined: bool) -> list[Item]:
        """Frames of payloads, in the combined envelope if asked for."""
        if not combined:
            return [(at, framed(text)) for at, text in payloads]
        head = f'{{"stream":"{ascii_json(self.name)}","data":'
        return [(at, framed(f"{head}{text}}}")) for at, text in payloads]


Renderer = Callable[[list[Row], bool], Payloads]
"""Rows and whether times are in microseconds, to payloads."""


class TradeStream(Stream):
    """Rows of the tape as frames."""

    def __init__(self, name: str, track: Track, columns: Columns, render: Renderer) -> None:
        super().__init__(name, track)
        self.columns = columns
        self.render = render
        self._next = 0

    @property
    def is_trades(self) -> bool:
        return True

    def rewind(self, now_ms: int) -> None:
        self._next = self.columns.find(EMIT, now_ms + 1)

    def take(self, until_ms: int) -> list[Row]:
        """Rows that are sent up to and including `until_ms` and were not taken before."""
        start, self._next = self._next, self.columns.find(EMIT, until_ms + 1)
        if self._next < len(self.columns):
            following = self.columns.column(EMIT, self._next, self._next + 1)
            self.quiet_until_ms = int(following[0]) - 1 if len(following) else 0
        return self.columns.rows(start, self._next)


class UpdateStream(Stream):
    """What changes with time: candles, and whatever else a venue repeats."""

    @abstractmethod
    def due(self, until_ms: int) -> Payloads:
        """Updates up to and including `until_ms` that were not taken before."""


class CandleStream(UpdateStream):
    """Updates of one interval's candle: every `changed_ms` when changed, every `idle_ms` if not."""

    def __init__(
        self,
        name: str,
        track: Track,
        interval_ms: int,
        paces_ms: tuple[int, int],
        render: Callable[[Candle, int, bool], str],
    ) -> None:
        super().__init__(name, track)
        self.interval_ms = interval_ms
        self.changed_ms, self.idle_ms = paces_ms
        self.render = render
        self._start_ms = 0
        self._next_ms = 0
        self._said_ms = 0
        self._said_rows = -1

    def rewind(self, now_ms: int) -> None:
        self._start_ms = now_ms - now_ms % self.interval_ms
        self._next_ms = now_ms + self.changed_ms
        self._said_ms = now_ms
        self._said_rows = -1

    def due(self, until_ms: int) -> Payloads:
        """Updates up to and including `until_ms`; each span ends with its final candle."""
        said: Payloads = []
        while True:
            end_ms = self._start_ms + self.interval_ms
            close_ms = self._close_ms(end_ms) if until_ms >= end_ms else until_ms + 1
            at = min(self._next_ms, close_ms)
            if at > until_ms:
                self.quiet_until_ms = min(self._next_ms, max(end_ms, until_ms + 1)) - 1
                return said
            if at == close_ms:
                self._say(said, at, final=True)
                self._start_ms = end_ms
                continue
            self._next_ms = at + self.changed_ms
            rows = self.track.counted.find(EMIT, at + 1)
            if rows != self._said_rows or at - self._said_ms >= self.idle_ms:
                self._said_rows, self._said_ms = rows, at
                self._say(said, at, final=False)

    def _close_ms(self, end_ms: int) -> int:
        columns = self.track.counted
        last = columns.find(EVENT, end_ms) - 1
        if last < columns.dropped:
            return end_ms + CLOSE_DELAY_MS
        return max(end_ms, int(columns.column(EMIT, last, last + 1)[0])) + CLOSE_DELAY_MS

    def _say(self, said: Payloads, at: int, *, final: bool) -> None:
        candle = candle_at(self.track.counted, self._start_ms, self.interval_ms, at)
        if candle is not None:
            said.append((at, self.render(candle, at, final)))


class PacedStream(UpdateStream):
    """Something said at every whole multiple of `pace_ms`, when there is something to say.

    A new listener is greeted with what `greet` makes of the time, if the venue does so.
    """

    def __init__(
        self,
        name: str,
        track: Track,
        pace_ms: int,
        render: Callable[[int], str | None],
        greet: Callable[[int], str] | None = None,
    ) -> None:
        super().__init__(name, track)
        self.pace_ms = pace_ms
        self.render = render
        self.greet = greet
        self._next_ms = 0

    def rewind(self, now_ms: int) -> None:
        self._next_ms = now_ms - now_ms % self.pace_ms + self.pace_ms

    def join(self, session: Session, now_ms: int) -> None:
        super().join(session, now_ms)
        if self.greet is not None:
            session.queue(self.wrap([(now_ms, self.greet(now_ms))], combined=session.combined))

    def due(self, until_ms: int) -> Payloads:
        said: Payloads = []
        while self._next_ms <= until_ms:
            text = self.render(self._next_ms)
            if text is not None:
                said.append((self._next_ms, text))
            self._next_ms += self.pace_ms
        self.quiet_until_ms = self._next_ms - 1
        return said
