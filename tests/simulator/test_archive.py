"""Fetching a day from a venue's archive, served by the simulator on the venues' paths."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from orderflow.errors import ConfigError
from simulator.archive import ArchiveError, archive_file, fetch_day
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes import load_tape

NAMES = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT", "bybit:perp:BTCUSDT", "bybit:spot:BTCUSDT")


@pytest.fixture
def day(start_ms: int) -> date:
    """The day of the small tapes."""
    return datetime.fromtimestamp(start_ms / 1000, UTC).date()


@pytest.fixture
async def sim(steady: Callable[..., Tape]) -> AsyncIterator[Simulator]:
    """All four markets, not played."""
    async with Simulator([steady(name) for name in NAMES], start_after=9) as simulator:
        yield simulator


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _bases(sim: Simulator) -> dict[str, str]:
    return dict.fromkeys(("binance", "bybit"), sim.urls["binance_archive_url"])


@pytest.mark.parametrize("name", NAMES)
async def test_a_fetched_day_is_the_same_tape(
    sim: Simulator, day: date, tmp_path: Path, name: str
) -> None:
    """What is fetched reads back with the same trades; progress ends at the file's size."""
    seen: list[tuple[int, int | None]] = []
    path = await fetch_day(
        name, day, tmp_path / "new", _bases(sim), lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert _names(path.parent) == [path.name]
    given = next(tape for tape in sim.tapes if tape.instruments == [name])
    found = load_tape(path, None if "binance" not in name else name)
    assert found.instruments == [name]
    assert [(t.event_ms, float(t.price), float(t.qty), t.taker_is_buyer) for t in found] == [
        (t.event_ms, float(t.price), float(t.qty), t.taker_is_buyer) for t in given
    ]
    if name == "bybit:perp:BTCUSDT":
        assert [t.uuid for t in found] == [t.uuid for t in given]


async def test_a_day_without_archive_is_said_so(sim: Simulator, tmp_path: Path) -> None:
    """404 becomes a sentence that tells what to expect, and leaves no file."""
    for name in NAMES:
        with pytest.raises(ArchiveError, match="no archive for that day yet"):
            await fetch_day(name, date(2020, 1, 1), tmp_path, _bases(sim))
    with pytest.raises(ArchiveError, match="no archive"):
        await fetch_day("binance:spot:NOPEUSDT", date(2020, 1, 1), tmp_path, _bases(sim))
    assert _names(tmp_path) == []


async def test_a_damaged_file_is_refused(sim: Simulator, day: date, tmp_path: Path) -> None:
    """A wrong checksum leaves no file, and an older good one untouched."""
    name = NAMES[0]
    good = await fetch_day(name, day, tmp_path, _bases(sim))
    before = load_tape(good)
    sim.archive.damaged.add(archive_file(name, day).path)
    with pytest.raises(ArchiveError, match="damaged"):
        await fetch_day(name, day, tmp_path, _bases(sim))
    assert list(load_tape(good)) == list(before)
    assert _names(tmp_path) == [good.name]


async def test_unreachable_archives_and_wrong_names(tmp_path: Path) -> None:
    """No network is an ArchiveError; a name that is no instrument is a ConfigError."""
    with pytest.raises(ArchiveError, match="did not answer"):
        await fetch_day(NAMES[0], date(2024, 1, 1), tmp_path, {"binance": "http://127.0.0.1:9"})
    for wrong in ("BTCUSDT", "kraken:spot:BTCUSDT", "binance:spot:../../x", "binance:spot:A.B"):
        with pytest.raises(ConfigError, match="use "):
            await fetch_day(wrong, date(2024, 1, 1), tmp_path)


def test_paths_are_those_of_the_venues() -> None:
    """Where each venue keeps a day."""
    day = date(2024, 1, 2)
    assert [archive_file(name, day).path for name in NAMES] == [
        "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-02.zip",
        "/data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-02.zip",
        "/trading/BTCUSDT/BTCUSDT2024-01-02.csv.gz",
        "/spot/BTCUSDT/BTCUSDT_2024-01-02.csv.gz",
    ]
