"""Daily archives: brought from a venue's public archive, and served by the simulator itself."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from orderflow.errors import ConfigError, VenueRefusedError
from simulator.tape import Print, Tape

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
NAME = re.compile(r"(binance|bybit):(spot|perp):([A-Z0-9]{2,30})")
DAY_MS = 86_400_000
Progress = Callable[[int, int | None], None]


def archive_path(instrument: str, day: str) -> str:
    """Path of a day in the venue's archive; ConfigError says what is wrong with the names."""
    found = NAME.fullmatch(instrument)
    if found is None:
        raise ConfigError("INSTRUMENT must look like binance:spot:BTCUSDT or bybit:perp:BTCUSDT")
    if DAY.fullmatch(day) is None:
        raise ConfigError("DAY must look like 2024-01-31")
    venue, market, symbol = found.groups()
    if venue == "bybit":
        folder = "spot" if market == "spot" else "trading"
        name = f"{symbol}_{day}.csv.gz" if market == "spot" else f"{symbol}{day}.csv.gz"
        return f"/{folder}/{symbol}/{name}"
    folder = "spot" if market == "spot" else "futures/um"
    return f"/data/{folder}/daily/aggTrades/{symbol}/{symbol}-aggTrades-{day}.zip"


async def fetch_day(
    instrument: str, day: str, folder: Path, base_urls: dict[str, str], progress: Progress
) -> Path:
    """Download one day, verify its checksum where the venue publishes one, and keep it.

    The file appears under its name only when it is whole. VenueRefusedError: not there (yet).
    """
    path = archive_path(instrument, day)
    venue = instrument.partition(":")[0]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.rpartition("/")[2]
    part = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    async with httpx2.AsyncClient(base_url=base_urls[venue], timeout=30) as client:
        async with client.stream("GET", path) as response:
            if response.status_code != 200:
                raise VenueRefusedError(
                    f"no archive of {instrument} for {day} (HTTP {response.status_code}); "
                    "a day appears some hours after its end"
                )
            total = response.headers.get("Content-Length")
            done = 0
            with part.open("wb") as out:
                async for chunk in response.aiter_bytes():
                    out.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    progress(done, int(total) if total else None)
                out.flush()
                os.fsync(out.fileno())
        if venue == "binance":
            await _verify(client, path, digest.hexdigest(), part)
    part.replace(target)
    return target


async def _verify(client: httpx2.AsyncClient, path: str, found: str, part: Path) -> None:
    """The published SHA-256; a file that differs is removed."""
    answer = await client.get(f"{path}.CHECKSUM")
    if answer.status_code != 200 or answer.text.split()[:1] != [found]:
        part.unlink()
        raise VenueRefusedError("the checksum does not match; the download was removed")


def archived(tapes: list[Tape], path: str) -> bytes | None:
    """What a venue's archive would hold at this path, made from the tapes; None is 404."""
    plain = path.removesuffix(".CHECKSUM")
    for tape in tapes:
        listing = tape.listing
        for start in range(tape.start_ms // DAY_MS * DAY_MS, (tape.end_ms or 0) + 1, DAY_MS):
            day = _day(start)
            if archive_path(listing.name, day) != plain:
                continue
            prints = [p for p in tape.prints if start <= p.event_ms < start + DAY_MS]
            body = _csv_gz(tape, prints) if listing.venue == "bybit" else _zip(tape, day, prints)
            if plain == path:
                return body
            name = plain.rpartition("/")[2]
            return f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()
    return None


def _day(start_ms: int) -> str:
    return datetime.fromtimestamp(start_ms / 1_000, UTC).strftime("%Y-%m-%d")


def _zip(tape: Tape, day: str, prints: list[Print]) -> bytes:
    rows = io.StringIO()
    writer = csv.writer(rows)
    for p in prints:
        maker = "False" if p.buy else "True"
        row = (p.key, p.price, p.qty, p.first_id, p.last_id, p.event_ms, maker, "True")
        writer.writerow(row)
    name = f"{tape.listing.symbol}-aggTrades-{day}.csv"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), rows.getvalue())
    return out.getvalue()


def _csv_gz(tape: Tape, prints: list[Print]) -> bytes:
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(("timestamp", "symbol", "side", "size", "price", "tickDirection", "trdMatchID"))
    for p in prints:
        side = "Buy" if p.buy else "Sell"
        stamp = f"{p.event_ms // 1_000}.{p.event_ms % 1_000:03d}"
        writer.writerow((stamp, tape.listing.symbol, side, p.qty, p.price, "PlusTick", p.tag))
    return gzip.compress(rows.getvalue().encode(), mtime=0)
