"""Raw frame recordings: `<ns> <json>` lines, or `<seconds>: <json>` as cryptofeed writes them."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from simulator.columns import ADL, BLOCK, INSURANCE_FUND, MARKET_TRADE, RPI
from simulator.tape import Tape
from simulator.tapes.build import Part, Steps, TrackBuilder

_STAMP = re.compile(r"([0-9]{9,19})(\.[0-9]+)?:? (?=\{)")
_KINDS = {"MARKET": MARKET_TRADE, "ADL": ADL, "INSURANCE_FUND": INSURANCE_FUND, "RPI": RPI}
_FRAME_KINDS = ('"trade"', '"aggTrade"', '"publicTrade')
Fields = dict[str, Any]
Found = dict[tuple[str, str, str], list[Fields]]
"""Events by (venue and market, kind, symbol)."""


def looks_like(path: Path, head: str) -> bool:
    """Whether the first line is a stamped frame or cryptofeed's connect URL."""
    return _STAMP.match(head) is not None or head.startswith("wss://")


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as raw:
            yield iter(io.TextIOWrapper(raw, "utf-8"))
    else:
        with path.open(encoding="utf-8") as text:
            yield iter(text)


def read(path: Path, instrument: str | None, steps: Steps) -> Tape:
    """The trades of a recording, one track per symbol (only `instrument` when it is given).

    Where a capture has both `trade` and `aggTrade` of a symbol, the raw trades are used.
    """
    found: Found = {}
    is_usdm = False
    with _lines(path) as lines:
        for line in lines:
            if line.startswith("wss://"):
                is_usdm = "fstream" in line
            match = _STAMP.match(line)
            if match is None or not any(kind in line for kind in _FRAME_KINDS):
                continue
            frame = msgspec.json.decode(line[match.end() :])
            _collect(found, frame, is_usdm=is_usdm)
    for key in [key for key in found if key[1] == "aggTrade"]:
        if (key[0], "trade", key[2]) in found:
            del found[key]
    chosen = found if instrument is None else _of(found, instrument)
    if not chosen:
        whose = instrument.rpartition(":")[2] if instrument else "any symbol"
        raise ValueError(f"{path.name}: the recording has no trades of {whose}")
    tracks = [_track(key, events, instrument, steps).build() for key, events in chosen.items()]
    return Tape(tuple(tracks), f"recording {path.name}")


def _of(found: Found, instrument: str) -> Found:
    """The events of one instrument: its own market's, else another's of the same symbol."""
    market, _, symbol = instrument.rpartition(":")
    same = {key: events for key, events in found.items() if key[2] == symbol}
    exact = {key: events for key, events in same.items() if key[0] == market}
    if not exact and len(same) > 1:
        names = ", ".join(f"{key[0]}:{symbol}" for key in same)
        raise ValueError(f"the recording has {names}: name one of them")
    return exact or same


def _collect(found: Found, frame: Fields, *, is_usdm: bool) -> None:
    if str(frame.get("topic", "")).startswith("publicTrade"):
        for fill in frame["data"]:
            market = "spot" if str(fill["i"]).isdigit() else "perp"
            found.setdefault((f"bybit:{market}", "fill", fill["s"]), []).append(
                {**fill, "E": frame["ts"]}
            )
        return
    event = frame.get("data", frame)
    kind = event.get("e")
    if kind not in ("trade", "aggTrade"):
        return
    is_perp = is_usdm or "X" in event or "M" not in event
    market = "binance:perp" if is_perp else "binance:spot"
    found.setdefault((market, kind, event["s"]), []).append(event)


def _track(
    key: tuple[str, str, str], events: list[Fields], instrument: str | None, steps: Steps
) -> TrackBuilder:
    market, kind, symbol = key
    builder = TrackBuilder(instrument or f"{market}:{symbol}", steps, kind == "aggTrade")
    if kind == "fill":
        _add_fills(builder, events, is_spot=market.endswith("spot"))
        return builder
    builder.add(
        Part(
            event_ms=[event["T"] for event in events],
            emit_ms=[event["E"] for event in events],
            price=[event["p"] for event in events],
            qty=[event["q"] for event in events],
            buyer=[not event["m"] for event in events],
            key=[event["a" if kind == "aggTrade" else "t"] for event in events],
            first_id=[event["f"] for event in events] if kind == "aggTrade" else None,
            last_id=[event["l"] for event in events] if kind == "aggTrade" else None,
            kind=[_KINDS.get(event.get("X", "MARKET"), INSURANCE_FUND) for event in events],
        )
    )
    return builder


def _add_fills(builder: TrackBuilder, fills: list[Fields], *, is_spot: bool) -> None:
    if not is_spot:
        builder.uuids = {1 + place: fill["i"] for place, fill in enumerate(fills)}
    builder.add(
        Part(
            event_ms=[fill["T"] for fill in fills],
            emit_ms=[fill["E"] for fill in fills],
            price=[fill["p"] for fill in fills],
            qty=[fill["v"] for fill in fills],
            buyer=[fill["S"] == "Buy" for fill in fills],
            key=[int(fill["i"]) for fill in fills] if is_spot else range(1, len(fills) + 1),
            seq=[fill.get("seq", 0) for fill in fills],
            kind=[BLOCK if fill["BT"] else RPI if fill.get("RPI") else 0 for fill in fills],
        )
    )
