"""A listener on loopback: REST requests with keep-alive, and WebSocket sessions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from simulator.clock import loop_s
from simulator.limits import Limits
from simulator.stats import Stats
from simulator.wire.http import (
    BODY_LIMIT_BYTES,
    HEAD_LIMIT_BYTES,
    HttpRequest,
    HttpResponse,
    parse_head,
)
from simulator.wire.session import BACKLOG_LIMIT_BYTES, Session

READ_BYTES = 64 * 1024
CLOSE_WAIT_S = 1.0
KERNEL_PATIENCE_S = 180.0
"""So long a dead connection is kept before its TCP gives up; clients notice much earlier."""


class Listener:
    """Base of a simulated host: owns the socket and its sessions; venues fill in the rest.

    All waits are wall-clock; trades and candles come from the player through `Session.queue`.
    """

    name = "host"
    ping_interval_s: float | None = 20.0
    pong_timeout_s = 60.0
    messages_per_s: int | None = None
    connects_per_window = 300

    def __init__(self, limits: Limits, stats: Stats) -> None:
        self.limits = limits
        self.stats = stats
        self.sessions: list[Session] = []
        self.port = 0
        self.refuse: Callable[[HttpRequest], HttpResponse | None] = lambda request: None
        self.on_subscribe: Callable[[], None] = lambda: None
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._connect_times: list[float] = []

    # What venues answer

    def rest(self, request: HttpRequest, peer: str) -> HttpResponse:
        """The answer to a REST request."""
        return HttpResponse({"code": -1, "msg": f"no such path: {request.path}"}, 404)

    def opened(self, session: Session) -> HttpResponse | None:
        """Set up a session from its URL; a response refuses the upgrade."""
        return HttpResponse({"msg": "no WebSocket here"}, 404)

    def said(self, session: Session, text: str) -> None:
        """A client's message."""

    def ended(self, session: Session) -> None:
        """A session is over."""

    def rest_fault(self) -> HttpResponse | None:
        """What is answered instead, if the venue fails; status 0 cuts the connection."""
        return None

    def farewell(self, session: Session) -> None:
        """What the venue says before it ends a connection on purpose."""

    # Listening

    async def start(self, port: int, context: ssl.SSLContext | None) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", port, ssl=context, limit=HEAD_LIMIT_BYTES, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.close(1001, "going away")
            if session.is_half_open:
                session.abort()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WAIT_S)
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._server is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), CLOSE_WAIT_S)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = parse_head(head)
                if request.is_upgrade:
                    await self._websocket(request, reader, writer)
                    return
                if not await self._rest(request, reader, writer):
                    return
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ConnectionError,
            ssl.SSLError,
            ValueError,
        ):
            return
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), CLOSE_WAIT_S)

    async def _rest(
        self, request: HttpRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if request.body_bytes > BODY_LIMIT_BYTES:
            return False
        await reader.readexactly(request.body_bytes)
        self.stats.rest_calls[request.path] += 1
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        fault = self.rest_fault()
        if fault is not None and fault.status == 0:
            return False
        if fault is not None:
            response = fault
        elif request.method in ("GET", "HEAD"):
            response = self.rest(request, peer)
        else:
            response = HttpResponse({"code": -1, "msg": "only GET is served"}, 405)
        writer.write(
            response.encode(keep_alive=request.keeps_alive, with_body=request.method != "HEAD")
        )
        await writer.drain()
        return request.keeps_alive

    # WebSocket

    async def _websocket(
        self, request: HttpRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        refusal = self._refused(request)
        protocol = ServerProtocol(max_size=1 << 20)
        session = Session(protocol, writer, request)
        if refusal is None:
            refusal = self.opened(session)
        if refusal is not None:
            self.stats.refused_connects += 1
            writer.write(refusal.encode(keep_alive=False))
            await writer.drain()
            return
        protocol.receive_data(request.head)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
        session.pump()
        if not session.is_open:
            return
        self.stats.connects[self.name] += 1
        session.ordinal = self.stats.connects[self.name]
        session.last_message_s = session.heard_until_s = loop_s()
        self.sessions.append(session)
        if session.streams:
            self.on_subscribe()
        guard = asyncio.create_task(self._guard(session))
        try:
            await self._listen(session, reader)
        finally:
            guard.cancel()
            self.sessions.remove(session)
            self.ended(session)
            await session.ended()

    def _refused(self, request: HttpRequest) -> HttpResponse | None:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        now_s = loop_s()
        window_s = self.limits.connect_window_s
        self._connect_times = [at for at in self._connect_times if now_s - at < window_s]
        self._connect_times.append(now_s)
        if len(self._connect_times) > (self.limits.connects_per_window or self.connects_per_window):
            return HttpResponse({"msg": "too many connections"}, 429, {"Retry-After": "60"})
        return None

    async def _listen(self, session: Session, reader: asyncio.StreamReader) -> None:
        while True:
            await session.muted.wait()
            data = await reader.read(READ_BYTES)
            if session.is_half_open or (session.is_deaf and data):
                continue
            for frame in session.receive(data):
                self._take(session, frame.opcode, bytes(frame.data))
            if not data or session.writer.transport.is_closing():
                return

    def _take(self, session: Session, opcode: Opcode, data: bytes) -> None:
        now_s = loop_s()
        if opcode is Opcode.PONG and session.take_pong(data):
            return
        session.last_message_s = now_s
        if self._too_fast(session, now_s):
            self.kick(session, 1008, "Too many requests")
        elif opcode is Opcode.TEXT and session.is_open:
            text = data.decode("utf-8", "replace")
            if self.limits.answer_delay_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self.limits.answer_delay_s, self._heard, session, text)
            else:
                self.said(session, text)

    def _heard(self, session: Session, text: str) -> None:
        if session.is_open:
            self.said(session, text)

    def _too_fast(self, session: Session, now_s: float) -> bool:
        allowed = self.limits.messages_per_s or self.messages_per_s
        if allowed is None:
            return False
        session.messages.append(now_s)
        while now_s - session.messages[0] > 1:
            session.messages.popleft()
        return len(session.messages) > allowed

    def kick(self, session: Session, code: int, reason: str) -> None:
        """End a session because it broke a rule or its time is over."""
        if session.is_open:
            self.stats.kicks[reason] += 1
            session.close(code, reason)

    async def _guard(self, session: Session) -> None:
        """Pings, the pong deadline, silence and the end of life of one session."""
        interval_s = self.limits.ping_interval_s or self.ping_interval_s
        timeout_s = self.limits.pong_timeout_s or self.pong_timeout_s
        born_s = pinged_s = loop_s()
        said_farewell = False
        pulse_s = min(1.0, (interval_s or 4.0) / 4, timeout_s / 4, self.limits.life_s / 8)
        while session.is_open:
            await asyncio.sleep(pulse_s)
            now_s = loop_s()
            if session.is_half_open:
                if now_s - session.heard_until_s > KERNEL_PATIENCE_S:
                    session.abort()
                continue
            session.heard_until_s = now_s
            age_s = now_s - born_s
            waiting = session.awaited_pongs.values()
            if waiting and now_s - min(waiting) > timeout_s:
                self.kick(session, 1008, "Pong timeout")
            elif interval_s is None and now_s - session.last_message_s > self.limits.silence_cut_s:
                self.kick(session, 1000, "Silence")
            elif age_s > self.limits.life_s:
                self.kick(session, 1001, "End of life")
            elif session.backlog_bytes > BACKLOG_LIMIT_BYTES:
                self.stats.kicks["Slow reader"] += 1
                session.abort()
            elif interval_s is not None and now_s - pinged_s >= interval_s:
                pinged_s = now_s
                session.ping(str(int(now_s * 1000)).encode(), now_s)
            notice_s = self.limits.shutdown_notice_s
            if notice_s and not said_farewell and age_s > self.limits.life_s - notice_s:
                said_farewell = True
                self.farewell(session)
        # A client that does not answer the close frame is cut off.
        await asyncio.sleep(CLOSE_WAIT_S)
        session.writer.close()
