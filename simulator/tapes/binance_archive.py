"""Binance's daily archive: aggTrades or trades, CSV or zip, with or without header, ms or us."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from simulator.tape import Listing, Print, Tape, aggregated, step_of, whole_steps

MICROSECONDS = 10**14
"""Timestamps beyond this count microseconds: milliseconds reach it in the year 5138."""


def accepts(path: Path) -> bool:
    """True for the archive's own file names."""
    return path.suffix in {".zip", ".csv"} and ("aggTrades" in path.name or "-trades-" in path.name)


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".csv"))
            with archive.open(name) as raw:
                yield io.TextIOWrapper(raw, "utf-8", newline="")
    else:
        with path.open(newline="") as lines:
            yield lines


def read(path: Path, listing: Listing | None, market: str = "spot") -> Tape:
    """A tape of one file; steps are inferred from the numbers where no listing is given."""
    with _lines(path) as lines:
        rows = [row for row in csv.reader(lines) if row and row[0].isdigit()]
    aggregates = "aggTrades" in path.name
    if listing is None:
        symbol = path.name.split("-")[0]
        listing = guessed_listing("binance", market, symbol, rows)
    tick, lot = listing.tick_size, listing.lot_size
    if aggregates:
        prints = [_aggregate(row, tick, lot) for row in rows]
        return Tape(listing, prints)
    raws = [_raw(row, tick, lot) for row in rows]
    return Tape(listing, aggregated(raws, lot, first_key=raws[0].first_id), raws)


def guessed_listing(venue: str, market: str, symbol: str, rows: list[list[str]]) -> Listing:
    """Names and steps as far as the numbers show them."""
    base, quote = split_symbol(symbol)
    return Listing(
        venue,
        market,
        symbol,
        base,
        quote,
        step_of(row[1] for row in rows),
        step_of(row[2] for row in rows),
    )


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote of a joined symbol."""
    for quote in ("USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "EUR", "USD"):
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return symbol, ""


def _ms(text: str) -> int:
    value = int(text)
    return value // 1_000 if value > MICROSECONDS else value


def _aggregate(row: list[str], tick: Decimal, lot: Decimal) -> Print:
    return Print(
        event_ms=_ms(row[5]),
        price=row[1],
        qty=row[2],
        ticks=whole_steps(row[1], tick),
        lots=whole_steps(row[2], lot),
        buy=row[6].lower() != "true",
        key=int(row[0]),
        first_id=int(row[3]),
        last_id=int(row[4]),
    )


def _raw(row: list[str], tick: Decimal, lot: Decimal) -> Print:
    """Columns: id, price, qty, quote qty, time, buyer is maker."""
    return Print(
        event_ms=_ms(row[4]),
        price=row[1],
        qty=row[2],
        ticks=whole_steps(row[1], tick),
        lots=whole_steps(row[2], lot),
        buy=row[5].lower() != "true",
        key=int(row[0]),
        first_id=int(row[0]),
        last_id=int(row[0]),
    )
