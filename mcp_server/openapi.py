"""The OpenAPI document, made from the report models and the parameter table."""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema

from mcp_server.budget import HARD_CAP_TOKENS, LEAST_TOKENS
from mcp_server.derivatives import DERIVATIVE_NAMES
from mcp_server.events import EVENT_NAMES, KINDS, RATE_NAMES
from mcp_server.parameters import (
    BARE,
    CHANGES,
    COMPARE,
    CONTEXTS,
    FLOW,
    FOOTPRINT,
    FORMS,
    LEVELS,
    MOST_BARS,
    MOST_LEVELS,
    PROFILE,
    SNAPSHOT,
    SUMMARY,
    SYMBOLS,
    WAIT,
)
from mcp_server.queries.indicators import INDICATOR, MOST_WINDOWS
from mcp_server.queries.waits import CONDITIONS, LONGEST_S
from mcp_server.streaming import described
from mcp_server.streaming.subscription import STREAM
from orderflow import reports
from orderflow.context_reports import BaseRatesReport, EventsReport
from orderflow.derivative_reports import DerivativesReport
from orderflow.detectors import DETECTORS
from orderflow.indicators.volume_profile import METHODS
from orderflow.level_reports import (
    ChangesReport,
    CompareReport,
    ExplainReport,
    KeyLevelsReport,
    WaitReport,
)
from orderflow.report import Report
from orderflow.status_reports import HealthReport, StatusReport
from orderflow.studies import STUDIES
from orderflow.studies.study import OPERATIONS
from orderflow.study_reports import IndicatorReport
from orderflow.timeframe import PERIODS, TIMEFRAMES

REQUIRED = frozenset({"symbols", "symbol", "condition", "value"})
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
        "percentiles, against bars of the same UTC hour or of all: at detail=full of an answer "
        "about now (same_hour unless said), in rows of history only where asked for",
    ),
    "kinds": ({"type": "string"}, f"by comma, default all: {', '.join(KINDS)}"),
    "side": ({"type": "string", "enum": ["buy", "sell"]}, "direction of the event"),
    "revision": (
        {"type": "integer", "minimum": 0},
        "what changed in the aligned window that begins at since, after its revision so and so",
    ),
    "since": ({"type": "string"}, "epoch ms or ISO-8601; events from here on, exchange time"),
    "as_of": ({"type": "string"}, "epoch ms or ISO-8601; only what was published by then"),
    "max_tokens": (
        {"type": "integer", "minimum": LEAST_TOKENS, "maximum": HARD_CAP_TOKENS},
        "least important entries leave first; `dropped` says how many",
    ),
    "form": (
        {"type": "string", "enum": list(FORMS)},
        "whole answers (default) or a line of numbers per symbol",
    ),
    "condition": ({"type": "string", "enum": list(CONDITIONS)}, "what to wait for"),
    "value": ({"type": "string"}, "a price, deviations, a kind of event or a timeframe"),
    "timeout_s": ({"type": "integer", "minimum": 1, "maximum": LONGEST_S}, "default 20"),
    "session": (
        {"type": "string"},
        "day (default), week, asia, europe, us, or hours like Europe/Berlin 09:00-17:30",
    ),
    "anchor": ({"type": "string"}, "epoch ms or ISO-8601: where a sum or a profile begins"),
    "windows": (
        {"type": "integer", "minimum": 1, "maximum": MOST_WINDOWS},
        "newest sessions, default 5",
    ),
    "operation": ({"type": "string", "enum": list(OPERATIONS)}, "default compare"),
    "other": ({"type": "string"}, "START/END: the second window of profile_algebra"),
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
    "/indicators/{name}/{symbol}": (
        f"One indicator over a stretch of bars: {', '.join(STUDIES)}",
        INDICATOR,
        (IndicatorReport,),
    ),
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
    "/levels/{symbol}": ("Key levels, nearest first", LEVELS, (KeyLevelsReport,)),
    "/compare/{symbol}": ("Venues, markets and windows", COMPARE, (CompareReport,)),
    "/changes/{symbol}": ("What changed since a time", CHANGES, (ChangesReport,)),
    "/wait/{symbol}": ("Answers when a condition holds", WAIT, (WaitReport,)),
    "/explain": ("Names of all rule cards", BARE, (ExplainReport,)),
    "/explain/{name}": ("One rule card", BARE, (ExplainReport,)),
    "/symbols": ("What is collected", SYMBOLS, (reports.SymbolsReport,)),
    "/status": ("Streams and connections", BARE, (StatusReport,)),
    "/health": ("503 while not ready; needs no key", (), (HealthReport,)),
}


ERROR = {"$ref": "#/components/schemas/ErrorReport"}
PROBLEM = {"description": "Problem", "content": {"application/json": {"schema": ERROR}}}


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
                "paths": {path: {"get": _operation(path)} for path in PATHS}
                | {"/stream": {"get": _stream_operation()}},
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
    if "{name}" in path:
        listed.insert(0, _parameter("name", "path", {"type": "string"}, "name of an indicator"))
    if "{symbol}" in path:
        text = "BTCUSDT, BTC/USDT:USDT, BINANCE:BTCUSDT.P, binance:perp:BTCUSDT"
        listed.insert(0, _parameter("symbol", "path", {"type": "string", "maxLength": 40}, text))
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    answer = {"description": "Answer", "content": {"application/json": {"schema": schema}}}
    return {
        "summary": title,
        "parameters": listed,
        "responses": {"200": answer, "default": PROBLEM},
    }


def _stream_operation() -> dict[str, Any]:
    known = PARAMETERS | described.PARAMETERS
    listed = [_parameter(name, "query", *known[name]) for name in STREAM]
    return {
        "summary": described.TITLE,
        "parameters": [*listed, described.LAST_EVENT_ID],
        "responses": {"200": described.ANSWER, "default": PROBLEM},
    }


def _parameter(name: str, place: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path" or name in REQUIRED,
        "schema": schema,
        "description": text,
    }
