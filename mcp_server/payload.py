"""A report as plain data and bytes: the same for every transport."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from mcp_server.budget import cut
from mcp_server.parameters import Numbers
from orderflow.report import Report

OPTIONAL = frozenset(
    {
        "summary",
        "levels",
        "bars",
        "rows",
        "profile",
        "flow",
        "context",
        "outcomes",
        "facts",
        "reading",
        "large_trades",
        "market_state",
        "next_call",
        "histogram",
        "line",
        "dropped",
    }
)
"""Parts that a short answer leaves out altogether."""
MOVING = frozenset({"timestamp", "age_ms", "next_update_at", "next_update_in_ms", "lag_ms"})
"""What changes with the clock alone does not change the ETag."""
ENCODERS = {
    "json": msgspec.json.Encoder(decimal_format="number"),
    "string": msgspec.json.Encoder(decimal_format="string"),
}


def plain_data(report: Report) -> dict[str, Any]:
    """The report as dictionaries and lists, decimals kept exact."""
    data: dict[str, Any] = _pruned(report.model_dump())
    return data


def encoded(report: Report, numbers: Numbers, max_tokens: int | None = None) -> bytes:
    """JSON; decimals as numbers or as strings, digit for digit; cut to a budget if one is given."""
    data = plain_data(report)
    return ENCODERS[numbers].encode(data if max_tokens is None else cut(data, max_tokens))


def structured(report: Report, numbers: Numbers, max_tokens: int | None = None) -> dict[str, Any]:
    """What a JSON reader sees of `encoded`."""
    data: dict[str, Any] = msgspec.json.decode(encoded(report, numbers, max_tokens))
    return data


def etag(report: Report, numbers: Numbers) -> str:
    """A weak validator: equal for answers that differ in age only."""
    body = ENCODERS[numbers].encode(still(plain_data(report)))
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _pruned(inner)
            for name, inner in value.items()
            if inner is not None or name not in OPTIONAL
        }
    if isinstance(value, list):
        return [_pruned(inner) for inner in value]
    return value


def still(value: Any) -> Any:
    """Plain data without what moves with the clock alone."""
    if isinstance(value, dict):
        return {name: still(inner) for name, inner in value.items() if name not in MOVING}
    if isinstance(value, list):
        return [still(inner) for inner in value]
    return value
