"""Bybit's public archive CSV (plain or gz): derivatives with UUIDs, spot with daily numbers.

Inverse rows (BTCUSD, size in USD) are replayed as a perpetual with a lot of one dollar.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from simulator.columns import MARKET_TRADE, RPI
from simulator.tape import Tape
from simulator.tapes.build import BYBIT_SPOT_FIRST_ID, Part, Steps, TrackBuilder


def looks_like(path: Path, head: str) -> bool:
    """Whether the first line is the header of a Bybit archive file."""
    cells = head.strip().split(",")
    return "trdMatchID" in cells or cells[:5] == ["id", "timestamp", "price", "volume", "side"]


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[dict[str, str]]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as raw:
            yield iter(csv.DictReader(io.TextIOWrapper(raw, "ascii")))
    else:
        with path.open(encoding="ascii", newline="") as text:
            yield iter(csv.DictReader(text))


def read(path: Path, instrument: str | None, steps: Steps) -> Tape:
    """The tape of one archive file; files written newest first are turned round."""
    with _rows(path) as lines:
        rows = list(lines)
    if not rows:
        raise ValueError(f"{path.name}: the file has no rows")
    is_spot = "trdMatchID" not in rows[0]
    times = [_milliseconds(row["timestamp"]) for row in rows]
    if times[0] > times[-1]:
        rows.reverse()
        times.reverse()
    name = instrument or _name(path, rows[0], is_spot=is_spot)
    symbol = rows[0].get("symbol")
    if symbol is not None and symbol != name.rpartition(":")[2]:
        raise ValueError(f"{path.name} holds {symbol}, not {name.rpartition(':')[2]}")
    builder = TrackBuilder(name, steps)
    first_key = BYBIT_SPOT_FIRST_ID if name.split(":")[1] == "spot" else 1
    builder.uuids = {} if is_spot else {1 + n: row["trdMatchID"] for n, row in enumerate(rows)}
    builder.add(
        Part(
            event_ms=times,
            price=[row["price"] for row in rows],
            qty=[row["volume" if is_spot else "size"] for row in rows],
            buyer=[row["side"].lower() == "buy" for row in rows],
            key=range(first_key, first_key + len(rows)),
            kind=[RPI if row.get("RPI") == "1" else MARKET_TRADE for row in rows],
        )
    )
    return Tape((builder.build(),), f"Bybit archive {path.name}")


def _name(path: Path, row: dict[str, str], *, is_spot: bool) -> str:
    if not is_spot:
        return f"bybit:perp:{row['symbol']}"
    match = re.match(r"[A-Z0-9]+(?=_)", path.name)
    if match is None:
        raise ValueError(
            f"{path.name}: the name does not say the symbol; give the instrument, "
            "for example bybit:spot:BTCUSDT"
        )
    return f"bybit:spot:{match[0]}"


def _milliseconds(text: str) -> int:
    """Derivatives files count seconds (with a fraction since 2024), spot files milliseconds."""
    value = Decimal(text)
    return int(value) if value > 10**11 else int(value * 1000)
