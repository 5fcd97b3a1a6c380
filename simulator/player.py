"""Moves the tapes: what is due is sent to whoever subscribed, as fast as asked or as they read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from simulator.candles import MINUTE_MS
from simulator.clock import PlayClock
from simulator.columns import EMIT, KEY, Row
from simulator.faults import VENUE_ACTIONS, FaultPlan
from simulator.injected import reshaped
from simulator.stats import Stats
from simulator.tape import Track
from simulator.venues.host import VenueHost
from simulator.venues.streams import Stream, TradeStream, UpdateStream
from simulator.wire.session import Item, Session

TICK_S = 0.01
SETTLE_S = 0.05
"""After the awaited subscriptions came, others sent with them get this much time."""
SLICE_MS = 1_000
"""At full speed, tape time sent at once where several readers are kept together."""
LONE_SLICE_MS = 10_000
"""The same for a lone reader."""
LOOKAHEAD_MS = 2_000


class Player:
    """Plays tracks over hosts. `start_streams`: trade streams to wait for, by number or by name."""

    def __init__(
        self,
        hosts: Sequence[VenueHost],
        tracks: Sequence[Track],
        clock: PlayClock,
        faults: FaultPlan,
        stats: Stats,
    ) -> None:
        self.hosts = hosts
        self.tracks = tracks
        self.clock = clock
        self.faults = faults
        self.stats = stats
        self.finished = asyncio.Event()
        self.started = asyncio.Event()
        self.end_ms: int | None = None
        self.hold = False
        self.tick_s = TICK_S
        self._awaited: int | frozenset[str] = 0
        self._news = asyncio.Event()
        for host in hosts:
            host.on_subscribe = self._news.set

    # Starting and stopping

    def plan(self, awaited: int | Iterable[str], tail_ms: int, *, hold: bool) -> None:
        """What to wait for, and how long time goes on after the last trade's minute."""
        self._awaited = awaited if isinstance(awaited, int) else frozenset(awaited)
        self.hold = hold
        if not any(track.endless for track in self.tracks):
            last_ms = max(track.end_ms for track in self.tracks)
            self.end_ms = last_ms - last_ms % MINUTE_MS + MINUTE_MS + tail_ms

    def subscribed(self) -> set[str]:
        """Trade streams somebody listens to, as `host/stream`."""
        return {
            f"{host.name}/{name}"
            for host in self.hosts
            for name, stream in host.streams.items()
            if stream.is_trades and stream.sessions
        }

    def _is_awaited_here(self) -> bool:
        found = self.subscribed()
        if isinstance(self._awaited, int):
            return len(found) >= self._awaited
        return all(
            any(name in (full, full.partition("/")[2]) for full in found) for name in self._awaited
        )

    def start(self) -> None:
        """Play now, whoever listens."""
        self._awaited = 0
        self._news.set()

    async def _until_awaited(self) -> None:
        while not self._is_awaited_here():
            self._news.clear()
            await self._news.wait()

    async def run(self) -> None:
        """Play to the end, then let time go on in real time (candles of quiet minutes)."""
        await self._until_awaited()
        if self._awaited:
            await asyncio.sleep(SETTLE_S)
        self.started.set()
        self.clock.start()
        if self.clock.speed is None:
            await self._play_as_read()
        else:
            await self._play_in_time(self.end_ms)
        await self._finish()
        self.clock.run_on()
        await self._play_in_time(None)

    async def _finish(self) -> None:
        sessions = self._sessions()
        for session in sessions:
            session.step()
        await asyncio.gather(*(session.drained() for session in sessions))
        await asyncio.gather(*(session.stepped(behind=0) for session in sessions))
        self.finished.set()

    # Paces

    async def _play_in_time(self, end_ms: int | None) -> None:
        while end_ms is None or self.clock.now_ms() <= end_ms:
            self._send_until(self.clock.now_ms())
            await asyncio.sleep(self.tick_s)

    async def _play_as_read(self) -> None:
        position_ms = self.clock.now_ms()
        while self.end_ms is None or position_ms < self.end_ms:
            await self._readers()
            sessions = self._sessions()
            length_ms = LONE_SLICE_MS if len(sessions) == 1 else SLICE_MS
            position_ms = max(position_ms + length_ms, self._quiet_until(position_ms))
            if self.end_ms is not None:
                position_ms = min(position_ms, self.end_ms)
            self._send_until(position_ms)
            for session in sessions:
                await session.drained()
            if len(sessions) > 1:
                for session in sessions:
                    session.step()
                for session in sessions:
                    await session.stepped()
            await asyncio.sleep(0)

    async def _readers(self) -> None:
        """At full speed nothing is played to nobody; with `hold`, only to all that were awaited."""
        if self.hold:
            await self._until_awaited()
        while not self.subscribed():
            self._news.clear()
            await self._news.wait()

    def _quiet_until(self, position_ms: int) -> int:
        """The moment before the next trade or update; the position itself if unknown."""
        if any(
            isinstance(stream, UpdateStream) and stream.sessions
            for host in self.hosts
            for stream in host.streams.values()
        ):
            return position_ms
        times = []
        for track in self.tracks:
            track.ensure(position_ms + LOOKAHEAD_MS)
            place = track.given.find(EMIT, position_ms + 1)
            if place < len(track.given):
                times.append(int(track.given.column(EMIT, place, place + 1)[0]) - 1)
        return min(times, default=self.end_ms or position_ms)

    def _sessions(self) -> list[Session]:
        return [s for host in self.hosts for s in host.sessions if s.streams and s.is_open]

    # Sending

    def _send_until(self, until_ms: int) -> None:
        for track in self.tracks:
            track.ensure(until_ms + LOOKAHEAD_MS)
        self.clock.move_to(until_ms)
        for host in self.hosts:
            for key, stream in host.streams.items():
                if stream.quiet_until_ms >= until_ms or not stream.sessions:
                    continue
                if host.lists(stream.track):
                    self._send(host, key, stream, until_ms)
            host.position_ms = max(host.position_ms, until_ms)
            for session in host.sessions:
                frames, size = session.flush()
                self.stats.frames += frames
                self.stats.sent_bytes += size

    def _send(self, host: VenueHost, key: str, stream: Stream, until_ms: int) -> None:
        name = f"{host.name}/{key}"
        if isinstance(stream, TradeStream):
            rows = stream.take(until_ms)
            if rows:
                self._send_rows(host, name, stream, rows)
        elif isinstance(stream, UpdateStream):
            payloads = stream.due(until_ms)
            for session in stream.sessions if payloads else ():
                if not self.faults.is_stalled(name, session.ordinal):
                    session.queue(stream.wrap(payloads, combined=session.combined))

    def _send_rows(self, host: VenueHost, name: str, stream: TradeStream, rows: list[Row]) -> None:
        rendered: dict[tuple[bool, bool], list[Item]] = {}
        for session in list(stream.sessions):
            if not self.faults.spares(name, session.ordinal, rows):
                self._send_hurt(host, name, stream, session, rows)
                continue
            variant = (session.combined, session.microseconds)
            items = rendered.get(variant)
            if items is None:
                payloads = stream.render(rows, session.microseconds)
                items = rendered[variant] = stream.wrap(payloads, combined=session.combined)
            session.queue(items)
            self.stats.trades[stream.name] += len(rows)

    def _send_hurt(
        self, host: VenueHost, name: str, stream: TradeStream, session: Session, rows: list[Row]
    ) -> None:
        """One frame after the other, so that a fault strikes at its place."""
        items: list[Item] = []
        latest_ms = 0
        for row, shape in self.faults.steps(name, session.ordinal, rows):
            payloads = stream.render([row], session.microseconds)
            # A frame that comes late must stay behind the one it was swapped with.
            latest_ms = max(latest_ms, row[EMIT])
            frames = stream.wrap(payloads, combined=session.combined)
            frames = reshaped(frames, payloads, shape, self.faults.huge_bytes)
            items += [(latest_ms, text) for _, text in frames]
            self.stats.trades[stream.name] += 1
            action = self.faults.strike(name, session.ordinal, row[KEY])
            if action is not None:
                session.queue(items)
                items = []
                self._hurt(host, session, action)
        session.queue(items)

    def _hurt(self, host: VenueHost, session: Session, action: str) -> None:
        session.flush()
        if action in VENUE_ACTIONS:
            host.misbehave(action)
        elif action == "half_open":
            session.go_half_open()
        elif action == "deaf":
            session.is_deaf = True
        elif action == "drip":
            session.drip_bytes_per_s = self.faults.drip_bytes_per_s
        elif action == "abort":
            session.abort()
        else:
            session.close(1001, "going away")
