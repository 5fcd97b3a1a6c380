"""Binance's public archive files: aggTrades and trades, zip or CSV, spot and USD-M."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from simulator.tape import Tape
from simulator.tapes.build import Part, Steps, TrackBuilder

CHUNK_LINES = 1 << 16
MICROSECONDS_FROM = 10**14
"""Timestamps above this are microseconds (spot files since 2025-01-01)."""


def looks_like(path: Path, head: str) -> bool:
    """Whether the first line is a row or header of an archive CSV."""
    cells = head.strip().lower().split(",")
    if cells[0] in ("agg_trade_id", "id") and "is_buyer_maker" in cells:
        return True
    return len(cells) in (6, 7, 8) and cells[0].isdigit() and any(c in _BOOLEANS for c in cells)


_BOOLEANS = ("true", "false")
_NAME = re.compile(r"([A-Za-z0-9]+)-")


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if not names:
                raise ValueError(f"{path.name}: no CSV in the zip file")
            with archive.open(names[0]) as raw:
                yield iter(io.TextIOWrapper(raw, "ascii"))
    else:
        with path.open(encoding="ascii") as text:
            yield iter(text)


def read(path: Path, instrument: str | None, steps: Steps) -> Tape:
    """The tape of one archive file.

    The name says the symbol (`BTCUSDT-aggTrades-2024-01-01.zip`) and the columns say the market
    (spot files have the best-match column); `instrument` overrides the market, and says the symbol
    where the name does not.
    """
    builder: TrackBuilder | None = None
    with _lines(path) as lines:
        while chunk := list(islice(lines, CHUNK_LINES)):
            rows = [line.rstrip("\r\n").split(",") for line in chunk]
            if builder is None:
                if not rows[0][0].isdigit():
                    rows = rows[1:]
                if not rows:
                    continue
                builder = _builder(path, rows[0], instrument, steps)
            _add(builder, rows)
    if builder is None:
        raise ValueError(f"{path.name}: the file has no rows")
    return Tape((builder.build(),), f"Binance archive {path.name}")


def _builder(path: Path, row: list[str], instrument: str | None, steps: Steps) -> TrackBuilder:
    is_raw = row[5].lower() in _BOOLEANS
    named = _NAME.match(path.name)
    if instrument is not None:
        symbol = instrument.rpartition(":")[2]
        if named is not None and named[1].upper() != symbol:
            raise ValueError(f"{path.name} holds {named[1]}, not {symbol}")
    else:
        if named is None:
            raise ValueError(
                f"{path.name}: the name does not say the symbol; give the instrument, "
                "for example binance:spot:BTCUSDT"
            )
        is_spot = len(row) == (7 if is_raw else 8)
        instrument = f"binance:{'spot' if is_spot else 'perp'}:{named[1].upper()}"
    return TrackBuilder(instrument, steps, is_aggregated=not is_raw)


def _add(builder: TrackBuilder, rows: list[list[str]]) -> None:
    columns = list(zip(*rows, strict=False))
    keys = list(map(int, columns[0]))
    if builder.is_aggregated:
        first, last = list(map(int, columns[3])), list(map(int, columns[4]))
        times, makers = columns[5], columns[6]
    else:
        first = last = keys
        times, makers = columns[4], columns[5]
    builder.add(
        Part(
            event_ms=_milliseconds(times),
            price=columns[1],
            qty=columns[2],
            buyer=[maker[0] in "fF" for maker in makers],
            key=keys,
            first_id=first,
            last_id=last,
        )
    )


def _milliseconds(texts: tuple[str, ...]) -> list[int]:
    times = list(map(int, texts))
    if times[0] >= MICROSECONDS_FROM:
        return [value // 1000 for value in times]
    return times
