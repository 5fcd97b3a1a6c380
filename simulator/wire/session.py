"""One WebSocket client of a simulated host."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from simulator.wire.http import HttpRequest

Item = tuple[int, str]
"""When it is sent (tape ms) and the frame: its header's bytes as characters, then the JSON."""

HIGH_WATER_BYTES = 256 * 1024
BACKLOG_LIMIT_BYTES = 64 * 1024 * 1024
"""A reader this far behind is dropped, as venues drop slow consumers."""
LOCKSTEP_WAIT_S = 2.0
_LOCKSTEP = b"step:"
_short_headers = tuple(
    f"\x81{chr(size)}" if size < 126 else f"\x81\x7e{chr(size >> 8)}{chr(size & 255)}"
    for size in range(4096)
)


def framed(payload: str) -> str:
    """An unmasked text frame as latin-1 characters; the payload must be ASCII."""
    size = len(payload)
    if size < 4096:
        return _short_headers[size] + payload
    if size < 65_536:
        return f"\x81\x7e{chr(size >> 8)}{chr(size & 255)}{payload}"
    return "\x81\x7f" + size.to_bytes(8, "big").decode("latin-1") + payload


class Session:
    """Subscriptions and outgoing bytes of one connection.

    `streams` are the names it subscribed to, in order. `combined` wraps frames in an envelope.
    `muted` (half-open TCP) neither reads nor writes; `is_deaf` reads without hearing;
    `drip_bytes_per_s` slows writing.
    """

    def __init__(
        self, protocol: ServerProtocol, writer: asyncio.StreamWriter, request: HttpRequest
    ) -> None:
        self.ordinal = 0
        self.request = request
        self.protocol = protocol
        self.writer = writer
        self.streams: dict[str, None] = {}
        self.combined = False
        self.route = ""
        self.microseconds = False
        self.arg_characters = 0
        self.messages: deque[float] = deque()
        self.last_message_s = 0.0
        self.heard_until_s = 0.0
        self.awaited_pongs: dict[bytes, float] = {}
        self.muted = asyncio.Event()
        self.muted.set()
        self.is_deaf = False
        self.drip_bytes_per_s: float | None = None
        self.lockstep_sent = 0
        self.lockstep_answered = 0
        self.lockstep_given_up = False
        self._lockstep_news = asyncio.Event()
        self._queues: list[Sequence[Item]] = []
        self._drip = bytearray()
        self._drip_task: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()
        writer.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    # Fault states

    @property
    def is_half_open(self) -> bool:
        """Whether the connection is dead without having told anyone."""
        return not self.muted.is_set()

    @property
    def _is_lost(self) -> bool:
        """Whether no answer of the client will be heard."""
        return self.is_half_open or self.is_deaf

    def go_half_open(self) -> None:
        """Stop reading and writing, keep the socket."""
        self.muted.clear()

    # Sending

    def queue(self, items: Sequence[Item]) -> None:
        """Items of one stream, in time order, for the next `flush`."""
        if items:
            self._queues.append(items)

    def flush(self) -> tuple[int, int]:
        """Write what is queued in time order; the frames and bytes written."""
        queues, self._queues = self._queues, []
        if not queues or not self.is_open:
            return 0, 0
        items = queues[0]
        if len(queues) > 1:
            items = sorted((item for queue in queues for item in queue), key=itemgetter(0))
        data = "".join([text for _, text in items]).encode("latin-1")
        self._write(data)
        return len(items), len(data)

    def say(self, text: str) -> None:
        """Send one text frame now (control answers)."""
        if self.is_open:
            self.protocol.send_text(text.encode())
            self.pump()

    def ping(self, payload: bytes, now_s: float) -> None:
        """Send a ping whose pong is awaited."""
        if self.is_open:
            self.awaited_pongs[payload] = now_s
            self.protocol.send_ping(payload)
            self.pump()

    def pump(self) -> None:
        """Write what the protocol has to send."""
        for data in self.protocol.data_to_send():
            if data:
                self._write(data)
            elif not self.is_half_open and self.writer.can_write_eof():
                with suppress(OSError, RuntimeError):
                    self.writer.write_eof()

    def _write(self, data: bytes) -> None:
        if self.is_half_open or self.writer.transport.is_closing():
            return
        if self.drip_bytes_per_s is None:
            self.writer.write(data)
            return
        self._drip += data
        if self._drip_task is None or self._drip_task.done():
            self._drip_task = asyncio.create_task(self._drop_by_drop())

    async def _drop_by_drop(self) -> None:
        while self._drip and not self.writer.transport.is_closing():
            rate = self.drip_bytes_per_s or float(len(self._drip))
            piece = max(1, int(rate / 50))
            self.writer.write(bytes(self._drip[:piece]))
            del self._drip[:piece]
            await asyncio.sleep(0.02)

    @property
    def is_open(self) -> bool:
        """Whether data may still be sent."""
        return self.protocol.state is OPEN and not self.writer.transport.is_closing()

    @property
    def backlog_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return len(self._drip) + self.writer.transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Wait until the reader has taken most of what was written (half-open ones never wait)."""
        if self._drip_task is not None and len(self._drip) > HIGH_WATER_BYTES:
            await asyncio.wait([self._drip_task])
        if self.is_open and not self.is_half_open and self.drip_bytes_per_s is None:
            with suppress(ConnectionError):
                await self.writer.drain()

    # Keeping several readers together

    def step(self) -> None:
        """Send a step mark: a ping that the client library answers when it gets there."""
        if self.is_open and not self._is_lost and not self.lockstep_given_up:
            self.lockstep_sent += 1
            self.protocol.send_ping(_LOCKSTEP + str(self.lockstep_sent).encode())
            self.pump()

    async def stepped(self, behind: int = 1) -> None:
        """Wait until all but the last `behind` marks are answered; gives up on mute clients."""
        while (
            self.is_open
            and not self._is_lost
            and not self.lockstep_given_up
            and self.lockstep_answered < self.lockstep_sent - behind
        ):
            self._lockstep_news.clear()
            try:
                await asyncio.wait_for(self._lockstep_news.wait(), LOCKSTEP_WAIT_S)
            except TimeoutError:
                self.lockstep_given_up = True

    def take_pong(self, payload: bytes) -> bool:
        """Note a pong; whether it answers one of our pings."""
        if payload.startswith(_LOCKSTEP):
            self.lockstep_answered = max(self.lockstep_answered, int(payload[len(_LOCKSTEP) :]))
            self._lockstep_news.set()
            return True
        if self.awaited_pongs.pop(payload, None) is None:
            return False
        self.awaited_pongs.clear()
        return True

    # Receiving and ending

    def receive(self, data: bytes) -> Iterable[Frame]:
        """Frames in received bytes; pings are answered by the protocol."""
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode is not Opcode.CLOSE:
                yield event
        self.pump()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        if self.is_open:
            self.protocol.send_close(code, reason)
            self.pump()

    def abort(self) -> None:
        """Reset the TCP connection."""
        raw = self.writer.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        self.muted.set()

    async def ended(self) -> None:
        """Release what the session holds."""
        self.closed.set()
        self.muted.set()
        self._lockstep_news.set()
        if self._drip_task is not None:
            self._drip_task.cancel()
