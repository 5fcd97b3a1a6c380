"""One reader of a topic on JetStream: a durable cursor, pulled ahead a little, put back when lost.

The cursor acknowledges everything up to a position at once. It is made anew at each start and
whenever it falls silent, behind what was delivered last, so a broker that restarts, a connection
that breaks and a cursor that expired are all one case.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as RawSubscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo
from nats.js.errors import BadRequestError, NotFoundError

from backbone.bus.base import FROM_ACK, OLDEST, Delivery
from backbone.bus.nats_topic import filters_of
from backbone.bus.partition import Partition
from backbone.bus.wire import decode
from orderflow.errors import BusError

if TYPE_CHECKING:
    from backbone.bus.nats import NatsBus

log = structlog.get_logger()
BATCH = 256
"""Packets asked for at a time: what a reader that is busy has waiting."""
PULL_S = 30.0
HEARTBEAT_S = 1.0
SILENT_S = 3.5
"""Without a packet and without a heartbeat for so long the cursor is taken for lost."""
PATIENCE = 6
"""How often a replicated cursor is asked for before it is made anew."""
KEPT_S = 3_600.0
ACK_WAIT_S = 3_600.0
SECOND_NS = 1_000_000_000
GONE = frozenset({"404", "409", "503"})


class NatsSubscription:
    """Implements the subscription port."""

    def __init__(
        self,
        bus: NatsBus,
        topic: str,
        name: str,
        info: StreamInfo | None,
        partition: Partition | None = None,
    ) -> None:
        self._bus = bus
        self._partition = partition
        self._filters: list[str] | None = None
        self._topic = topic
        self._stream = topic.upper()
        self._name = name
        self._first = max(1, info.state.first_seq) if info is not None else 1
        self._newest = info.state.last_seq if info is not None else 0
        self.epoch = _epoch(info)
        self.gapless = False
        self._last = 0
        self._arrived: deque[Delivery] = deque()
        self._replies: deque[tuple[int, str]] = deque()
        self._news = asyncio.Event()
        self._due = 0
        self._lost = False
        self._closed = False
        self._is_kept_elsewhere = False
        """The position is in a checkpoint: one broker may keep the cursor; it is made anew."""
        self._inbox: RawSubscription | None = None

    async def start(self, after: int, epoch: str) -> None:
        """Put the cursor behind `after`, or behind what this name acknowledged, or at the end."""
        self._is_kept_elsewhere = after != FROM_ACK
        if after > FROM_ACK and epoch in ("", self.epoch) and after <= self._newest:
            self._last = after
        elif after == FROM_ACK:
            known = await self._acknowledged()
            self._last = self._newest if known is None else known
            after = OLDEST if known is None else known
        else:
            self._last = self._first - 1
            after = OLDEST
        self.gapless = after != OLDEST and self._last + 1 >= self._first
        self._last = max(self._last, self._first - 1)
        await self._place()

    async def _acknowledged(self) -> int | None:
        """The position this name acknowledged, where the broker still knows it."""
        while True:
            js = await self._bus.connect()
            self._bus.refused = ""
            try:
                info = await js.consumer_info(self._stream, self._name)
            except NotFoundError:
                return None
            except (NatsError, TimeoutError, OSError) as error:
                self._bus.check_refused(error)
                await self._bus.until_up(SILENT_S)
                continue
            return None if info.ack_floor is None else int(info.ack_floor.stream_seq)

    async def _place(self) -> None:
        """Make the cursor behind what was delivered last; tries until the broker is there."""
        asked: tuple[int, str] | None = None
        tries = 0
        while not self._closed:
            js = await self._bus.connect()
            self._bus.refused = ""
            try:
                self._check(await self._bus.stream(self._topic, fresh=True))
                # Brokers that choose a cursor's leader do so sooner when left alone; a cursor that
                # was given to a broker that is gone has to be made anew.
                patience = 1 if self._is_kept_elsewhere else PATIENCE
                tries += 1
                if asked != (self._last, self.epoch) or tries > patience:
                    tries = 0
                    await self._drop_inbox()
                    with contextlib.suppress(NotFoundError):
                        await js.delete_consumer(self._stream, self._name)
                    client = self._bus.raw()
                    self._inbox = await client.subscribe(client.new_inbox(), cb=self._take)
                    asked = self._last, self.epoch
                await js.add_consumer(self._stream, self._config())
                if _epoch(await self._bus.stream(self._topic, fresh=True)) != self.epoch:
                    continue
            except BadRequestError as error:
                raise BusError(f"no cursor on {self._stream}: {error.description}") from error
            except (NatsError, TimeoutError, OSError) as error:
                self._bus.check_refused(error)
                log.info("bus.cursor_waits", topic=self._stream, error=type(error).__name__)
                await self._bus.until_up(SILENT_S)
                await asyncio.sleep(HEARTBEAT_S / 4)
                continue
            self._due, self._lost = 0, False
            return
        raise BusError("the bus is closed")

    def _check(self, info: StreamInfo | None) -> None:
        """A stream that was made anew counts from one again."""
        if info is None:
            return
        self._filters = filters_of(self._topic, self._partition, info.config)
        epoch = _epoch(info)
        if epoch != self.epoch:
            self.epoch, self.gapless = epoch, False
            self._last = max(1, info.state.first_seq) - 1
            self._replies.clear()

    def _config(self) -> ConsumerConfig:
        return ConsumerConfig(
            name=self._name,
            durable_name=self._name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._last + 1,
            filter_subjects=self._filters,
            num_replicas=1 if self._is_kept_elsewhere else None,
            mem_storage=self._is_kept_elsewhere or None,
            ack_policy=AckPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=-1,
            max_waiting=4,
            inactive_threshold=KEPT_S,
        )

    async def _take(self, message: Msg) -> None:
        """A packet, or a word about the pull."""
        status = (message.headers or {}).get("Status")
        if status is not None:
            if status != "100":
                self._due = 0
                self._lost = self._lost or (status in GONE and status != "404")
            self._news.set()
            return
        self._due -= 1
        position = int(message.reply.split(".")[-4])
        if position <= self._last:
            return
        self._last = position
        self._replies.append((position, message.reply))
        try:
            self._arrived.append(Delivery(position, decode(message.data)))
        except BusError as error:
            log.error(  # noqa: TRY400 (the message says it all)
                "bus.unreadable", topic=self._stream, position=position, error=str(error)
            )
        self._news.set()

    async def next(self) -> list[Delivery]:
        """Everything waiting, at least one delivery; BusError once closed and empty."""
        while not self._arrived:
            if self._closed:
                raise BusError("the bus is closed")
            self._news.clear()
            if self._due <= 0:
                await self._pull()
            try:
                async with asyncio.timeout(SILENT_S):
                    await self._news.wait()
            except TimeoutError:
                self._lost = True
            if self._lost and not self._closed:
                await self._place()
        deliveries = list(self._arrived)
        self._arrived.clear()
        return deliveries

    async def _pull(self) -> None:
        """Ask for the next packets; they come as they are published."""
        if self._inbox is None:
            return
        wanted: dict[str, Any] = {
            "batch": BATCH,
            "expires": int(PULL_S * SECOND_NS),
            "idle_heartbeat": int(HEARTBEAT_S * SECOND_NS),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        try:
            await self._bus.raw().publish(
                subject, msgspec.json.encode(wanted), reply=self._inbox.subject
            )
        except (NatsError, OSError):
            self._lost = True
            return
        self._due = BATCH

    async def ack(self, position: int) -> None:
        """Everything up to this position is durable elsewhere."""
        reply = ""
        while self._replies and self._replies[0][0] <= position:
            reply = self._replies.popleft()[1]
        if reply and not self._closed:
            with contextlib.suppress(NatsError, OSError, BusError):
                await self._bus.raw().publish(reply, b"+ACK")

    async def close(self) -> None:
        """Stop reading; the cursor stays for the next reader of this name."""
        self._closed = True
        self._news.set()
        await self._drop_inbox()

    async def _drop_inbox(self) -> None:
        raw, self._inbox = self._inbox, None
        if raw is not None:
            with contextlib.suppress(NatsError, OSError):
                await raw.unsubscribe()


def _epoch(info: StreamInfo | None) -> str:
    """The moment the stream was made: no other life of it has the same."""
    return "" if info is None or info.created is None else info.created.isoformat()
