"""What a processor tells its servers: closed bars at once, open ones at most every 250 ms, and a
thousand of them at most every second; where telling takes long, less often still.

Telling never holds up processing: what can't be sent waits here, and when too much waits the
servers are told to read the store instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from backbone.bus.base import UPDATES, Bus
from backbone.clock import monotonic_ms
from backbone.store.base import Fence
from backbone.updates import Update
from orderflow.errors import BusError
from processor.engine import Results, WindowResult
from processor.image import encode_minute, encode_stream
from processor.live import ProcessorView
from processor.stream import MinuteResult, Stream

log = structlog.get_logger()
OPEN_EVERY_MS, PART_EVERY_MS = 250, 500
"""Of one processor, and of each partition of several: those tell in packets of their own."""
SLACK_MS = 5
"""A timer that is a little early is not sent round once more."""
ALL_EVERY_MS = 5_000
"""Streams that did not change are sent as well this often: a new server waits no longer."""
OPEN_MS_PER_STREAM, ALL_MS_PER_STREAM = 1, 10
"""An image costs a third of a millisecond on both sides: many streams are sent less often."""
MOST_WAITING, MOST_PER_STREAM = 5_000, 20
PER_TURN, TOGETHER = 8, 64
REST, LONGEST_MS = 9, 1_000
"""Open bars are told a tenth of the time: a crowded machine is not crowded further by images that
are replaced before anybody looks, and every answer says how old it is."""


class Publisher:
    """Sends updates in the background until cancelled."""

    def __init__(self, bus: Bus, view: ProcessorView, fence: Fence | None = None) -> None:
        self._bus = bus
        self._scope, self._epoch = ("", 0) if fence is None else fence
        self._every_ms = OPEN_EVERY_MS if fence is None else PART_EVERY_MS
        self._view = view
        self._waiting: deque[MinuteResult | WindowResult] = deque()
        self._news = asyncio.Event()
        self._sent: dict[str, tuple[object, ...]] = {}
        self._all_ms = self._open_ms = self._took_ms = 0
        self._reset = False

    def say(self, results: Results) -> None:
        """Closed or revised bars, in order."""
        self._waiting.extend([*results.minutes, *results.windows])
        streams = len(self._view.engine.streams)
        if len(self._waiting) > max(MOST_WAITING, MOST_PER_STREAM * streams):
            self._waiting.clear()
            self._reset = True
        self._news.set()

    async def run(self) -> None:
        """Until the bus closes."""
        try:
            while True:
                await self._send_closed()
                await self._send_open()
                self._news.clear()
                try:
                    async with asyncio.timeout(self._pause_s()):
                        await self._news.wait()
                except TimeoutError:
                    continue
        except BusError:
            log.info("processor.updates_end")

    def _pause_s(self) -> float:
        """Until open bars are sent again."""
        streams = len(self._view.engine.streams)
        every_ms = max(
            *(self._every_ms, OPEN_MS_PER_STREAM * streams),
            min((1 + REST) * self._took_ms, LONGEST_MS),
        )
        return max(SLACK_MS, self._open_ms + every_ms - monotonic_ms()) / 1_000

    async def _send_closed(self) -> None:
        if self._reset:
            self._reset = False
            await self._bus.publish(UPDATES, [Update("reset", "", 0, 0)])
        while self._waiting:
            count = min(PER_TURN, len(self._waiting))
            results = [self._waiting.popleft() for _ in range(count)]
            await self._bus.publish(UPDATES, [self._update(result) for result in results])

    def _update(self, result: MinuteResult | WindowResult) -> Update:
        bar, quality = result.bar, result.quality
        closed = isinstance(result, MinuteResult)
        return Update(
            kind="minute" if isinstance(result, MinuteResult) else "window",
            instrument=result.instrument,
            start_ms=bar.flow.start_ms,
            sent_ms=self._view.now_ms(result.instrument),
            timeframe="1m" if closed else result.timeframe,  # type: ignore[union-attr]
            revision=quality.revision,
            content_hash="" if closed else result.content_hash,  # type: ignore[union-attr]
            body=encode_minute(bar, quality, result.cells)
            if isinstance(result, MinuteResult)
            else b"",
            scope=self._scope,
            epoch=self._epoch,
        )

    async def _send_open(self) -> None:
        """Streams that changed since they were last sent, a few at a time, when it is time."""
        now, streams = monotonic_ms(), len(self._view.engine.streams)
        if self._pause_s() * 1_000 > SLACK_MS:
            return
        self._open_ms = now
        everything = now - self._all_ms >= max(ALL_EVERY_MS, ALL_MS_PER_STREAM * streams)
        if everything:
            self._all_ms = now
        due = []
        for name, stream in list(self._view.engine.streams.items()):
            token = _token(stream)
            if everything or self._sent.get(name) != token:
                self._sent[name] = token
                due.append(name)
        together: list[Update] = []
        for start in range(0, len(due), PER_TURN):
            together += self._images(due[start : start + PER_TURN])
            await asyncio.sleep(0)
            if len(together) >= TOGETHER or start + PER_TURN >= len(due):
                await self._bus.publish(UPDATES, together)
                together = []
        self._took_ms = monotonic_ms() - now

    def _images(self, names: Sequence[str]) -> list[Update]:
        updates = []
        for name in names:
            status = self._view.stream(name)
            stream = self._view.engine.streams[name]
            now_ms = self._view.now_ms(name)
            body = encode_stream(stream, status, now_ms)
            start_ms, fence = stream.next_close_ms or 0, (self._scope, self._epoch)
            updates.append(Update("state", name, start_ms, now_ms, "", 0, "", body, *fence))
        return updates


def _token(stream: Stream) -> tuple[object, ...]:
    """Differs when anything an answer depends on has changed."""
    coverage = stream.coverage
    return (
        stream.ledger.counts.received,
        stream.next_close_ms,
        coverage.watermark_ms,
        coverage.connected,
        len(coverage.lost),
        stream.instrument,
    )
