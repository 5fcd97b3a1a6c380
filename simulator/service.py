"""Simulator: hosts, one clock and the player that moves the tapes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from types import TracebackType

from simulator.clock import MAX_SPEED, PlayClock
from simulator.faults import FaultPlan
from simulator.hosts import HOSTS
from simulator.hosts.host import WRITE_LIMIT_BYTES, Host
from simulator.klines import MINUTE_MS
from simulator.tape import Tape

TICK_S = 0.02
SLICE_MS = 1_000
"""At full speed this much tape time is sent before readers are waited for."""
HEARTBEAT_MS = 2_000
TAIL_MS = 10_000


class Simulator:
    """Use as `async with Simulator(tapes) as sim`; `sim.urls` says where it listens.

    `speed`: 0 is as fast as the readers take, 1 is real time. Play starts when `start_after` trade
    streams are subscribed (default: all of them; 0: at once). `finished` is set when every tape
    and its last candle has been sent; after it time goes on in real time.
    """

    def __init__(
        self,
        tapes: Sequence[Tape],
        *,
        speed: float = MAX_SPEED,
        ports: Sequence[int] = (0, 0, 0),
        faults: FaultPlan | None = None,
        start_after: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.tapes = list(tapes)
        self.faults = faults or FaultPlan()
        self.clock = PlayClock(min(tape.start_ms for tape in self.tapes), speed)
        self.ports = ports
        self.context = context
        self.finished = asyncio.Event()
        self.started = asyncio.Event()
        self.hosts: dict[str, Host] = {}
        for name, ((venue, market), make) in HOSTS.items():
            own = [
                t
                for t in self.tapes
                if t.listing.venue == venue and market in (None, t.listing.market)
            ]
            self.hosts[name] = make(own, self.clock, self.faults)
        wanted = sum(len(host.trade_streams()) for host in self.hosts.values())
        self.start_after = wanted if start_after is None else start_after
        self._player: asyncio.Task[None] | None = None
        self._beat_ms = 0

    async def __aenter__(self) -> Simulator:
        for host, port in zip(self.hosts.values(), self.ports, strict=True):
            host.on_subscribe = self._subscribed
            await host.start(port, self.context)
        self._subscribed()
        self._player = asyncio.create_task(self._play())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._player is not None:
            self._player.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._player
        for host in self.hosts.values():
            await host.close()

    @property
    def urls(self) -> dict[str, str]:
        """Base URLs by setting name, without the prefix: `binance_spot_ws_url` and so on."""
        secure = "s" if self.context is not None else ""
        urls = {}
        for name, host in self.hosts.items():
            urls[f"{name}_ws_url"] = f"ws{secure}://127.0.0.1:{host.port}"
            urls[f"{name}_rest_url"] = f"http{secure}://127.0.0.1:{host.port}"
        return urls

    def _subscribed(self) -> None:
        count = sum(len(h.subscribed() & h.trade_streams()) for h in self.hosts.values())
        if count >= self.start_after:
            self.clock.start()
            self.started.set()

    async def close_all_connections(self, *, abort: bool = False) -> None:
        """End every WebSocket of every host."""
        for host in self.hosts.values():
            await host.close_all_connections(abort=abort)

    # Playing

    async def _play(self) -> None:
        await self.started.wait()
        while (next_ms := self._next_ms()) is not None:
            if self.clock.speed == MAX_SPEED:
                await self._wait_for_readers()
                until = next_ms - next_ms % SLICE_MS + SLICE_MS - 1
                self._deliver(until)
                self.clock.move(until)
                await asyncio.sleep(0)
            else:
                self._deliver(self.clock.tape_ms())
                await asyncio.sleep(TICK_S)
        await self._close_last_minute()
        await self._idle()

    def _next_ms(self) -> int | None:
        times = [at for tape in self.tapes if (at := tape.next_ms()) is not None]
        return min(times, default=None)

    async def _wait_for_readers(self) -> None:
        """Back-pressure: no reader may have more than WRITE_LIMIT_BYTES waiting."""
        # A transport tells nobody when it drains, so it is asked.
        while not any(host.clients for host in self.hosts.values()) or any(  # noqa: ASYNC110
            host.slowest_bytes() > WRITE_LIMIT_BYTES for host in self.hosts.values()
        ):
            await asyncio.sleep(0.002)

    def _deliver(self, until_ms: int) -> None:
        """Send everything up to `until_ms`; a closed candle follows the trades of its minute."""
        beat = until_ms - self._beat_ms >= HEARTBEAT_MS
        for host in self.hosts.values():
            for market in host.markets.values():
                prints, raws = market.tape.play(until_ms)
                start = 0
                for place, p in enumerate(prints):
                    if market.book.open and p.event_ms >= market.book.open.start_ms + MINUTE_MS:
                        early = [r for r in raws if r.event_ms < p.event_ms]
                        raws = raws[len(early) :]
                        before = prints[start:place]
                        host.deliver(market, before, early, market.book.add([p]))
                        start = place
                    else:
                        market.book.add([p])
                host.deliver(market, prints[start:], raws, market.book.close_before(until_ms))
                if beat:
                    host.heartbeat(market)
        if beat:
            self._beat_ms = until_ms

    async def _close_last_minute(self) -> None:
        """The tape is over: its last minute ends as well."""
        end = max(tape.end_ms or 0 for tape in self.tapes)
        until = end - end % MINUTE_MS + MINUTE_MS + TAIL_MS
        if self.clock.speed == MAX_SPEED:
            self.clock.move(until)
        while self.clock.tape_ms() < until:
            self._deliver(self.clock.tape_ms())
            await asyncio.sleep(TICK_S)
        self._deliver(until)
        self.clock.run_on()
        self.finished.set()

    async def _idle(self) -> None:
        """After the tape: candles of quiet minutes, in real time."""
        while True:
            self._deliver(self.clock.tape_ms())
            for host in self.hosts.values():
                for market in host.markets.values():
                    host.heartbeat(market)
            await asyncio.sleep(0.25)
