"""The OpenAPI document, made from the report models and the parameter table."""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema

from mcp_server.derivatives import DERIVATIVE_NAMES
from mcp_server.events import EVENT_NAMES, KINDS, RATE_NAMES
from mcp_server.parameters import (
    CONTEXTS,
    FLOW,
    FOOTPRINT,
    MOST_BARS,
    MOST_LEVELS,
    PROFILE,
    SNAPSHOT,
    SUMMARY,
)
from orderflow import reports
from orderflow.context_reports import BaseRatesReport, EventsReport
from orderflow.derivative_reports import DerivativesReport
from orderflow.detectors import DETECTORS
from orderflow.indicators.volume_profile import METHODS
from orderflow.report import Report
from orderflow.timeframe import PERIODS, TIMEFRAMES

PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "timeframe": ({"type": "string", "enum": list(TIMEFRAMES)}, "default 1h"),
    "period": ({"type": "string", "enum": list(PERIODS)}, "default 5m"),
    "exchange": ({"type": "string"}, "a venue, or aggregated (default)"),
    "market": ({"type": "string", "enum": ["spot", "perp", "all"]}, "default perp, else spot"),
    "window": (
        {"type": "string", "enum": ["rolling", "aligned"]},
        "rolling: the last whole minutes (default now); aligned: UTC (default for history)",
    ),
    "start": ({"type": "string"}, "epoch ms or ISO-8601; windows from here on"),
    "end": ({"type": "string"}, "epoch ms or ISO-8601; windows before this"),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MOST_BARS}, "newest windows"),
    "detail": ({"type": "string", "enum": ["summary", "rows", "full"]}, "default full"),
    "numbers": ({"type": "string", "enum": ["json", "string"]}, "default json"),
    "va_method": ({"type": "string", "enum": list(METHODS)}, "value-area walk"),
    "row_size": ({"type": "string"}, "a whole multiple of the base row, see /symbols"),
    "max_levels": ({"type": "integer", "minimum": 1, "maximum": MOST_LEVELS}, "rows kept"),
    "symbols": ({"type": "string"}, "1 to 50 symbols by comma"),
    "symbol": ({"type": "string", "maxLength": 40}, "as in the paths of other answers"),
    "context": (
        {"type": "string", "enum": list(CONTEXTS)},
        "percentiles at detail=full: bars of the same UTC hour (default), of all hours, or none",
    ),
    "kinds": ({"type": "string"}, f"by comma, default all: {', '.join(KINDS)}"),
    "side": ({"type": "string", "enum": ["buy", "sell"]}, "direction of the event"),
    "since": ({"type": "string"}, "epoch ms or ISO-8601; events from here on, exchange time"),
    "as_of": ({"type": "string"}, "epoch ms or ISO-8601; only what was published by then"),
    "cursor": ({"type": "string"}, "next_cursor of an earlier answer: older events"),
}
PATHS: dict[str, tuple[str, tuple[str, ...], tuple[type[Report], ...]]] = {
    "/volume_profile/{symbol}": (
        "Volume profile: POC, VAH, VAL and levels",
        PROFILE,
        (reports.VolumeProfileReport, reports.ProfileHistory),
    ),
    "/order_flow/{symbol}": (
        "Order flow: delta, CVD, imbalance",
        FLOW,
        (reports.OrderFlowReport, reports.FlowHistory),
    ),
    "/footprint/{symbol}": ("Footprint bars", FOOTPRINT, (reports.FootprintReport,)),
    "/indicators/summary/{symbol}": ("Profile and flow", SUMMARY, (reports.SummaryReport,)),
    "/snapshot": ("Several symbols in one answer", SNAPSHOT, (reports.SnapshotReport,)),
    "/events": ("Events, newest first", EVENT_NAMES, (EventsReport,)),
    "/events/base-rates/{kind}": (
        "What followed events of one kind",
        RATE_NAMES,
        (BaseRatesReport,),
    ),
    "/derivatives/{symbol}": (
        "Funding, open interest and liquidations by minute",
        DERIVATIVE_NAMES,
        (DerivativesReport,),
    ),
    "/symbols": ("What is collected", ("numbers",), (reports.SymbolsReport,)),
    "/status": ("Streams and connections", ("numbers",), (reports.StatusReport,)),
    "/health": ("503 while not ready; needs no key", (), (reports.HealthReport,)),
}


@functools.cache
def document() -> bytes:
    """The document as JSON."""
    used: dict[str, type[Report]] = {"ErrorReport": reports.ErrorReport}
    for _, _, models in PATHS.values():
        used |= {model.__name__: model for model in models}
    _, definitions = models_json_schema(
        [(model, "validation") for model in used.values()],
        ref_template="#/components/schemas/{model}",
    )
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "openapi": "3.1.0",
                "info": {
                    "title": "WADM",
                    "version": version("wadm"),
                    "description": "Exact, proven order-flow indicators. Read only.",
                },
                "paths": {path: {"get": _operation(path)} for path in PATHS},
                "components": {"schemas": definitions["$defs"]},
            }
        ),
        indent=1,
    )


def _operation(path: str) -> dict[str, Any]:
    title, names, models = PATHS[path]
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    listed = [_parameter(name, "query", *PARAMETERS[name]) for name in names]
    if "{kind}" in path:
        kinds = {"type": "string", "enum": list(DETECTORS)}
        listed.insert(0, _parameter("kind", "path", kinds, "kind of event"))
    if "{symbol}" in path:
        text = "BTCUSDT, BTC/USDT:USDT, BINANCE:BTCUSDT.P, binance:perp:BTCUSDT"
        listed.insert(0, _parameter("symbol", "path", {"type": "string", "maxLength": 40}, text))
    error = {"$ref": "#/components/schemas/ErrorReport"}
    problem = {"description": "Problem", "content": {"application/json": {"schema": error}}}
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    answer = {"description": "Answer", "content": {"application/json": {"schema": schema}}}
    return {
        "summary": title,
        "parameters": listed,
        "responses": {"200": answer, "default": problem},
    }


def _parameter(name: str, place: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path" or name in {"symbols", "symbol"},
        "schema": schema,
        "description": text,
    }
