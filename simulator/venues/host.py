"""What every simulated venue host shares: its tracks, streams and clock."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from simulator.clock import PlayClock
from simulator.faults import FaultPlan
from simulator.limits import Limits
from simulator.stats import Stats
from simulator.tape import Track
from simulator.venues.streams import Stream
from simulator.wire.http import HttpRequest, HttpResponse
from simulator.wire.listener import Listener
from simulator.wire.session import Session

FAILURES = 3
"""Requests or connects in a row that a fault of the venue refuses."""
SHUTDOWN_GRACE_S = 0.5


class VenueHost(Listener, ABC):
    """A listener with instruments. Subclasses make streams from names and answer REST."""

    def __init__(
        self,
        tracks: Sequence[Track],
        clock: PlayClock,
        limits: Limits,
        stats: Stats,
        faults: FaultPlan,
    ) -> None:
        super().__init__(limits, stats)
        self.tracks = [track for track in tracks if self.serves(track)]
        self.clock = clock
        self.faults = faults
        self.streams: dict[str, Stream] = {}
        self.unlisted: set[str] = set()
        self.position_ms = clock.now_ms()
        self.refuse = self._refuse_by_plan

    def serves(self, track: Track) -> bool:
        """Whether a track's market is traded here."""
        return track.instrument.host == self.name

    def lists(self, track: Track) -> bool:
        """Whether a track's market can be traded at the moment."""
        return track.instrument.name not in self.unlisted

    def list_market(self, name: str, *, listed: bool) -> None:
        """Begin or end the trading of a market; its streams fall silent, as a venue's do."""
        if listed:
            self.unlisted.discard(name)
            for stream in self.streams.values():
                if stream.track.instrument.name == name and stream.sessions:
                    stream.begin(self.position_ms)
        else:
            self.unlisted.add(name)

    def venue_ms(self) -> int:
        """What the venue says the time is."""
        self.faults.fired["clock_offset"] += self.faults.clock_offset_ms != 0
        return self.clock.now_ms() + self.faults.clock_offset_ms

    @abstractmethod
    def make_stream(self, session: Session, name: str) -> Stream | None:
        """A new stream for a name; None if the route or the tape has no such data."""

    def stream_key(self, session: Session, name: str) -> str:
        """What tells streams of equal name apart on one host."""
        return name

    def subscribe(self, session: Session, name: str) -> None:
        """Add a stream to a session; a stream without data stays silent."""
        if name in session.streams:
            return
        session.streams[name] = None
        key = self.stream_key(session, name)
        stream = self.streams.get(key) or self.make_stream(session, name)
        if stream is None:
            self.faults.fired["silent_stream"] += 1
            return
        self.streams[key] = stream
        stream.join(session, self.position_ms)

    def unsubscribe(self, session: Session, name: str) -> None:
        """Remove a stream from a session."""
        session.streams.pop(name, None)
        stream = self.streams.get(self.stream_key(session, name))
        if stream is not None:
            stream.leave(session)

    def ended(self, session: Session) -> None:
        for stream in self.streams.values():
            stream.leave(session)

    def kick(self, session: Session, code: int, reason: str) -> None:
        if session.is_open:
            self.faults.fired[reason] += 1
        super().kick(session, code, reason)

    def misbehave(self, action: str) -> None:
        """What a fault does to the venue as a whole for a while."""
        if action == "shutdown":
            self.shut_down()
        elif action == "refuse_connects":
            self.faults.refuse_connects += FAILURES
        else:
            status = 0 if action == "outage" else int(action)
            self.faults.refuse_rest(status, FAILURES, host=self.name)

    def shut_down(self, grace_s: float = SHUTDOWN_GRACE_S) -> None:
        """Announce the end of every connection, then cut them."""
        loop = asyncio.get_running_loop()
        for session in self.sessions:
            self.farewell(session)
            loop.call_later(grace_s, session.close, 1001, "going away")

    def rest_fault(self) -> HttpResponse | None:
        refusal = self.faults.rest_refusal(self.name)
        if refusal is None:
            return None
        headers = {"Retry-After": str(refusal.retry_after_s)}
        return HttpResponse({"code": -1003, "msg": "refused"}, refusal.status, headers)

    def _refuse_by_plan(self, request: HttpRequest) -> HttpResponse | None:
        if not self.faults.connect_refused():
            return None
        return HttpResponse({"msg": "refused"}, self.faults.refuse_status)
