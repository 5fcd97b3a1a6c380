"""Publishing on JetStream: many packets under way at once, each repeated until it is stored.

A window is packets of different instruments: they are sent together and wait for their answers
together, so an instrument's packets stay in order. A packet that is about several instruments is a
window of its own: everything before it is stored before it is sent, and it before what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from backbone.bus.base import TRADES
from backbone.bus.wire import Packet, packets
from backbone.clock import monotonic_s
from orderflow.errors import BusError

if TYPE_CHECKING:
    from backbone.bus.nats import NatsBus

log = structlog.get_logger()
MOST_UNDER_WAY = 64
STORE_S = 1.0
"""A packet that was not answered in this time is sent again under its id."""
PACKETS_PER_S = {1: 2_000, 3: 500}
"""A feed sends its trades in no more packets than this, by how many brokers keep each: what comes
meanwhile fills the next ones, and costs nothing there."""
EVERY_S = {1: 0.0, 3: 0.4}
"""Nor more often than this: brokers that agree on each packet wake each other for it, and many
that come together cost them little more than one."""
LEADERLESS_ROUNDS = 10
"""Nobody answers for a topic while its leader is chosen; after so many tries it is looked for."""
NOBODY = "503"
FULL = frozenset({10047, 10077})
"""The stream has no room until something expires."""
UNDER_WAY = frozenset({10158})
"""The same id is being stored at this moment."""
SERVER_FAULT = 500


class Numbered(NamedTuple):
    """A packet and the id that the broker knows it by."""

    number: str
    packet: Packet


class Refusal(msgspec.Struct):
    """Why the broker did not store a packet."""

    code: int = 0
    err_code: int = 0


class Answer(msgspec.Struct):
    """What the broker says to a packet."""

    stream: str = ""
    error: Refusal | None = None


ANSWERS = msgspec.json.Decoder(Answer)


class Window:
    """Answers to packets that were sent together; None for those that have none yet."""

    def __init__(self, count: int) -> None:
        self.answers: list[Answer | None] = [None] * count
        self.left = count
        self.over = asyncio.Event()

    def answered(self, place: int, answer: Answer) -> None:
        """One more."""
        self.answers[place] = answer
        self.left -= 1
        if not self.left:
            self.over.set()


class Publisher:
    """The publishing half of a bus."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus
        self._instance = secrets.token_hex(8)
        self._sent = 0
        self._asked = 0
        self._order: dict[str, asyncio.Lock] = {}
        self._windows: dict[str, tuple[Window, int]] = {}
        self._inbox = ""
        self._unheard = 0

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Store messages in order; waits while the broker is away or the topic is full."""
        # Two publishers of one process keep their order between packets as well.
        async with self._order.setdefault(topic, asyncio.Lock()):
            began_s, before = monotonic_s(), self._sent
            await self._send(topic, messages)
            sent = self._sent - before
        if topic == TRADES:
            # Who publishes much waits, and nobody for it: a repair does not hold up live trades.
            replicas = self._bus.shape.replicas
            due_s = began_s + max(sent / PACKETS_PER_S[replicas], EVERY_S[replicas])
            await asyncio.sleep(max(0.0, due_s - monotonic_s()))

    async def _send(self, topic: str, messages: Sequence[object]) -> None:
        """All packets, a window after the other."""
        window: list[Packet] = []
        subjects: set[str] = set()
        for packet in packets(topic, messages):
            is_full = len(window) >= MOST_UNDER_WAY or packet.subject in subjects
            if window and (is_full or not packet.single):
                await self._stored(topic, window)
                window, subjects = [], set()
            window.append(packet)
            subjects.add(packet.subject)
            if not packet.single:
                await self._stored(topic, window)
                window, subjects = [], set()
        if window:
            await self._stored(topic, window)

    def disturbed(self) -> None:
        """The connection is gone or something was refused: nobody waits for its answers."""
        for window, _ in self._windows.values():
            window.over.set()

    async def _stored(self, topic: str, window: Sequence[Packet]) -> None:
        """Returns when every packet is stored; BusError when one never will be."""
        bus = self._bus
        waiting = []
        for packet in window:
            self._sent += 1
            waiting.append(Numbered(f"{self._instance}-{self._sent}", packet))
        while True:
            await bus.stream(topic)
            await bus.connect()
            bus.refused = ""
            answers: list[Answer | None] = [None] * len(waiting)
            if bus.connected:
                with contextlib.suppress(NatsError, OSError):
                    answers = await self._round(waiting)
            waiting = self._unstored(topic, waiting, answers)
            if not waiting:
                bus.breaker.succeeded()
                return
            if bus.refused:
                raise BusError(bus.refused)
            now_s = monotonic_s()
            bus.breaker.failed(now_s)
            wait_s = bus.breaker.wait_s(now_s)
            await (bus.pause(wait_s) if bus.connected else bus.until_up(wait_s))

    async def _round(self, waiting: Sequence[Numbered]) -> list[Answer | None]:
        """Send all, and wait for the answers for a while."""
        client = self._bus.raw()
        if not self._inbox:
            inbox = client.new_inbox()
            await client.subscribe(f"{inbox}.*", cb=self._heard)
            self._inbox = inbox
        window, tokens = Window(len(waiting)), []
        try:
            for place, (number, packet) in enumerate(waiting):
                self._asked += 1
                token = f"{self._inbox}.{self._asked}"
                self._windows[token] = window, place
                tokens.append(token)
                headers: dict[str, Any] = {"Nats-Msg-Id": number}
                await client.publish(packet.subject, packet.data, reply=token, headers=headers)
            async with asyncio.timeout(STORE_S):
                await window.over.wait()
        except TimeoutError:
            pass
        finally:
            for token in tokens:
                del self._windows[token]
        return window.answers

    async def _heard(self, message: Msg) -> None:
        """The broker's answer to one packet."""
        window, place = self._windows.get(message.subject, (None, 0))
        if window is None:
            return
        if (message.headers or {}).get("Status") == NOBODY:
            window.answered(place, Answer())
            return
        try:
            window.answered(place, ANSWERS.decode(message.data))
        except msgspec.MsgspecError:
            log.warning("bus.unreadable", topic=message.subject, position=0, error="an answer")

    def _unstored(
        self, topic: str, waiting: Sequence[Numbered], answers: Sequence[Answer | None]
    ) -> list[Numbered]:
        """What has to be sent again; BusError for what will never be taken."""
        left, heard = [], False
        for numbered, answer in zip(waiting, answers, strict=True):
            if answer is not None and answer.stream and answer.error is None:
                heard = True
                continue
            left.append(numbered)
            if answer is None or answer.error is None:
                continue
            heard = True
            error, subject = answer.error, numbered.packet.subject
            if error.err_code in FULL:
                log.warning("bus.full", subject=subject)
            elif error.code < SERVER_FAULT and error.err_code not in UNDER_WAY:
                raise BusError(f"the bus refuses {subject}: {error.err_code}")
        self._unheard = 0 if heard else self._unheard + 1
        if self._unheard >= LEADERLESS_ROUNDS:
            self._unheard = 0
            self._bus.forget(topic)
        return left
