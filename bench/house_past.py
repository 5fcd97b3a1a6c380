"""A day that a house has behind it: a store as the processor itself leaves it when it stops.

`python -m bench.house_past FOLDER COUNT END_MS HOURS [plain]` lets the real processor live hours of
invented trades over a memory bus, in virtual time, and stop. That costs a millisecond a minute and
instrument, so one instrument of every market of both venues lives it, and the others are the same
rows and checkpoints under names of their own. Only what a start reads is doubled; profiles and
order flow, which are written and never read again, are not. `plain`: without looking for events,
which is two thirds of the cost.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from backbone.bus.base import TRADES
from backbone.bus.memory import MemoryBus
from backbone.clock import wall_clock
from backbone.settings import read_settings
from backbone.store.base import DISTRIBUTIONS, EVENTS, FLOW_BARS, FOOTPRINTS
from backbone.store.frame import framed, unframed
from backbone.store.sqlite import SqliteStore
from backbone.telemetry import configure_logs
from bench.house_trades import Model, models
from bench.market_house import resident_mb
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS
from orderflow.trade import Connected, Watermark
from processor.history import KEPT_MS
from wadm.chaos.life import StillProcessor
from wadm.chaos.virtual import VirtualLoop
from wadm.compose import SIMULATED

HOURS = 25
WARM_HOURS = KEPT_MS // HOUR_MS
"""So much is kept in memory; what is there longer must not grow."""
TICK_MS = 20_000
"""Nothing closes between the ends of minutes, so time is told three times in each."""
CHECKPOINT_MS = 3_600_000
"""Only the last checkpoints are read, and those are written on the way out."""
READ_AT_START = (FOOTPRINTS, FLOW_BARS, EVENTS, DISTRIBUTIONS)
FILE = Path(SIMULATED) / "wadm.sqlite"
"""Where a house looks for it."""


async def live(
    loop: VirtualLoop, file: Path, chosen: list[Model], start_ms: int, *, plain: bool
) -> list[float]:
    """One processor from the first minute to its stop; its memory at the end of every hour."""
    memory_mb = []
    store, bus = SqliteStore(file), MemoryBus()
    await store.open(SIMULATED)
    processor = StillProcessor(
        read_settings({}), bus, store, SIMULATED, lambda: int(loop.time() * 1_000)
    )
    processor.refresh_ms = DAY_MS
    processor.tick_ms, processor.writer.checkpoint_ms = TICK_MS, CHECKPOINT_MS
    if plain:
        processor.chronicler.take = lambda *_: None  # type: ignore[method-assign]
    running = asyncio.create_task(processor.run())
    await asyncio.sleep(1)
    names = [model.name for model in chosen]
    connected = Connected(names, "1", start_ms)
    await bus.publish(TRADES, [*(model.announced() for model in chosen), connected])
    for minute in range(len(chosen[0].ends) - 1):
        if minute % 60 == 0 and minute:
            gc.collect()
            memory_mb.append(resident_mb())
        end_ms = start_ms + (minute + 1) * MINUTE_MS
        batches = [batch for model in chosen if (batch := model.batch(minute)) is not None]
        candles = [model.candle(minute) for model in chosen]
        over = Watermark(names, end_ms + 500, "1")
        await bus.publish(TRADES, [*batches, over, *candles])
        await asyncio.sleep(MINUTE_MS / 1_000)
    while not processor.written:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    return memory_mb


def lived(file: Path, chosen: list[Model], start_ms: int, *, plain: bool) -> list[float]:
    """The same in virtual time, the wall clock going with it."""
    loop = VirtualLoop()
    begun_s = loop.time()
    try:
        asyncio.set_event_loop(loop)
        with wall_clock(lambda: start_ms * 10**6 + int((loop.time() - begun_s) * 1e9)):
            return loop.run_until_complete(live(loop, file, chosen, start_ms, plain=plain))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def doubled(file: Path, chosen: list[Model]) -> dict[str, Any]:
    """Every model's rows and checkpoint again for each symbol it stands for."""
    database = sqlite3.connect(file, isolation_level=None)
    database.create_function("renamed", 3, lambda body, old, new: body.replace(old, new))
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-262144")
    database.execute("BEGIN")
    for name in READ_AT_START:
        database.execute(f"DROP INDEX {name}_expiry")
    for model in chosen:
        for symbol in model.others:
            _again(database, model, symbol)
    for name in READ_AT_START:
        database.execute(f"CREATE INDEX {name}_expiry ON {name} (expires_at_ms)")
    database.execute("COMMIT")
    sizes = {
        name: database.execute(f"SELECT count(*), sum(length(body)) FROM {name}").fetchone()
        for name in READ_AT_START
    }
    checkpoints = "SELECT count(*), sum(length(data)) FROM checkpoints"
    sizes["checkpoints"] = database.execute(checkpoints).fetchone()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return sizes


def _again(database: sqlite3.Connection, model: Model, symbol: str) -> None:
    """One instrument like a model; names have the same length, so bodies need only new letters."""
    old, new = model.item.symbol[:-4].encode(), symbol[:-4].encode()
    name = model.name.replace(model.item.symbol, symbol)
    series = "SELECT id, timeframe FROM series WHERE instrument = ?"
    for number, timeframe in database.execute(series, (model.name,)).fetchall():
        added = "INSERT INTO series (instrument, timeframe) VALUES (?, ?) RETURNING id"
        (mine,) = database.execute(added, (name, timeframe)).fetchone()
        for collection in READ_AT_START:
            database.execute(
                f"INSERT INTO {collection} SELECT ?, start_ms, kept_revision, revision, "
                "applied_through_ms, published_at_ms, expires_at_ms, renamed(body, ?, ?) "
                f"FROM {collection} WHERE series = ?",
                (mine, old, new, number),
            )
    rows = database.execute(
        "SELECT slot, generation, data FROM checkpoints WHERE name = ?", (model.name,)
    )
    for slot, generation, data in rows.fetchall():
        blob = unframed(data)
        assert blob is not None
        values = (name, slot, generation, framed(blob.replace(old, new)))
        database.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?)", values)


def main() -> None:
    """One line: what was made, and what it cost."""
    configure_logs("error")
    folder, (count, end_ms, hours) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    start_ms = end_ms - hours * HOUR_MS
    chosen = models(count, start_ms, hours * 60)
    memory_mb = lived(folder / FILE, chosen, start_ms, plain="plain" in sys.argv)
    lived_s = time.process_time()
    sizes = doubled(folder / FILE, chosen)
    found = {
        "models": len(chosen),
        "trades": sum(len(model.at) for model in chosen),
        "lived_s": lived_s,
        "doubled_s": time.process_time() - lived_s,
        "rows": {name: count for name, (count, _) in sizes.items()},
        "mb": {name: round((size or 0) / 1e6, 1) for name, (_, size) in sizes.items()},
        "memory_mb": memory_mb,
        "last": {model.key: model.last() for model in chosen},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
