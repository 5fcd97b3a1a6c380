"""NatsBus: topics between processes, on one JetStream node or a cluster of three.

Every topic is a stream. A publisher waits until the stream has stored its packet and repeats it
under the same id while the broker is away or full; a reader pulls at its own pace and is put back
to where it was. Nothing is dropped on either side before its time is over (`nats_topic`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from backbone.breaker import Breaker, BreakerStatus
from backbone.bus.base import FROM_ACK
from backbone.bus.nats_publisher import Publisher
from backbone.bus.nats_reader import NatsSubscription
from backbone.bus.nats_socket import OneSocket
from backbone.bus.nats_topic import Shape, found_or_made
from backbone.bus.partition import Partition
from backbone.bus.wire import inbox
from backbone.clock import monotonic_s
from orderflow.errors import BusError, ConfigError

log = structlog.get_logger()
CONNECT_S = 2
ACK_S = 1.0
"""How long the broker may take to answer a question about a topic."""
RETRY_S = 0.25
LONGEST_RETRY_S = 0.5
PENDING_BYTES = 2**25
ERRORS = (NatsError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Link:
    """Where the broker is, and who we are there: a role and its certificate."""

    url: str
    role: str
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def urls(self) -> list[str]:
        """The brokers of a cluster, by comma in the setting; any of them will do."""
        return [part.strip() for part in self.url.split(",") if part.strip()]

    def context(self) -> ssl.SSLContext:
        """Verifies the broker and shows our certificate; ConfigError names the setting."""
        for name, value in (
            ("WADM_NATS_CA_FILE", self.ca_file),
            ("WADM_NATS_CERT_FILE", self.cert_file),
            ("WADM_NATS_KEY_FILE", self.key_file),
        ):
            if not value:
                raise ConfigError(f"{name} is needed: the bus between processes is always TLS")
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the files of WADM_NATS_*_FILE can't be used: {type(error).__name__}"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class NatsBus:
    """Implements the bus port for one process. `owner`: may make streams, others wait for them."""

    def __init__(self, link: Link, *, owner: bool = False, shape: Shape | None = None) -> None:
        self.link = link
        self.owner = owner
        self.shape = shape or Shape()
        self.closed = False
        self._client: Client | None = None
        self._socket = OneSocket()  # type: ignore[no-untyped-call]
        self._connecting = asyncio.Lock()
        self._up = asyncio.Event()
        self._end = asyncio.Event()
        self._readers: list[NatsSubscription] = []
        self._streams: set[str] = set()
        self._known: set[str] = set()
        self._publisher = Publisher(self)
        self.refused = ""
        self.breaker = Breaker(
            "bus", random.random, threshold=1, first_s=RETRY_S, longest_s=LONGEST_RETRY_S
        )
        self._away = False

    @property
    def connected(self) -> bool:
        """False while the broker is away."""
        return self._up.is_set() and not self.closed

    def breakers(self) -> list[BreakerStatus]:
        """What guards publishing."""
        return [self.breaker.status(monotonic_s())]

    # Connection

    async def connect(self) -> JetStreamContext:
        """The connection, made when first needed; tries until the broker is there."""
        if self.closed:
            raise BusError("the bus is closed")
        async with self._connecting:
            if self._client is None:
                self._client = await self._connected()
        return self._client.jetstream(timeout=ACK_S)

    async def _connected(self) -> Client:
        """The client library itself tries for ever; only the end of the bus ends it."""
        client = Client()
        client._transport = self._socket
        options: dict[str, Any] = {
            "name": self.link.role,
            "tls": self.link.context(),
            "connect_timeout": CONNECT_S,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 1,
            "inbox_prefix": inbox(self.link.role),
            "pending_size": PENDING_BYTES,
            "disconnected_cb": self._lost,
            "reconnected_cb": self._back,
            "error_cb": self._noted,
        }
        connecting = asyncio.create_task(client.connect(self.link.urls, **options))
        ending = asyncio.create_task(self._end.wait())
        try:
            await asyncio.wait({connecting, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            if not connecting.done():
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                self._socket.let_go()
        if connecting.cancelled() or self.closed:
            raise BusError("the bus is closed")
        connecting.result()
        self._up.set()
        return client

    async def _lost(self) -> None:
        if not self.closed:
            log.warning("bus.away", role=self.link.role)
        self._up.clear()
        self._publisher.disturbed()

    async def _back(self) -> None:
        log.info("bus.back", role=self.link.role)
        self._up.set()

    async def _noted(self, error: Exception) -> None:
        """An error that belongs to no request: rights are refused this way."""
        if not self._up.is_set() and not self._away:
            self._away = True
            log.warning("bus.away", role=self.link.role, error=type(error).__name__)
        if "permissions violation" in str(error).lower():
            self.refused = str(error)
            log.error("bus.refused", role=self.link.role, error=str(error))
            self._publisher.disturbed()

    def check_refused(self, error: BaseException) -> None:
        """BusError when the broker said that this role may not: waiting would not help."""
        if self.refused:
            raise BusError(self.refused) from error

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the bus."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()
        if self.closed:
            raise BusError("the bus is closed")

    # Publishing

    async def publish(self, topic: str, messages: Sequence[object]) -> None:
        """Store messages in order; waits while the broker is away or the topic is full."""
        if self.closed:
            raise BusError("the bus is closed")
        if messages:
            await self._publisher.publish(topic, messages)

    def forget(self, topic: str) -> None:
        """Look for the topic again before the next packet: nobody answers for it."""
        self._streams.discard(topic.upper())

    # Reading

    async def subscribe(
        self,
        topic: str,
        name: str,
        after: int = FROM_ACK,
        epoch: str = "",
        partition: Partition | None = None,
    ) -> NatsSubscription:
        """Read a topic as `name`; see the port."""
        info = await self.stream(topic, fresh=True)
        reader = NatsSubscription(self, topic, name, info, partition)
        await reader.start(after, epoch)
        self._readers.append(reader)
        return reader

    async def stream(self, topic: str, *, fresh: bool = False) -> StreamInfo | None:
        """Make the topic's stream or wait until its owner has made it; `fresh` asks in any case."""
        name = topic.upper()
        if name in self._streams and not fresh:
            return None
        while True:
            js = await self.connect()
            self.refused = ""
            try:
                info = await found_or_made(
                    js, topic, self.shape, may_make=self.owner, may_change=name not in self._known
                )
            except ERRORS as error:
                self.check_refused(error)
                log.info("bus.waiting", topic=topic, error=type(error).__name__)
                await self.pause(LONGEST_RETRY_S / 2)
                continue
            self._streams.add(name)
            self._known.add(name)
            return info

    # End

    async def close(self) -> None:
        """Wake everybody with BusError and leave the broker."""
        if self.closed:
            return
        self.closed = True
        self._end.set()
        for reader in self._readers:
            await reader.close()
        if self._client is not None:
            with contextlib.suppress(*ERRORS):
                await asyncio.wait_for(self._client.close(), CONNECT_S)
        self._socket.let_go()
        self._up.clear()

    def raw(self) -> Client:
        """The client, for readers."""
        if self._client is None or self.closed:
            raise BusError("the bus is closed")
        return self._client

    async def until_up(self, timeout_s: float) -> None:
        """Returns when the broker is there, the bus is closed or the time is over."""
        waits: set[Any] = {asyncio.ensure_future(e.wait()) for e in (self._up, self._end)}
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
