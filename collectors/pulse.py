"""The pulse of one stream: how long it may be silent before somebody asks. Pure."""

from __future__ import annotations

FACTOR = 30
SHORTEST_S = 10.0
LONGEST_S = 300.0
MOST_PATIENCE = 32


class Pulse:
    """Beats of one instrument over all sockets of a feed; times are monotonic seconds.

    `newest_key`, `newest_ms`: the newest trade delivered. `since_ms`: exchange time from which on
    trades were to be delivered. `quiet`: the venue itself had no newer.
    """

    __slots__ = (
        "beat_s",
        "beats",
        "began_s",
        "heard_s",
        "newest_key",
        "newest_ms",
        "patience",
        "quiet",
        "since_ms",
    )

    def __init__(self, now_s: float) -> None:
        self.began_s = self.beat_s = self.heard_s = now_s
        self.beats = 0
        self.newest_key: int | None = None
        self.newest_ms = self.since_ms = 0
        self.patience = 1
        self.quiet = False

    def beat(self, now_s: float, key: int, event_ms: int) -> None:
        """A trade came in."""
        self.beats += 1
        self.beat_s = self.heard_s = now_s
        self.newest_key = key
        self.newest_ms = max(self.newest_ms, event_ms)
        self.patience = 1
        self.quiet = False

    @property
    def reached_ms(self) -> int:
        """No trade up to this time can be missed: it came, or it was before the streams did."""
        return max(self.newest_ms, self.since_ms)

    def rest(self, now_s: float) -> None:
        """The silence so far is not the socket's fault."""
        self.heard_s = max(self.heard_s, now_s)

    def begin(self, now_s: float, event_ms: int) -> None:
        """A new socket delivers from this exchange time on."""
        self.rest(now_s)
        self.since_ms = max(self.since_ms, event_ms)

    @property
    def busy(self) -> bool:
        """Silence says something: trades come oftener than the longest silence that is allowed."""
        return not self.beats or FACTOR * (self.beat_s - self.began_s) / self.beats < LONGEST_S

    def allowed_s(self) -> float:
        """Thirty times the usual distance, within bounds, doubled for every quiet answer."""
        usual_s = (self.beat_s - self.began_s) / self.beats if self.beats else 0.0
        allowed_s = min(max(FACTOR * usual_s, SHORTEST_S), LONGEST_S)
        return min(allowed_s * self.patience, LONGEST_S)

    def overdue(self, now_s: float) -> bool:
        """True when it has been silent for longer than allowed."""
        return now_s - self.heard_s > self.allowed_s()

    def found_quiet(self, now_s: float) -> None:
        """The venue had nothing newer: be twice as patient."""
        self.quiet = True
        self.patience = min(2 * self.patience, MOST_PATIENCE)
        self.heard_s = now_s
