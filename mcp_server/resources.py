"""Resources: the same answers by address, with completions; whatever is here is a tool as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import Completion

from mcp_server import parameters
from mcp_server.access.caller import may_see, permit_symbol, permit_tool
from mcp_server.budget import HARD_CAP_TOKENS
from mcp_server.openapi import document
from mcp_server.parameters import Question
from mcp_server.payload import encoded
from mcp_server.queries import Queries
from mcp_server.queries.explain import explain
from mcp_server.selection import selected
from mcp_server.ui import PAGE_URI, page
from orderflow.errors import ForbiddenError, RequestError, StoreError
from orderflow.indicators import INDICATORS
from orderflow.report import Report
from orderflow.timeframe import PERIODS, TIMEFRAMES

JSON = "application/json"
APP = "text/html;profile=mcp-app"
MOST_VALUES = 100
TOOLS = {
    "volume_profile": "get_volume_profile",
    "order_flow": "get_order_flow",
    "key_levels": "get_key_levels",
}
"""Kinds of resources that change, by the tool with the same answer."""
STATUS_URI = "wadm://status"


def add_resources(mcp: MCPServer, queries: Queries) -> None:
    """Fixed resources and templates."""

    @mcp.resource("wadm://symbols", name="symbols", mime_type=JSON, description="Collected symbols")
    async def symbols() -> str:
        return await _text("list_symbols", queries.symbols)

    @mcp.resource(STATUS_URI, name="status", mime_type=JSON, description="State of every stream")
    async def status() -> str:
        return await _text("get_status", queries.status)

    @mcp.resource(
        "wadm://schema/answers",
        name="schemas",
        mime_type=JSON,
        description="Full JSON schemas of all answers, quality and completeness included",
    )
    async def schemas() -> str:
        found: dict[str, Any] = msgspec.json.decode(document())["components"]
        return msgspec.json.encode(found).decode()

    @mcp.resource(
        PAGE_URI,
        name="answer",
        mime_type=APP,
        description="Draws a profile, a footprint or order flow inside the chat",
        meta={"ui": {"csp": {"connectDomains": [], "resourceDomains": []}, "prefersBorder": True}},
    )
    async def answer_page() -> str:
        return page()

    _add_templates(mcp, queries)


def _add_templates(mcp: MCPServer, queries: Queries) -> None:
    @mcp.resource(
        "wadm://volume_profile/{symbol}/{timeframe}",
        name="volume_profile",
        mime_type=JSON,
        description="Volume profile; subscribe to hear when it changes",
    )
    async def volume_profile(symbol: str, timeframe: str) -> str:
        asked = _short(symbol, timeframe)
        return await _text("get_volume_profile", lambda: queries.volume_profile(asked))

    @mcp.resource(
        "wadm://order_flow/{symbol}/{period}",
        name="order_flow",
        mime_type=JSON,
        description="Order flow; subscribe to hear when it changes",
    )
    async def order_flow(symbol: str, period: str) -> str:
        asked = _short(symbol, period)
        return await _text("get_order_flow", lambda: queries.order_flow(asked))

    @mcp.resource(
        "wadm://key_levels/{symbol}",
        name="key_levels",
        mime_type=JSON,
        description="Key levels, nearest first",
    )
    async def key_levels(symbol: str) -> str:
        asked = _short(symbol, None)
        return await _text("get_key_levels", lambda: queries.about_levels.key_levels(asked))

    @mcp.resource(
        "wadm://rules/{name}", name="rules", mime_type=JSON, description="Rule card of an indicator"
    )
    async def rules(name: str) -> str:
        return await _text("explain", lambda: explain(name))


def add_completions(mcp: MCPServer, queries: Queries) -> None:
    """Values for the arguments of templates and prompts."""

    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        known = {
            "symbol": sorted(filter(may_see, {i.symbol for i in queries.live.instruments()})),
            "timeframe": list(TIMEFRAMES),
            "period": list(PERIODS),
            "name": list(INDICATORS),
        }.get(argument.name, [])
        start = argument.value.lower()
        found = [value for value in known if value.lower().startswith(start)]
        return Completion(
            values=found[:MOST_VALUES], total=len(found), has_more=len(found) > MOST_VALUES
        )

    mcp.completion()(complete)  # type: ignore[no-untyped-call]


def named(uri: str) -> tuple[str, str]:
    """(kind, symbol or name) of one of our addresses."""
    kind, _, rest = uri.removeprefix("wadm://").partition("/")
    return kind, rest.partition("/")[0]


class Stamps:
    """When a resource last changed (the newest trade of its symbol), and who may know."""

    def __init__(self, queries: Queries) -> None:
        self.queries = queries

    def permit(self, uri: str) -> None:
        """ForbiddenError when the caller's key is not for what a resource shows."""
        kind, symbol = named(uri)
        if kind not in TOOLS:
            return
        permit_tool(TOOLS[kind])
        try:
            selected(symbol, self.queries.live.instruments(), None, None)
        except ForbiddenError:
            raise
        except RequestError:
            # A name of nothing, or of several things, is for keys that see everything.
            permit_symbol(symbol.upper())

    def __call__(self, uri: str) -> int | None:
        """Exchange time of the newest trade; None for what has no resource."""
        live = self.queries.live
        if uri == STATUS_URI:
            return live.version
        kind, symbol = named(uri)
        if kind not in TOOLS or not symbol:
            return None
        try:
            found = selected(symbol, live.instruments(), None, None)
        except RequestError:
            return None
        return max(live.stream(item.name).last_event_ms or 0 for item in found.instruments)


def _short(symbol: str, name: str | None) -> Question:
    try:
        return parameters.question(
            symbol, {"detail": "summary", "numbers": "string", "context": "none"} | _named(name)
        )
    except RequestError as error:
        raise ResourceNotFoundError(f"{error.code}: {error}") from error


def _named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"timeframe": name}


async def _text(tool: str, ask: Callable[[], Awaitable[Report]]) -> str:
    """The tool's own answer, for keys that may call the tool."""
    try:
        permit_tool(tool)
        report = await ask()
    except RequestError as error:
        raise ResourceNotFoundError(f"{error.code}: {error}") from error
    except StoreError as error:
        raise ResourceNotFoundError("NOT_READY: history can't be read right now") from error
    return encoded(report, "string", HARD_CAP_TOKENS).decode()
