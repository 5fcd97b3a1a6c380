"""Raw frame recordings: `<ns> <json>` or `<seconds>: <json>` lines, plain or gzip."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from simulator.tape import Listing, Print, Tape, aggregated, step_of, whole_steps
from simulator.tapes.binance_archive import split_symbol

MARKET_KINDS = (None, "MARKET", "RPI")


def accepts(path: Path) -> bool:
    """True for gzip recordings and for files whose lines begin with a receive time."""
    return path.suffix == ".gz" or ".ws." in path.name


def frames(path: Path) -> Iterator[dict[str, Any]]:
    """The payloads of all combined-stream frames."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            start = line.find("{")
            if start < 0 or '"stream"' not in line[start : start + 12]:
                continue
            yield msgspec.json.decode(line[start:])["data"]


def read(path: Path, listing: Listing | None, market: str | None = None) -> Tape:
    """A tape of the recorded trades: raw ones where present, else aggregates."""
    data = [f for f in frames(path) if f.get("e") in {"trade", "aggTrade"}]
    raw = [f for f in data if f["e"] == "trade" and f.get("X") in MARKET_KINDS]
    aggregates = [f for f in data if f["e"] == "aggTrade"]
    chosen = raw or aggregates
    symbol = listing.symbol if listing is not None else chosen[0]["s"]
    chosen = [f for f in chosen if f["s"] == symbol]
    if listing is None:
        base, quote = split_symbol(symbol)
        guessed = market or ("perp" if "usdm" in path.name or "X" in chosen[0] else "spot")
        tick, lot = step_of(f["p"] for f in chosen), step_of(f["q"] for f in chosen)
        listing = Listing("binance", guessed, symbol, base, quote, tick, lot)
    prints = [_print(f, listing) for f in chosen]
    if raw:
        return Tape(listing, aggregated(prints, listing.lot_size, prints[0].first_id), prints)
    return Tape(listing, prints)


def _print(frame: dict[str, Any], listing: Listing) -> Print:
    key = frame["t"] if frame["e"] == "trade" else frame["a"]
    return Print(
        event_ms=frame["T"],
        price=frame["p"],
        qty=frame["q"],
        ticks=whole_steps(frame["p"], listing.tick_size),
        lots=whole_steps(frame["q"], listing.lot_size),
        buy=not frame["m"],
        key=key,
        first_id=frame.get("f", key),
        last_id=frame.get("l", key),
    )
