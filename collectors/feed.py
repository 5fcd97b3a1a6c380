"""One feed: a connection that is always there, by way of one session after another.

A session that ends is replaced after a delay with full jitter; one that is about to be cut (24 h,
or announced) gets a successor first, and is closed when the successor has delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import count

import structlog

from backbone.live import FeedStatus
from collectors.buffer import Buffer
from collectors.pacing import Backoff, Chance, ConnectLimiter
from collectors.pulse import Pulse
from collectors.session import Link, Session
from collectors.venue import CodecCounts
from orderflow.instrument import Instrument

log = structlog.get_logger()
ROUTE_SUSPECT_AFTER = 2
HURRY_EVERY_S = 15.0
WORKED_FRAMES = 1_000
"""A connection that delivered so much worked, however short it was."""


class Feed:
    """Supervisor of one connection; `run` returns only when cancelled."""

    def __init__(
        self,
        link: Link,
        name: str,
        instruments: Sequence[Instrument],
        scales: dict[str, int],
        open_buffer: Callable[[str], Buffer],
        limiter: ConnectLimiter,
        chance: Chance,
    ) -> None:
        self.link = link
        self.name = name
        self.instruments = {item.symbol: item for item in instruments}
        self._scales = scales
        self._open_buffer = open_buffer
        self._limiter = limiter
        self._chance = chance
        timers = link.timers
        self._backoff = Backoff(chance, timers.first_delay_s, timers.longest_delay_s)
        self._serial = count(1)
        self._sessions: dict[Session, asyncio.Task[str]] = {}
        self._past = CodecCounts(rejected={})
        self._past_dropped = 0
        self._connects = 0
        self._error: str | None = None
        self._mute = 0
        self.pulses: dict[str, Pulse] = {}
        self.causes: dict[str, int] = {}
        self.reached = asyncio.Event()
        self._hurried = asyncio.Event()
        self._hurried_s = link.monotonic() - HURRY_EVERY_S

    @property
    def names(self) -> list[str]:
        """Canonical names of what it delivers."""
        return [item.name for item in self.instruments.values()]

    def delivered(self) -> set[str]:
        """Canonical names of what a live session delivers now."""
        return {name for s in self._sessions if s.delivering.is_set() for name in s.names}

    @property
    def newest(self) -> dict[str, int]:
        """The newest id delivered, by canonical name."""
        found = {name: pulse.newest_key for name, pulse in self.pulses.items()}
        return {name: key for name, key in found.items() if key is not None}

    @property
    def route_suspect(self) -> bool:
        """Connected twice in a row without any data: the address may be the wrong one."""
        return self._mute >= ROUTE_SUSPECT_AFTER

    def replace(self, reason: str) -> None:
        """End the live sessions; the next one is opened as after any loss."""
        for session in self._sessions:
            session.stop(reason)

    def pause(self, name: str) -> None:
        """End the claim of one stream."""
        for session in self._sessions:
            session.pause(name)

    def resume(self, name: str) -> None:
        """Begin the claim of one stream anew."""
        for session in self._sessions:
            session.resume(name)

    def hurry(self) -> None:
        """The venue answers over REST: the pause before the next try can end, once per quarter of a
        minute, for a venue may answer there and still refuse sockets."""
        now_s = self.link.monotonic()
        if now_s - self._hurried_s >= HURRY_EVERY_S:
            self._hurried_s = now_s
            self._hurried.set()

    def note_quiet(self) -> None:
        """The venue has nothing to deliver: silence is no reason to reconnect."""
        for session in self._sessions:
            session.note_quiet()

    async def run(self) -> None:
        """Keep one session delivering."""
        try:
            session = await self._open()
            while True:
                await self._until_over(session)
                if session not in self._sessions:
                    await self._pause(session)
                    session = await self._open()
                else:
                    session = await self._succeed(session)
        finally:
            await self._close_all()

    def redefine(self, instrument: Instrument, scale: int) -> None:
        """A new tick or lot, or a new status, counts from now on."""
        known = self.instruments.get(instrument.symbol)
        if known is not None and known.name == instrument.name:
            self.instruments[instrument.symbol] = instrument
            self._scales[instrument.name] = scale
            for session in self._sessions:
                session.codec.redefine(instrument, scale)

    def join(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> None:
        """Deliver these as well, over the connections that stand and every later one."""
        self.instruments |= {item.symbol: item for item in instruments}
        for item in instruments:
            self._scales[item.name] = scales.get(item.name, 0)
            for session in self._sessions:
                session.codec.redefine(item, self._scales[item.name])
        for session in self._sessions:
            session.join(instruments)

    def leave(self, names: Set[str], reason: str) -> None:
        """Deliver these no longer."""
        gone = [item for item in self.instruments.values() if item.name in names]
        for item in gone:
            del self.instruments[item.symbol]
            self.pulses.pop(item.name, None)
        for session in self._sessions if gone else ():
            session.leave(gone, reason)

    def say_again(self) -> None:
        """Repeat what the sessions claim."""
        for session in self._sessions:
            session.say_again()

    async def _open(self) -> Session:
        """Start a session when the limiter allows another connect."""
        await self._admitted()
        name = f"{self.name}#{next(self._serial)}"
        instruments = list(self.instruments.values())
        link = self.link
        if link.base_url:
            link = replace(link, url=link.base_url + link.market.socket_path(instruments))
        codec = link.market.codec(instruments)
        for item in instruments:
            codec.redefine(item, self._scales.get(item.name, 0))
        buffer = self._open_buffer(name)
        session = Session(link, name, instruments, codec, buffer, self.pulses)
        self._connects += 1
        self._sessions[session] = asyncio.create_task(session.run(), name=name)
        return session

    async def _admitted(self) -> None:
        while True:
            wait_s = self._limiter.wait_s(self.link.monotonic())
            if wait_s <= 0:
                return
            await asyncio.sleep(wait_s)

    async def _until_over(self, session: Session) -> None:
        """Until the session ends, is announced to end, or has lived long enough."""
        timers = self.link.timers
        spread_s = (2 * self._chance() - 1) * timers.lifetime_spread_s
        wanted = asyncio.create_task(session.successor_wanted.wait())
        reached = asyncio.create_task(self._note_reached(session))
        task = self._sessions[session]
        try:
            await asyncio.wait(
                {task, wanted},
                timeout=timers.lifetime_s + spread_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            wanted.cancel()
            reached.cancel()
        if task.done():
            self._bury(session)

    async def _note_reached(self, session: Session) -> None:
        await session.delivering.wait()
        self.reached.set()

    async def _succeed(self, session: Session) -> Session:
        """Open a successor, let both deliver for a while, close the old one."""
        timers = self.link.timers
        fresh = await self._open()
        delivering = asyncio.create_task(fresh.delivering.wait())
        await asyncio.wait(
            {self._sessions[fresh], delivering},
            timeout=timers.successor_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        delivering.cancel()
        if fresh.delivering.is_set():
            await asyncio.wait({self._sessions[session]}, timeout=timers.overlap_s)
            old, kept, reason = session, fresh, "rolled_over"
        else:
            old, kept, reason = fresh, session, "no_successor"
            session.successor_wanted.clear()
        old.stop(reason)
        await asyncio.wait({self._sessions[old]})
        self._bury(old)
        return kept

    def _bury(self, session: Session) -> None:
        """Keep the counts of a session that ended; raises what broke it, if that was a bug."""
        task = self._sessions.pop(session)
        past, counts = self._past, session.codec.counts
        past.frames += counts.frames
        past.trades += counts.trades
        past.malformed += counts.malformed
        for reason, number in counts.rejected.items():
            past.rejected[reason] = past.rejected.get(reason, 0) + number
        self._past_dropped += session.buffer.dropped
        self._error = task.result()
        self.causes[self._error] = self.causes.get(self._error, 0) + 1
        if session.delivering.is_set():
            self._mute = 0
        elif self._error == "no_first_data":
            self._mute += 1
            if self.route_suspect:
                log.error("feed.route_suspect", connection=self.name, url=self.link.url)
        log.info("feed.disconnected", connection=session.name, reason=self._error)

    async def _pause(self, session: Session) -> None:
        """Wait before the next try: not at all when the venue had announced the end."""
        lasted_s = self.link.monotonic() - session.opened_s
        worked = (
            lasted_s >= self.link.timers.steady_s or session.codec.counts.frames >= WORKED_FRAMES
        )
        if session.delivering.is_set() and worked:
            self._backoff.reset()
        if not session.successor_wanted.is_set():
            self._hurried.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.next_s()):
                    await self._hurried.wait()

    async def _close_all(self) -> None:
        for session in self._sessions:
            session.stop("stopped")
        tasks = list(self._sessions.values())
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _state(self, newest: Session | None) -> str:
        if self.route_suspect and not self.delivered():
            return "route_suspect"
        return "waiting" if newest is None else newest.state

    @property
    def held(self) -> int:
        """Trades that wait for the bus."""
        return sum(session.buffer.held for session in self._sessions)

    def status(self) -> FeedStatus:
        """State and counts, over all sessions so far."""
        sessions = list(self._sessions)
        newest = sessions[-1] if sessions else None
        counts = [self._past, *(session.codec.counts for session in sessions)]
        rejected: dict[str, int] = {}
        for part in counts:
            for reason, number in part.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + number
        age_ms = None
        if newest is not None and newest.codec.counts.frames:
            age_ms = int((self.link.monotonic() - newest.frame_at_s) * 1_000)
        return FeedStatus(
            connection=self.name,
            venue=self.link.market.venue,
            market=self.link.market.market,
            state=self._state(newest),
            instruments=self.names,
            connects=self._connects,
            frames=sum(part.frames for part in counts),
            trades=sum(part.trades for part in counts),
            dropped=self._past_dropped + sum(s.buffer.dropped for s in sessions),
            malformed=sum(part.malformed for part in counts),
            rejected=rejected,
            last_frame_age_ms=age_ms,
            error=self._error,
            causes=dict(self.causes),
            quiet=sorted(name for name, pulse in self.pulses.items() if pulse.quiet),
        )
