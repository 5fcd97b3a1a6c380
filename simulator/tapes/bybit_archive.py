"""Bybit's daily archive CSV: seconds, side of the taker, size, price, match id."""

from __future__ import annotations

import csv
import gzip
from decimal import Decimal
from pathlib import Path

from simulator.tape import Listing, Print, Tape, step_of, whole_steps
from simulator.tapes.binance_archive import split_symbol


def accepts(path: Path) -> bool:
    """True when the header is the archive's."""
    if path.name.endswith((".csv", ".csv.gz")):
        return _first_line(path).startswith("timestamp,symbol,side")
    return False


def _first_line(path: Path) -> str:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return lines.readline()


def read(path: Path, listing: Listing | None, market: str | None = None) -> Tape:
    """A tape of the rows, in file order made ascending."""
    with (
        gzip.open(path, "rt", newline="")
        if path.suffix == ".gz"
        else path.open(newline="") as lines
    ):
        rows = list(csv.DictReader(lines))
    rows.sort(key=lambda row: Decimal(row["timestamp"]))
    if listing is None:
        symbol = rows[0]["symbol"]
        base, quote = split_symbol(symbol)
        tick = step_of(row["price"] for row in rows)
        lot = step_of(row["size"] for row in rows)
        listing = Listing("bybit", market or "perp", symbol, base, quote, tick, lot)
    return Tape(listing, [_print(row, listing, place) for place, row in enumerate(rows, 1)])


def _print(row: dict[str, str], listing: Listing, place: int) -> Print:
    return Print(
        event_ms=int(Decimal(row["timestamp"]) * 1_000),
        price=row["price"],
        qty=row["size"],
        ticks=whole_steps(row["price"], listing.tick_size),
        lots=whole_steps(row["size"], listing.lot_size),
        buy=row["side"] == "Buy",
        key=place,
        first_id=place,
        last_id=place,
        tag=row["trdMatchID"],
        seq=place,
    )
