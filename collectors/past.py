"""Trades and candles of days gone by: REST where ids allow, else the venue's public archive.

An archive file is brought to a temporary file, read in a thread piece by piece, and removed.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import os
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx2
import structlog

from collectors.archives import BybitReader, binance_batch
from collectors.backfill import CANDLE_ROWS, Source
from orderflow.errors import ExchangeError, OffGridError, VenueRefusedError
from orderflow.instrument import Instrument
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, floor_ms
from orderflow.trade import KlineClosed, TradeBatch

log = structlog.get_logger()
ROWS_AT_ONCE = 5_000
CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0


def archive_path(instrument: Instrument, day_ms: int) -> str:
    """Where the venue keeps a day of an instrument."""
    day = datetime.fromtimestamp(day_ms / 1_000, UTC).strftime("%Y-%m-%d")
    symbol = instrument.symbol
    if instrument.venue == "binance":
        folder = "spot" if instrument.market == "spot" else "futures/um"
        return f"/data/{folder}/daily/aggTrades/{symbol}/{symbol}-aggTrades-{day}.zip"
    if instrument.market == "spot":
        return f"/spot/{symbol}/{symbol}_{day}.csv.gz"
    return f"/trading/{symbol}/{symbol}{day}.csv.gz"


async def candles(
    source: Source, instrument: Instrument, start_ms: int, end_ms: int
) -> dict[int, KlineClosed]:
    """The venue's closed minutes that start in [start, end)."""
    found: dict[int, KlineClosed] = {}
    for at in range(start_ms, end_ms, CANDLE_ROWS * MINUTE_MS):
        last = min(end_ms, at + CANDLE_ROWS * MINUTE_MS) - 1
        call = source.market.candles_call(instrument, "1m", at, last)
        for candle in await source.rest.ask(call, source.market.parse_candles):
            try:
                found[candle.start_ms] = candle.counted(instrument)
            except OffGridError:
                log.warning("past.candle_off_grid", instrument=instrument.name)
    return found


async def trades(
    source: Source, symbol: str, archive_url: str, start_ms: int, end_ms: int
) -> AsyncIterator[TradeBatch]:
    """Every trade of [start, end), of one UTC day, oldest first; ExchangeError when nobody has it.

    A whole past day comes from the archive, what is not there (yet) over REST by id.
    """
    instrument, scale = source.listed[symbol]
    over = floor_ms(start_ms, DAY_MS) + DAY_MS <= source.clock.now_ms()
    by_id = source.market.history == "by_id"
    if over and not (by_id and end_ms - start_ms <= HOUR_MS):
        try:
            async for batch in from_archive(instrument, scale, archive_url, start_ms):
                yield _within(batch, start_ms, end_ms)
        except VenueRefusedError:
            if not by_id:
                raise
        else:
            return
    if not by_id:
        raise VenueRefusedError("this venue gives no past trades over REST")
    async for batch in _by_id(source, symbol, start_ms, end_ms):
        yield _within(batch, start_ms, end_ms)


async def _by_id(
    source: Source, symbol: str, start_ms: int, end_ms: int
) -> AsyncIterator[TradeBatch]:
    """The first page by time, the others by id, within the everyday budget."""
    instrument, scale = source.listed[symbol]
    key: int | None = None
    at_ms = start_ms
    while at_ms < end_ms:
        page = await source.rest.ask(
            source.market.trades_call(instrument, key, at_ms, end_ms - 1),
            lambda body: source.market.parse_trades(body, instrument, scale),
        )
        keys = page.key + [rejected for rejected, _ in page.rejected]
        if not keys:
            if key is not None:
                return
            at_ms += HOUR_MS
            continue
        key = max(keys) + 1
        yield page
        if page.event_ms and page.event_ms[-1] >= end_ms:
            return


async def from_archive(
    instrument: Instrument, scale: int, archive_url: str, day_ms: int
) -> AsyncIterator[TradeBatch]:
    """A day's file piece by piece; VenueRefusedError when there is none."""
    handle, name = tempfile.mkstemp(prefix="wadm-day-")
    path = Path(name)
    try:
        url = archive_url.rstrip("/") + archive_path(instrument, floor_ms(day_ms, DAY_MS))
        with os.fdopen(handle, "wb") as out:
            await _download(url, out)
        pieces = _pieces(path, instrument, scale)
        first = await asyncio.to_thread(next, pieces, None)
        if first is not None and first.event_ms and first.event_ms[0] > first.event_ms[-1]:
            for batch in await asyncio.to_thread(_turned, first, pieces):
                yield batch
            return
        while first is not None:
            yield first
            first = await asyncio.to_thread(next, pieces, None)
    finally:
        path.unlink(missing_ok=True)


async def _download(url: str, out: io.BufferedWriter) -> None:
    try:
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=True) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                raise VenueRefusedError(
                    f"the archive has no such day (HTTP {response.status_code}); "
                    "a day appears some hours after its end"
                )
            async for chunk in response.aiter_raw(CHUNK_BYTES):
                out.write(chunk)
    except httpx2.HTTPError as error:
        raise ExchangeError(f"the archive can't be reached: {type(error).__name__}") from error


def _pieces(path: Path, instrument: Instrument, scale: int) -> Iterator[TradeBatch]:
    """The file as batches; ExchangeError when it is damaged."""
    reader = BybitReader(instrument, scale)
    binance = instrument.venue == "binance"
    try:
        with _opened(path, zipped=binance) as text:
            lines = csv.reader(text)
            while rows := list(islice(lines, ROWS_AT_ONCE)):
                yield binance_batch(rows, instrument, scale) if binance else reader.batch(rows)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, IndexError) as error:
        raise ExchangeError(f"the archive file is damaged: {type(error).__name__}") from error


def _turned(first: TradeBatch, rest: Iterator[TradeBatch]) -> list[TradeBatch]:
    """A file written newest first, oldest first."""
    batches = [first, *rest]
    return [batch.picked(range(len(batch))[::-1]) for batch in reversed(batches)]


def _opened(path: Path, *, zipped: bool) -> io.TextIOWrapper:
    if not zipped:
        return io.TextIOWrapper(gzip.open(path, "rb"), "ascii")
    archive = zipfile.ZipFile(path)
    return io.TextIOWrapper(archive.open(archive.namelist()[0]), "ascii")


def _within(batch: TradeBatch, start_ms: int, end_ms: int) -> TradeBatch:
    times = batch.event_ms
    if not times or (start_ms <= times[0] and times[-1] < end_ms):
        return batch
    return batch.picked([i for i, at in enumerate(times) if start_ms <= at < end_ms])
