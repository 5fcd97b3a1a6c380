"""Fetches a day of trades from a venue's own public archive."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx2

from orderflow.errors import ConfigError, VenueRefusedError
from simulator.instrument import parse_name

BASE_URLS = {"binance": "https://data.binance.vision", "bybit": "https://public.bybit.com"}
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the size of the file, where the archive says it."""


class ArchiveError(VenueRefusedError):
    """A day that could not be fetched; the text says why and what to do."""


class ArchiveUnreachableError(ArchiveError):
    """Nobody answers at the archive's address."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """Where a day of an instrument lies; `has_checksum` if its SHA-256 lies beside it."""

    path: str
    has_checksum: bool

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


def archive_file(instrument_name: str, day: date) -> ArchiveFile:
    """The file of a day; ConfigError if the name is no instrument."""
    venue, market, symbol = parse_name(instrument_name)
    if not symbol.isalnum():
        raise ConfigError(f"{symbol!r} is no archive symbol: use letters and digits only")
    if venue == "binance":
        folder = "spot" if market == "spot" else "futures/um"
        name = f"{symbol}-aggTrades-{day.isoformat()}.zip"
        return ArchiveFile(f"/data/{folder}/daily/aggTrades/{symbol}/{name}", True)
    if market == "spot":
        return ArchiveFile(f"/spot/{symbol}/{symbol}_{day.isoformat()}.csv.gz", False)
    return ArchiveFile(f"/trading/{symbol}/{symbol}{day.isoformat()}.csv.gz", False)


async def fetch_day(
    instrument_name: str,
    day: date,
    target_dir: Path | str,
    base_urls: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """The day's file in `target_dir`, complete and (Binance) with its published checksum.

    The file appears under its name only when it is whole. ArchiveError for an absent day, a wrong
    checksum or an unreachable archive; ConfigError for a name that is no instrument.
    """
    found = archive_file(instrument_name, day)
    venue = parse_name(instrument_name)[0]
    base = {**BASE_URLS, **(base_urls or {})}[venue].rstrip("/")
    target = Path(target_dir) / found.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=True) as client:
            published = await _checksum(client, base, found) if found.has_checksum else None
            await _download(client, base + found.path, target, published, progress)
    except httpx2.HTTPError as error:
        raise ArchiveUnreachableError(
            f"the archive of {venue} did not answer ({type(error).__name__}): "
            "check the network and try again"
        ) from error
    return target


async def _checksum(client: httpx2.AsyncClient, base: str, found: ArchiveFile) -> str:
    response = await client.get(f"{base}{found.path}.CHECKSUM")
    _check_status(response.status_code, found.name)
    digest = response.text.partition(" ")[0].strip().lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ArchiveError(f"the archive's checksum of {found.name} is unreadable: try again later")
    return digest


async def _download(
    client: httpx2.AsyncClient,
    url: str,
    target: Path,
    published: str | None,
    progress: Progress | None,
) -> None:
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    digest = hashlib.sha256()
    done = 0
    try:
        with os.fdopen(handle, "wb") as out:
            async with client.stream("GET", url) as response:
                _check_status(response.status_code, target.name)
                length = response.headers.get("content-length", "")
                total = int(length) if length.isdigit() else None
                async for chunk in response.aiter_raw(CHUNK_BYTES):
                    out.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
            out.flush()
            os.fsync(out.fileno())
        if published is not None and digest.hexdigest() != published:
            raise ArchiveError(f"{target.name} arrived damaged (wrong checksum): fetch it again")
        if total is not None and done != total:
            raise ArchiveError(f"{target.name} arrived incomplete: fetch it again")
        _settle(partial, target)
    finally:
        _settle(partial, None)


def _settle(partial: str, target: Path | None) -> None:
    """Give the finished file its name, or remove what is left of an unfinished one."""
    if target is not None:
        Path(partial).replace(target)
    else:
        Path(partial).unlink(missing_ok=True)


def _check_status(status: int, name: str) -> None:
    if status == 404:
        raise ArchiveError(
            f"there is no archive for that day yet ({name}): "
            "venues publish a day some hours after it ends (UTC), and only for listed symbols"
        )
    if status != 200:
        raise ArchiveError(f"the archive refused {name} with HTTP {status}: try again later")
