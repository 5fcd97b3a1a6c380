"""A made-up market through the real processor: time goes when told, records are weighed.

Forty perpetuals trade in tenths of a second from a minute before a full hour on, so that the first
five minutes behind it close whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from time import process_time

from backbone.bus.base import TRADES
from backbone.bus.memory import MemoryBus
from backbone.bus.wire import decode, encode
from backbone.settings import Settings
from backbone.store.base import Fence, Record
from backbone.store.memory import MemoryStore
from backbone.updates import Update
from orderflow.packed import pack
from orderflow.timeframe import DAY_MS, MINUTE_MS
from orderflow.trade import (
    Connected,
    InstrumentChanged,
    TradeBatch,
    Watermark,
    instrument_of,
)
from processor.grids import Grids
from processor.image import decode_stream, encode_stream
from processor.replica import CopiedStream
from processor.service import ProcessorService

INSTRUMENTS = 40
NAMES = [f"binance:perp:C{number:02d}USDT" for number in range(INSTRUMENTS)]
START_MS = 20_000 * DAY_MS - MINUTE_MS
STEP_MS = 100
STEPS = MINUTE_MS // STEP_MS
UPDATES = 20
DAY_HOURS = 24


def announced(name: str) -> InstrumentChanged:
    """An instrument of this market."""
    venue, market, symbol = name.split(":")
    return InstrumentChanged(
        venue=venue,
        market=market,
        symbol=symbol,
        base=symbol[:-4],
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        last_price=Decimal(100),
    )


def trades_of(name: str, count: int, first_key: int, at_ms: int) -> TradeBatch:
    """Trades of one tenth of a second; prices walk over about twenty rows a minute."""
    draw = random.Random(first_key)
    keys = list(range(first_key, first_key + count))
    middle = 10_000 + (at_ms // 5_000) % 40
    return TradeBatch(
        instrument=name,
        key=keys,
        event_ms=[at_ms + place * STEP_MS // count for place in range(count)],
        price_ticks=[middle + draw.randrange(20) for _ in keys],
        qty_lots=[1 + draw.randrange(9_000) for _ in keys],
        side=[draw.randrange(2) for _ in keys],
        n_trades=[1] * count,
        first_trade_id=keys,
        last_trade_id=keys,
    )


def resident_mb() -> float:
    """Memory of this process now; where only the highest is told, that."""
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest / 1e6 if sys.platform == "darwin" else highest / 1e3


class Weighing(MemoryStore):
    """Keeps the keys' records, and of market data those of one instrument in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Record] = []

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """Remember or forget."""
        await super().put([r for r in records if r.instrument not in WEIGHED], fence)
        self.seen += [record for record in records if record.instrument == NAMES[0]]


WEIGHED = frozenset(NAMES)


class Market:
    """The processor, its bus, its store and its clock."""

    def __init__(self, settings: Settings, names: Sequence[str] = NAMES) -> None:
        self.names = tuple(names)
        self.base_mb = resident_mb()
        self.bus = MemoryBus()
        self.store = Weighing()
        self.mono_ms = 1_000
        self.now_ms = START_MS
        self.sent = 0
        self.keys = dict.fromkeys(self.names, 1)
        self.service = ProcessorService(
            settings, self.bus, self.store, "simulated", lambda: self.mono_ms
        )

    @property
    def records(self) -> list[Record]:
        """What one instrument has written."""
        return self.store.seen

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The processor runs, and knows the instruments."""
        await self.store.open("simulated")
        task = asyncio.create_task(self.service.run())
        try:
            while not self.service.view.restored:  # noqa: ASYNC110 (a flag)
                await asyncio.sleep(0)
            await self._send([announced(name) for name in self.names])
            await self._send([Connected(list(self.names), "c", self.now_ms)])
            await self._send([Watermark(list(self.names), self.now_ms, "c")])
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _send(self, messages: list[object]) -> None:
        """Publish, and wait until the processor has taken it."""
        await self.bus.publish(TRADES, messages)
        self.sent += 1
        while self.service.writer.position < self.sent:  # noqa: ASYNC110 (a count)
            await asyncio.sleep(0)

    async def minutes(self, count: int, trades_per_minute: int) -> float:
        """Play minutes of every instrument; seconds of processor time of the processor."""
        spent = 0.0
        for _ in range(count):
            steps = [self._step(place, trades_per_minute) for place in range(STEPS)]
            began = process_time()
            for place, messages in enumerate(steps):
                self.mono_ms += STEP_MS
                await self._send([*messages, self._mark(place)])
            while self.service.unwritten:  # noqa: ASYNC110 (a count)
                await asyncio.sleep(0)
            spent += process_time() - began
            self.now_ms += MINUTE_MS
        return spent

    def _mark(self, place: int) -> Watermark:
        """Once a second for everybody, in between for one."""
        names = list(self.names) if place % 10 == 9 else list(self.names[:1])
        return Watermark(names, self.now_ms + (place + 1) * STEP_MS, "c")

    def _step(self, place: int, trades_per_minute: int) -> list[object]:
        """Trades of one tenth of a second, of those instruments that have some."""
        made: list[object] = []
        at_ms = self.now_ms + place * STEP_MS
        for number, name in enumerate(self.names):
            shifted = place + number * 7
            due = (shifted + 1) * trades_per_minute // STEPS - shifted * trades_per_minute // STEPS
            if due:
                made.append(trades_of(name, due, self.keys[name], at_ms))
                self.keys[name] += due
        return made

    def update_costs(self) -> dict[str, float]:
        """Telling servers the state of an instrument, and following it there."""
        streams = list(self.service.engine.streams.items())
        bodies: list[bytes] = []
        began = process_time()
        for _ in range(UPDATES):
            bodies = [self._told(name) for name, _ in streams]
        told_s = process_time() - began
        copies = [CopiedStream(instrument_of(announced(name)), Grids(None)) for name, _ in streams]
        began = process_time()
        for _ in range(UPDATES):
            for copy, body in zip(copies, bodies, strict=True):
                (update,) = decode(body)
                assert isinstance(update, Update)  # noqa: S101 (made above)
                copy.show(decode_stream(update.body))
        followed_s = process_time() - began
        count = UPDATES * len(streams)
        return {
            "publish_us_per_update": told_s * 1e6 / count,
            "follow_us_per_update": followed_s * 1e6 / count,
            "update_bytes": sum(map(len, bodies)) / len(bodies),
        }

    def _told(self, name: str) -> bytes:
        stream, now = self.service.engine.streams[name], self.now_ms
        body = encode_stream(stream, self.service.view.stream(name), now)
        return encode([Update("state", name, stream.next_close_ms or 0, now, body=body)])

    def kilobytes_per_instrument(self) -> float:
        """What an instrument added to this process, and a day of packed minutes on top."""
        gc.collect()
        grown_kb = max(0.0, resident_mb() - self.base_mb) * 1e3 / len(self.names)
        known = self.service.engine.streams[self.names[0]].history.minutes
        bars = [known[start].bar for start in sorted(known)][-1:]
        if not bars:
            return grown_kb
        block = pack(bars * 60)
        parts = [part for one in (block.bars, block.total) if one is not None for part in one]
        packed = sum(len(bytes(part)) for part in parts) + len(bytes(block.counts))
        return grown_kb + packed * DAY_HOURS / 1e3
