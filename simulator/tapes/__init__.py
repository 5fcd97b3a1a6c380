"""Tape formats: one file each, the registry, and how files are opened."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from orderflow.errors import ConfigError
from simulator.instrument import parse_name
from simulator.tape import Tape
from simulator.tapes import binance_archive, bybit_archive, recording
from simulator.tapes.build import Steps
from simulator.tapes.convert import as_instrument

HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class TapeFormat:
    """A way to store trades: how to recognise its first line, and how to read it."""

    name: str
    looks_like: Callable[[Path, str], bool]
    read: Callable[[Path, str | None, Steps], Tape]


FORMATS = (
    TapeFormat("bybit archive", bybit_archive.looks_like, bybit_archive.read),
    TapeFormat("binance archive", binance_archive.looks_like, binance_archive.read),
    TapeFormat("recording", recording.looks_like, recording.read),
)


def load_tape(
    path: Path | str,
    instrument: str | None = None,
    *,
    tick_size: str | None = None,
    lot_size: str | None = None,
    play_as: str | None = None,
) -> Tape:
    """The tape in a file of any known format.

    `instrument` (canonical name) says or overrides whose trades they are. Steps that are not given
    are inferred from the records. `play_as` replays them as another market. ConfigError names the
    fix where the file is absent, damaged or no tape.
    """
    path = Path(path)
    for name in (instrument, play_as):
        if name is not None:
            parse_name(name)
    if not path.is_file():
        raise ConfigError(f"there is no tape at {path.name}; `wadm tape fetch` brings one")
    try:
        head = _first_line(path)
        known = next((known for known in FORMATS if known.looks_like(path, head)), None)
        if known is not None:
            tape = known.read(path, instrument, Steps(tick_size, lot_size))
            return as_instrument(tape, play_as) if play_as else tape
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path.name} is damaged: fetch it again") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    raise ConfigError(
        f"{path.name} is no tape: give a Binance archive (aggTrades or trades, CSV or zip), "
        "a Bybit archive (CSV or gz) or a recording of frames (`<ns> <json>` lines, plain or gz)"
    )


def open_tapes(paths: Iterable[Path | str]) -> list[Tape]:
    """Several tapes, to be played together; each is recognised by itself."""
    return [load_tape(path) for path in paths]


def _first_line(path: Path) -> str:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            head = archive.open(names[0]).read(HEAD_BYTES) if names else b""
    elif path.suffix == ".gz":
        with gzip.open(path, "rb") as raw:
            head = raw.read(HEAD_BYTES)
    else:
        with path.open("rb") as raw:
            head = raw.read(HEAD_BYTES)
    return head.split(b"\n", 1)[0].decode("utf-8", "replace")
