"""The simulator: hosts, one clock and the player, as one async context."""

from __future__ import annotations

import asyncio
import contextlib
import ssl as ssl_module
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from simulator.candles import DAY_MS
from simulator.clock import MAX, PlayClock, loop_s
from simulator.faults import FaultPlan
from simulator.limits import Limits
from simulator.player import Player
from simulator.stats import Stats
from simulator.tape import Tape, merge_tracks
from simulator.tapes import load_tape, open_tapes
from simulator.venues import HOSTS
from simulator.venues.archive import ArchiveHost
from simulator.wire.listener import Listener

TAIL_MS = 10_000


class Simulator:
    """`async with Simulator(tapes) as sim:` listens on loopback; `sim.urls` says where.

    `speed` is a number (1 is real time) or "max": as fast as the readers take, and with several
    connections none runs more than about 2 s of tape time ahead of another. `start_after` is how
    many trade streams must be subscribed before play starts, or their names; None means the first
    one (a market without end starts at once), 0 at once. `hold` at "max" stands still whenever
    fewer than that are subscribed. `ports` by host name, 0 or absent for a free one. `tail_ms` of
    tape time are played after the last trade's minute has ended; then `finished` is set and time
    goes on in real time.
    """

    def __init__(  # noqa: PLR0913 - keywords, each with its default
        self,
        tapes: Sequence[Tape],
        *,
        speed: float | str = MAX,
        ports: Mapping[str, int] | None = None,
        faults: FaultPlan | None = None,
        start_after: int | Iterable[str] | None = None,
        hold: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        limits: Limits | None = None,
        tail_ms: int = TAIL_MS,
    ) -> None:
        self.tapes = list(tapes)
        self.tracks = merge_tracks(self.tapes)
        _check_together(self.tapes)
        self.faults = faults or FaultPlan()
        self.stats = Stats()
        self.clock = PlayClock(min(track.start_ms for track in self.tracks) - 1, speed, loop_s)
        limits = limits or Limits()
        self.hosts = [
            make(self.tracks, self.clock, limits, self.stats, self.faults) for make in HOSTS
        ]
        self.archive = ArchiveHost(self.tracks, limits, self.stats)
        self.player = Player(self.hosts, self.tracks, self.clock, self.faults, self.stats)
        if start_after is None:
            start_after = 0 if any(track.endless for track in self.tracks) else 1
        self.player.plan(start_after, tail_ms, hold=hold)
        self._ports = dict(ports or {})
        self._ssl = ssl
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Simulator:
        for listener in self._listeners():
            await listener.start(self._ports.get(listener.name, 0), self._ssl)
        self._task = asyncio.create_task(self.player.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.gather(*(listener.stop() for listener in self._listeners()))

    def _listeners(self) -> list[Listener]:
        return [*self.hosts, self.archive]

    @property
    def urls(self) -> dict[str, str]:
        """Base URLs without a trailing slash, under the names of the settings they stand for.

        `<host>_ws_url` is what stands before `/ws`, `/stream`, `/market/...` or `/v5/public/...`.
        """
        secure = "s" if self._ssl is not None else ""
        urls = {}
        for host in self.hosts:
            urls[f"{host.name}_ws_url"] = f"ws{secure}://127.0.0.1:{host.port}"
            urls[f"{host.name}_rest_url"] = f"http{secure}://127.0.0.1:{host.port}"
        archive = f"http{secure}://127.0.0.1:{self.archive.port}"
        return urls | {"binance_archive_url": archive, "bybit_archive_url": archive}

    @property
    def started(self) -> asyncio.Event:
        """Set when play starts."""
        return self.player.started

    @property
    def finished(self) -> asyncio.Event:
        """Set when every subscriber has read the whole tape and its final candles."""
        return self.player.finished

    @property
    def is_finished(self) -> bool:
        """Whether the tape is over."""
        return self.player.finished.is_set()

    def clock_ms(self) -> int:
        """Tape time: what the venues' clocks show (without a fault's offset)."""
        return self.clock.now_ms()

    def list_market(self, name: str, *, listed: bool) -> None:
        """A market of the tape is listed from now on, or delisted; at first all of them are."""
        found = False
        for host in self.hosts:
            if any(track.instrument.name == name for track in host.tracks):
                host.list_market(name, listed=listed)
                found = True
        if not found:
            raise ValueError(f"{name} is not on the tape")

    def start(self) -> None:
        """Play now, whoever listens."""
        self.player.start()

    async def close_all_connections(self, *, abort: bool = False) -> None:
        """End every WebSocket, with a close frame or (abort) with a TCP reset; waits until gone."""
        sessions = [session for host in self.hosts for session in host.sessions]
        for session in sessions:
            if abort or session.is_half_open:
                session.abort()
            else:
                session.close(1001, "going away")
        await asyncio.gather(*(session.closed.wait() for session in sessions))

    def half_open_all(self) -> None:
        """From now on every present connection is dead without a sign."""
        for host in self.hosts:
            for session in host.sessions:
                session.go_half_open()


def _check_together(tapes: Sequence[Tape]) -> None:
    """Tapes that lie days apart would be played with days of silence between them."""
    spans = sorted(
        (track.start_ms, track.start_ms if track.endless else track.end_ms)
        for tape in tapes
        for track in tape.tracks
    )
    if not spans:
        raise ValueError("give at least one tape")
    reach = spans[0][1]
    for start_ms, end_ms in spans:
        if start_ms - reach > DAY_MS:
            raise ValueError("the tapes are more than a day apart: play them one after the other")
        reach = max(reach, end_ms)


__all__ = ["Simulator", "load_tape", "open_tapes"]
