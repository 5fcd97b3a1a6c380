"""A store made from one real day, and a server whose clock stands still at that day's end.

The day is played through the processor's own engine. Times of publication follow from the tape, so
the same tape gives the same records. Nothing expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from backbone.bus.memory import MemoryBus
from backbone.clock import VenueClock
from backbone.settings import Settings
from backbone.store.base import FAR_FUTURE_MS, Record
from backbone.store.sqlite import SqliteStore
from mcp_server.app import build_app, build_server
from mcp_server.queries import Queries
from orderflow.timeframe import DAY_MS, MINUTE_MS, floor_ms
from orderflow.trade import Watermark
from processor import checkpoint
from processor.chronicle import Chapter, closed_bars
from processor.engine import Results
from processor.filling import fill_wanted, load_day
from processor.records import chronicle_records, minute_records, window_records
from processor.service import ProcessorService
from wadm.compose import SIMULATED
from wadm.replay import CONNECTION, Replay

NAME = "binance:spot:BTCUSDT"
ROW_SIZE = Decimal(1)
SETTLED_MS = 2_000
"""A bar closes so long after its end."""
FILE = "frozen.sqlite"
RECORDS_PER_PUT = 2_000
FILL_S = 0.05


class Builder:
    """Plays a tape and keeps what the processor would store of it."""

    def __init__(self, tape: Path) -> None:
        self.played = Replay(tape, NAME, row_size=ROW_SIZE)
        self.played.on_results = self._take
        self.chapter = Chapter(NAME)
        self.records: list[Record] = []

    def _take(self, results: Results, now_ms: int) -> None:
        if not results.minutes:
            return
        at = floor_ms(now_ms, MINUTE_MS) + SETTLED_MS
        found = [record for one in results.minutes for record in minute_records(one, at)]
        found += [record for one in results.windows for record in window_records(one, at)]
        due = self.chapter.take(closed_bars(results), self.played.stream.history.minutes, at)
        found += chronicle_records(due, at)
        self.records += [msgspec.structs.replace(r, expires_at_ms=FAR_FUTURE_MS) for r in found]

    def run(self) -> tuple[Sequence[Record], dict[str, bytes]]:
        """Every record of the day, and the checkpoint at its end."""
        for _ in self.played.windows(DAY_MS):
            pass
        stream, engine = self.played.stream, self.played.engine
        end = floor_ms(stream.last_event_ms, MINUTE_MS) + MINUTE_MS + SETTLED_MS
        engine.handle(Watermark([NAME], end, CONNECTION))
        self._take(engine.advance_one(NAME, end, 0), end)
        said = [
            checkpoint.SaidWindow(timeframe, start, *known)
            for (_, timeframe, start), known in engine.said.items()
        ]
        return self.records, {NAME: checkpoint.encode(stream, said)}


async def build(tape: Path, folder: Path) -> Path:
    """The frozen store of a tape, made anew; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{FILE}*"):
        old.unlink()
    records, blobs = await asyncio.to_thread(Builder(tape).run)
    store = SqliteStore(folder / FILE)
    await store.open(SIMULATED)
    try:
        for place in range(0, len(records), RECORDS_PER_PUT):
            await store.put(records[place : place + RECORDS_PER_PUT])
        await store.save_checkpoints(blobs)
    finally:
        await store.close()
    return folder / FILE


@contextlib.asynccontextmanager
async def served(file: Path) -> AsyncIterator[tuple[str, Any]]:
    """(address of /mcp, the application) of a server over a frozen store; it stands at the store's
    last moment."""
    store = SqliteStore(file)
    await store.open(SIMULATED)
    settings = dataclasses.replace(Settings(), port=0, data_dir=str(file.parent))
    service = ProcessorService(settings, MemoryBus(), store, SIMULATED, mono_ms=lambda: 0)
    service.resuming.restore(await service.resuming.checkpoints(), 0, gapless=True)
    service.view.restored = True
    streams = service.engine.streams
    for stream in streams.values():
        market = stream.instrument.name.rpartition(":")[0]
        service.clocks[market] = VenueClock(lambda: 0.0)
        service.clocks[market].observe(stream.coverage.watermark_ms - SETTLED_MS - 1)
        stream.trade_since_connect = True
        await load_day(store, stream, stream.evicted_before_ms or stream.next_close_ms or 0)

    async def fill() -> None:
        while True:
            await fill_wanted(store, streams.values())
            await asyncio.sleep(FILL_S)

    app = build_app(Queries(service.view, store, list), settings, lambda: (b"", "text/plain"))
    server = build_server(app, settings)
    tasks = [asyncio.create_task(server.serve()), asyncio.create_task(fill())]
    try:
        # uvicorn has a flag, not an event.
        while not server.started and not tasks[0].done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp", app
    finally:
        server.close_streams()
        server.should_exit = True
        await asyncio.gather(tasks[0], return_exceptions=True)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
