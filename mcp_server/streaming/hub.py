"""Hub: looks at every topic somebody reads when updates came, and wakes its readers.

An answer is made and encoded once however many read it. A topic that nobody reads is kept up to
date for a while, so that a reader that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

import structlog

from backbone.clock import Monotonic, monotonic_s, wall_ms
from backbone.measures import LOOK_SECONDS, READERS, RESETS, TOPICS
from backbone.meter import Meter
from mcp_server.queries import Queries
from mcp_server.streaming import messages
from mcp_server.streaming.cursor import Cursor
from mcp_server.streaming.journal import Journal, Reader
from mcp_server.streaming.messages import Frame
from mcp_server.streaming.topic import Change, Spec, Topic
from orderflow.answers import iso
from orderflow.errors import RateLimitError, RequestError, StoreError

log = structlog.get_logger()
STEP_S, POLL_S = 0.1, 0.02
"""Looks are at least so far apart; whether updates came is asked so often."""
IDLE_S = 0.25
"""Without updates: for heartbeats, and for what time alone changes."""
WHOLE_S = 1.0
"""What changes without trades (a window that became final) is looked at so often."""
LINGER_S = 300.0
MOST_TOPICS = 2_000
MOST_LINGERING = 200
TRANSPORTS = ("sse", "websocket")
YOUNG_S = 120.0
"""A server this young is met by readers of its earlier life."""
RETRY_S = 30


class Listener(Reader):
    """A connected reader. `wake` is set when there may be something for it."""

    def __init__(self, topics: Sequence[str], heartbeat_s: float, transport: str) -> None:
        super().__init__(topics)
        self.transport = transport
        self.heartbeat_s = heartbeat_s
        self.told_s = 0.0
        self.wake = asyncio.Event()
        self.gone = False


class Hub:
    """Use `running()` around the time in which readers come."""

    def __init__(
        self,
        queries: Queries,
        clock: Monotonic = monotonic_s,
        step_s: float = STEP_S,
        meter: Meter | None = None,
    ) -> None:
        self.queries = queries
        self.meter = Meter() if meter is None else meter
        self.journal = Journal(secrets.token_hex(4))
        self.topics: dict[str, Topic] = {}
        self.listeners: set[Listener] = set()
        self.closed = False
        self._clock = clock
        self._step_s = step_s
        self._born_s = clock()
        self._looking = asyncio.Lock()
        self._beat: tuple[tuple[Cursor, int], Frame] | None = None
        self.meter.watch(READERS, self._readers)
        self.meter.watch(TOPICS, lambda: len(self.topics))
        self.meter.watch(RESETS, lambda: {(why,): n for why, n in self.journal.resets.items()})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look at topics for as long as the application lives."""
        looking = asyncio.create_task(self._run(), name="stream-hub")
        try:
            yield
        finally:
            self.close()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        for listener in self.listeners:
            listener.wake.set()

    # Readers

    async def join(
        self,
        specs: Sequence[Spec],
        cursor: Cursor | None,
        heartbeat_s: float,
        transport: str = "sse",
    ) -> tuple[Listener, list[Frame]]:
        """A new reader and its first messages.

        RequestError when a topic can't be answered, RateLimitError when there are too many.
        """
        listener = Listener([spec.name for spec in specs], heartbeat_s, transport)
        async with self._looking:
            self._follow()
            seeded = self._clock() - self._born_s < YOUNG_S or (
                cursor is not None and cursor.life != self.journal.life
            )
            known = set(self.topics)
            made: list[Topic] = []
            try:
                for spec in specs:
                    made.append(self._made(spec, seeded=seeded))
                    made[-1].listeners.add(listener)
                await self._look([topic for topic in made if topic.fresh])
                frames = self.journal.opened(listener, cursor)
            except BaseException:
                self._left(listener, made)
                for topic in made:
                    if topic.name not in known:
                        self._drop(topic)
                raise
            self.listeners.add(listener)
        listener.told_s = self._clock()
        return listener, frames

    def leave(self, listener: Listener) -> None:
        """The reader is gone; its topics stay for a while."""
        self.listeners.discard(listener)
        self._left(listener, [self.topics[name] for name in listener.topics])

    def _left(self, listener: Listener, topics: Sequence[Topic]) -> None:
        for topic in topics:
            topic.listeners.discard(listener)
            topic.left_s = self._clock()

    async def next(self, listener: Listener) -> list[Frame]:
        """What comes next for a reader, as soon as there is something; nothing at the end."""
        while not (self.closed or listener.gone):
            listener.wake.clear()
            now = self._clock()
            if frames := self.journal.next(listener):
                listener.told_s = now
                return frames
            if now - listener.told_s >= listener.heartbeat_s:
                listener.told_s = now
                return [self._heartbeat()]
            await listener.wake.wait()
        return []

    def _readers(self) -> Mapping[tuple[str, ...], float]:
        found = Counter(listener.transport for listener in self.listeners)
        return {(name,): found[name] for name in TRANSPORTS}

    def _heartbeat(self) -> Frame:
        """The same for everybody who was told everything, once a second."""
        wall = wall_ms()
        made = (self.journal.cursor, wall // 1_000)
        if self._beat is None or self._beat[0] != made:
            live = self.queries.live
            lags = [live.stream(i.name).lag_ms for i in live.instruments()]
            worst = max((lag for lag in lags if lag is not None), default=None)
            text = made[0].text
            frame = messages.heartbeat(text, iso(wall), ready=live.ready, lag_ms=worst)
            self._beat = (made, frame)
        return self._beat[1]

    # Topics

    def _made(self, spec: Spec, *, seeded: bool) -> Topic:
        if (known := self.topics.get(spec.name)) is not None:
            return known
        if len(self.topics) >= MOST_TOPICS:
            self._spare(0)
        if len(self.topics) >= MOST_TOPICS:
            raise RateLimitError("too many different streams are open", retry_after_s=RETRY_S)
        closings = self.queries.live.closings
        topic = Topic(spec, self.queries, self.queries.live.cursor[1])
        floor = None
        if seeded:
            floor = topic.looked = closings.floor
            if spec.channel == "bars":
                floor = topic.looked = topic.seed(closings)
        self.topics[spec.name] = topic
        self.journal.add_topic(spec.name, floor, counted=spec.channel != "events")
        return topic

    def _drop(self, topic: Topic) -> None:
        self.topics.pop(topic.name, None)
        self.journal.drop_topic(topic.name)

    def _spare(self, most: int) -> None:
        """Keep so many topics that nobody reads, those that were left last."""
        now = self._clock()
        idle = [topic for topic in self.topics.values() if not topic.listeners]
        idle.sort(key=lambda topic: topic.left_s)
        for at, topic in enumerate(idle):
            if len(idle) - at > most or now - topic.left_s > LINGER_S:
                self._drop(topic)

    # Looking

    async def _run(self) -> None:
        looked_s, seen = 0.0, self.queries.live.cursor
        while True:
            await asyncio.sleep(POLL_S)
            now, cursor = self._clock(), self.queries.live.cursor
            if now - looked_s < (IDLE_S if cursor == seen else self._step_s):
                continue
            looked_s, seen = now, cursor
            try:
                await self.step()
            except Exception:
                # One look that broke must not end every stream for ever.
                log.exception("stream.look_failed")

    async def step(self) -> None:
        """One look at every topic, then whoever has something to read is woken."""
        async with self._looking:
            began_s = self._clock()
            self._follow()
            self._spare(MOST_LINGERING)
            await self._look(list(self.topics.values()))
            self.meter.observe(LOOK_SECONDS, self._clock() - began_s)
        now = self._clock()
        for listener in self.listeners:
            if now - listener.told_s >= listener.heartbeat_s:
                listener.wake.set()

    def _follow(self) -> None:
        """The life the updates count in, and whether all of them were seen."""
        live = self.queries.live
        epoch, position = live.cursor
        anew = self.journal.begin_epoch(epoch, position)
        for topic in self.topics.values():
            if anew or topic.looked < live.closings.floor:
                if not anew:
                    self.journal.cut(topic.name, "missed")
                topic.forget(position)

    async def _look(self, topics: Sequence[Topic]) -> None:
        """Put what changed; the position is complete when every topic was looked at."""
        position = self.queries.live.cursor[1]
        whole = len(topics) == len(self.topics)
        if position == self.journal.position:
            # Updates stand still: only the state of the streams can have changed, and events are
            # written some time after the bars they are seen in.
            topics = [t for t in topics if t.fresh or t.spec.channel in ("status", "events")]
        waking: set[Listener] = set()
        try:
            for topic in topics:
                changes = await self._changes(topic)
                self._put(topic, changes, position)
                if changes:
                    waking |= topic.listeners
                await asyncio.sleep(0)
        finally:
            for listener in waking:
                listener.wake.set()
        if whole:
            self.journal.complete(position)

    def _put(self, topic: Topic, changes: Sequence[Change], position: int) -> None:
        for kind, key, data, place in changes:
            self.journal.put(topic.name, kind, key, data, position if place is None else place)
        if changes:
            self.journal.logs[topic.name].keep(topic.current)

    async def _changes(self, topic: Topic) -> list[Change]:
        now = self._clock()
        whole = topic.fresh or now - topic.looked_s >= WHOLE_S
        try:
            changes = await topic.look(all_of_it=whole)
        except (RequestError, StoreError):
            if topic.fresh:
                raise
            return []
        if whole:
            topic.looked_s, topic.fresh = now, False
        return changes
