"""An event loop whose time jumps to the next timer, and a network inside it.

Servers and clients use asyncio's own interfaces; bytes travel between two in-memory transports
with a fixed latency. Nothing outside the process takes part, so a run depends on its seed alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

from backbone.clock import wall_clock
from wadm.chaos.eventlog import EventLog
from wadm.chaos.timeless import TimelessLoop

LATENCY_S = 0.001
HIGH_WATER_BYTES = 1 << 20
FIRST_PORT = 20_000
WALL_NS = 1_735_689_600 * 10**9 - 1_000 * 10**9


class FakeSocket:
    """What libraries ask a transport's socket for."""

    family = 2

    def __init__(self, own: tuple[str, int], peer: tuple[str, int]) -> None:
        self._own, self._peer = own, peer

    def getsockname(self) -> tuple[str, int]:
        """Our address."""
        return self._own

    def getpeername(self) -> tuple[str, int]:
        """The other's address."""
        return self._peer

    def setsockopt(self, *_: Any) -> None:
        """Options mean nothing here."""

    def fileno(self) -> int:
        """No descriptor."""
        return -1


class MemoryTransport(asyncio.Transport):
    """One end of a connection; `peer` is the other."""

    def __init__(self, loop: VirtualLoop, protocol: asyncio.BaseProtocol, sock: FakeSocket) -> None:
        super().__init__({"socket": sock, "sockname": sock._own, "peername": sock._peer})
        self._loop = loop
        self._port = sock.getsockname()[1]
        self._protocol = protocol
        self.peer: MemoryTransport | None = None
        self._closing = self._lost = self._reading_paused = self._writing_paused = False
        self._waiting = bytearray()
        self._eof = False
        self._high = HIGH_WATER_BYTES

    # What protocols and streams use

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in use."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes over."""
        self._protocol = protocol

    def write(self, data: Any) -> None:
        """Bytes for the other end."""
        if self._closing or not data or self.peer is None:
            return
        self._loop.call_later(LATENCY_S, self.peer.arrived, bytes(data))

    def can_write_eof(self) -> bool:
        """Half-close is known."""
        return True

    def write_eof(self) -> None:
        """No more bytes from here."""
        if self.peer is not None:
            self._loop.call_later(LATENCY_S, self.peer.ended)

    def is_closing(self) -> bool:
        """True once closed or aborted."""
        return self._closing

    def close(self) -> None:
        """Say goodbye after what was written."""
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._loop.call_later(LATENCY_S, self._finish, None)

    def abort(self) -> None:
        """A reset: the other end sees it as an error."""
        if not self._closing:
            self._closing = True
            if self.peer is not None:
                reset = ConnectionResetError("reset by peer")
                self._loop.call_later(LATENCY_S, self.peer.broken, reset)
            self._loop.call_soon(self._finish, None)

    def pause_reading(self) -> None:
        """Hold what arrives."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Deliver what was held."""
        self._reading_paused = False
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._loop.call_soon(self.arrived, data)
        if self._eof:
            self._loop.call_soon(self.ended)
        if self.peer is not None:
            self.peer.peer_reads()

    def is_reading(self) -> bool:
        """False while paused."""
        return not self._reading_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Where writing pauses; never at nothing, since what travels counts as taken."""
        self._high = max(high or HIGH_WATER_BYTES, 65_536)

    def get_write_buffer_size(self) -> int:
        """What the other end has not taken."""
        return len(self.peer._waiting) if self.peer is not None else 0

    # From the other end

    def arrived(self, data: bytes) -> None:
        """Bytes came in."""
        if self._lost or self._closing:
            return
        self._loop.log.arrived(self._port, len(data))
        if self._reading_paused:
            self._waiting += data
            if self.peer is not None:
                self.peer.peer_full(len(self._waiting))
            return
        cast(asyncio.Protocol, self._protocol).data_received(data)

    def ended(self) -> None:
        """The other end sends no more."""
        if self._lost:
            return
        if self._reading_paused and self._waiting:
            self._eof = True
            return
        self._eof = False
        keep = cast(asyncio.Protocol, self._protocol).eof_received()
        if not keep:
            self.close()

    def broken(self, error: Exception) -> None:
        """The other end reset."""
        self._closing = True
        self._finish(error)

    def peer_full(self, count: int) -> None:
        """The other end holds so much unread: pause writing."""
        if count > self._high and not self._writing_paused and not self._lost:
            self._writing_paused = True
            self._protocol.pause_writing()

    def peer_reads(self) -> None:
        """The other end reads again."""
        if self._writing_paused and not self._lost:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _finish(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)


class MemoryServer:
    """A listening port of the in-memory network."""

    def __init__(self, loop: VirtualLoop, factory: Callable[[], Any], port: int) -> None:
        self._loop = loop
        self.factory = factory
        self.port = port
        self.sockets = (FakeSocket(("127.0.0.1", port), ("", 0)),)

    def close(self) -> None:
        """Take no more connections."""
        self._loop.servers.pop(self.port, None)

    async def wait_closed(self) -> None:
        """Closed already."""

    def is_serving(self) -> bool:
        """True until closed."""
        return self.port in self._loop.servers


class VirtualLoop(TimelessLoop):
    """Time starts at 1000 s and jumps; connections stay inside."""

    def __init__(self) -> None:
        super().__init__()
        self.log = EventLog(self.time)
        self._ports = FIRST_PORT
        self.servers: dict[int, MemoryServer] = {}

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """At once, in this thread: another one would have a time of its own."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the caller's, as from a thread
            done.set_exception(error)
        return done

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> MemoryServer:
        """Listen inside."""
        self._ports += 1
        server = MemoryServer(self, protocol_factory, port or self._ports)
        self.servers[server.port] = server
        return server

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> tuple[MemoryTransport, Any]:
        """Connect inside; refused where nobody listens."""
        await asyncio.sleep(LATENCY_S)
        server = self.servers.get(port)
        if server is None:
            raise ConnectionRefusedError(f"nobody listens on {port}")
        self._ports += 1
        here, there = ("127.0.0.1", self._ports), ("127.0.0.1", server.port)
        client_protocol, server_protocol = protocol_factory(), server.factory()
        client = MemoryTransport(self, client_protocol, FakeSocket(here, there))
        accepted = MemoryTransport(self, server_protocol, FakeSocket(there, here))
        client.peer, accepted.peer = accepted, client
        server_protocol.connection_made(accepted)
        client_protocol.connection_made(client)
        return client, client_protocol


def run_virtual(work: Callable[[VirtualLoop], Awaitable[Any]], *, keep_lines: bool = False) -> Any:
    """Run to the end in a loop of its own; wall time is virtual, chance starts anew."""
    loop = VirtualLoop()
    loop.log = EventLog(loop.time, keep_lines=keep_lines)
    random.seed(0)
    try:
        asyncio.set_event_loop(loop)
        with wall_clock(lambda: WALL_NS + int(loop.time() * 1e9)):
            return loop.run_until_complete(work(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
