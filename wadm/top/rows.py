"""From answers to lines of a table of 80 columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from orderflow.completeness import State, worst

NONE = "-"
SHORT_STATES = {
    "verified": "verified",
    "venue_adjustment": "adjusted",
    "verified_volume": "verified vol",
    "contiguous": "contiguous",
    "repairing": "REPAIRING",
    "partial": "PARTIAL",
    "approximate": "APPROX",
    "unknown": "UNKNOWN",
}
"""Whole windows in small letters, others in capitals: no colour is needed to tell them apart."""


class Column(NamedTuple):
    """A title and how wide it is."""

    title: str
    width: int


SYMBOL_COLUMNS = (
    Column("symbol", 12),
    Column("price", 12),
    Column("delta", 12),
    Column("POC", 11),
    Column("to POC", 10),
    Column("age s", 7),
    Column("completeness", 14),
)
STREAM_COLUMNS = (
    Column("stream", 25),
    Column("status", 8),
    Column("lag s", 7),
    Column("open", 6),
    Column("filled", 8),
    Column("lost", 6),
    Column("odd", 6),
    Column("verified", 10),
)
"""`open`, `filled` and `lost` are holes, `odd` quarantined trades, `verified` minutes."""
FEED_COLUMNS = (
    Column("connection", 20),
    Column("state", 12),
    Column("quiet s", 9),
    Column("connects", 10),
    Column("frames", 9),
    Column("dropped", 9),
    Column("malformed", 11),
)


class View(NamedTuple):
    """Everything one look at the server gives."""

    status: dict[str, Any]
    symbols: list[dict[str, Any]]


def names_of(symbols: dict[str, Any]) -> list[str]:
    """Each collected symbol once, in the server's order."""
    return list(dict.fromkeys(line["symbol"] for line in symbols["symbols"]))


def symbol_of(line: dict[str, Any]) -> dict[str, Any]:
    """One symbol of a snapshot as plain data; numbers stay exact strings, missing stays null."""
    profile, flow = line.get("profile"), line.get("flow")
    found: dict[str, Any] = {"symbol": line["symbol"], "error": line.get("error")}
    poc = None if profile is None else profile["poc"]
    price = _first(flow, profile, "close")
    quality = [one["quality"] for one in (profile, flow) if one is not None]
    facts = (profile or {}).get("facts") or {}
    states = [State(one["state"]) for one in quality if one["state"] in set(State)]
    return found | {
        "price": price,
        "delta": None if flow is None else flow["delta"],
        "poc": poc,
        "to_poc": facts.get("to_poc"),
        "age_ms": max((one["age_ms"] for one in quality), default=None),
        "stale": any(one["stale"] for one in quality),
        "state": str(worst(states)) if states else None,
        "profile_state": None if profile is None else profile["quality"]["state"],
        "flow_state": None if flow is None else flow["quality"]["state"],
        "coverage": None if profile is None else profile["quality"]["coverage"],
    }


def _first(one: dict[str, Any] | None, other: dict[str, Any] | None, name: str) -> Any:
    for answer in (one, other):
        if answer is not None and answer.get(name) is not None:
            return answer[name]
    return None


def symbol_cells(row: dict[str, Any]) -> list[str]:
    """One line of the first table; a stale number says so instead of its state."""
    proof = "STALE" if row["stale"] else SHORT_STATES.get(str(row["state"]), NONE)
    if row["error"] and row["price"] is None:
        proof = "no data"
    return [
        row["symbol"],
        shown(row["price"]),
        shown(row["delta"]),
        shown(row["poc"]),
        shown(row["to_poc"]),
        seconds(row["age_ms"]),
        proof,
    ]


def stream_cells(line: dict[str, Any]) -> list[str]:
    """One stream: how it is, how late, what is missing and what was repaired."""
    return [
        line["instrument"],
        str(line["status"]),
        seconds(line["lag_ms"]),
        count(line["gaps_open"]),
        count(line["gaps_filled"]),
        count(line["gaps_lost"]),
        count(line["quarantined"]),
        count(line["minutes_verified"]),
    ]


def feed_cells(line: dict[str, Any]) -> list[str]:
    """One connection."""
    return [
        line["connection"],
        str(line["state"]),
        seconds(line["last_frame_age_ms"]),
        count(line["connects"]),
        count(line["frames"]),
        count(line["dropped"]),
        count(line["malformed"]),
    ]


def by_trouble(streams: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Streams, those with open holes and the latest ones first."""
    return sorted(streams, key=lambda s: (-s["gaps_open"], -(s["lag_ms"] or 0), s["instrument"]))


def shown(value: Any) -> str:
    """A number in at most eleven signs; a long one loses decimals, never digits before them."""
    if value is None:
        return NONE
    text = str(value)
    if len(text) <= 11:
        return text
    whole, _, part = text.partition(".")
    return f"{whole}.{part[: max(0, 10 - len(whole))]}".rstrip(".")


def seconds(value_ms: int | None) -> str:
    """Milliseconds as seconds; from a minute on in minutes or hours."""
    if value_ms is None:
        return NONE
    if value_ms < 60_000:
        return f"{value_ms / 1_000:.1f}"
    if value_ms < 3_600_000:
        return f"{value_ms // 60_000}m"
    return f"{min(value_ms // 3_600_000, 9_999)}h"


def count(value: int) -> str:
    """A count in at most six signs."""
    if value < 100_000:
        return str(value)
    return f"{value // 1_000}k" if value < 100_000_000 else f"{value // 1_000_000}M"


def headline(status: dict[str, Any]) -> str:
    """What must be known before any number: what it is made of, and whether it is live."""
    source = status["source"]
    lag = status["worst_lag_ms"]
    words = [
        "live" if source == "live" else source.upper(),
        "ready" if status["ready"] else "NOT READY",
        f"lag {seconds(lag)}{'s' if lag is not None and lag < 60_000 else ''}",
        f"{sum(stream['gaps_open'] for stream in status['streams'])} gaps",
    ]
    return " · ".join(words)
