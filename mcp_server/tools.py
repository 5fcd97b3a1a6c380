"""MCP tools over the same queries: read only, closed world, one typed function each."""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.metadata import version
from typing import Annotated, Any, Literal

from mcp.server import CacheHint, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, create_model

from mcp_server import parameters
from mcp_server.access.tool_scope import tool_scope
from mcp_server.events import EVENT_NAMES, KINDS, RATE_NAMES, EventQuestion, event_question
from mcp_server.parameters import FLOW, PROFILE, Numbers
from mcp_server.payload import ENCODERS, structured
from mcp_server.queries import Queries
from orderflow import reports
from orderflow.context_reports import BaseRatesReport, EventsReport
from orderflow.errors import RequestError, StoreError
from orderflow.report import Report
from orderflow.timeframe import PERIODS, TIMEFRAMES

READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
INSTRUCTIONS = (
    "Exact order-flow indicators of Binance and Bybit, read only. Call list_symbols once, then "
    "get_volume_profile (where is value?) and get_order_flow (who is pressing now?). Every answer "
    "carries quality: refuse numbers whose completeness.state is partial or unknown or whose "
    "stale is true. Prices of rows are the low price of the row. Facts, never advice."
)
Symbol = Annotated[str, Field(description="BTCUSDT, BTC/USDT:USDT, BINANCE:BTCUSDT.P, ...")]
Exchange = Annotated[str | None, Field(description="a venue; default all venues together")]
MarketName = Annotated[Literal["spot", "perp", "all"] | None, Field(description="default perp")]
WindowName = Annotated[
    Literal["rolling", "aligned"] | None, Field(description="rolling = last whole minutes")
]
Moment = Annotated[str | None, Field(description="ISO-8601 or epoch ms; history from/to here")]
EventTimeframe = Annotated[str | None, Field(description="1m, 5m, 15m or 1h")]
EventSide = Annotated[Literal["buy", "sell"] | None, Field(description="direction")]
AsOf = Annotated[str | None, Field(description="only what was published by then")]
ContextName = Annotated[
    Literal["same_hour", "all_hours", "none"] | None,
    Field(description="percentiles at detail=full; default same UTC hour"),
]
Limit = Annotated[int | None, Field(description="number of newest aligned windows")]
Detail = Annotated[Literal["summary", "rows", "full"], Field(description="summary is short")]
NumberForm = Annotated[Numbers, Field(description="decimals as strings or JSON numbers")]


def answer_model(report: type[Report], name: str) -> type[BaseModel]:
    """The output schema of a tool that answers with one report or with a list of them."""
    fields: dict[str, Any] = {
        key: (field.annotation | None, None)  # type: ignore[operator]
        for key, field in report.model_fields.items()
    }
    fields["items"] = (list[dict[str, Any]] | None, None)
    return create_model(name, __config__=ConfigDict(extra="allow"), **fields)


ProfileAnswer = answer_model(reports.VolumeProfileReport, "ProfileAnswer")
FlowAnswer = answer_model(reports.OrderFlowReport, "FlowAnswer")


async def answered(work: Awaitable[Report], numbers: Numbers) -> CallToolResult:
    """The report as structured content, and the same facts as compact text."""
    try:
        report = await work
    except RequestError as error:
        raise ToolError(f"{error.code}: {error}") from error
    except StoreError as error:
        raise ToolError("NOT_READY: history can't be read right now") from error
    data = structured(report, numbers)
    text = ENCODERS["string"].encode(data).decode()
    return CallToolResult(content=[TextContent(text=text)], structured_content=data)


def build_tools(queries: Queries) -> MCPServer:
    """The MCP server with its tools."""
    hint = CacheHint(ttl_ms=300_000, scope="public")
    mcp = MCPServer(
        "wadm",
        title="WADM order flow",
        version=version("wadm"),
        log_level="WARNING",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": hint},
        middleware=[tool_scope],
    )

    @mcp.tool(title="Collected symbols", annotations=READ_ONLY)
    async def list_symbols(
        numbers: NumberForm = "string",
    ) -> Annotated[CallToolResult, reports.SymbolsReport]:
        """Every collected symbol with venue, market, tick, lot and row sizes. Call it first."""
        return await answered(queries.symbols(), numbers)

    @mcp.tool(title="Volume profile", annotations=READ_ONLY)
    async def get_volume_profile(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        timeframe: Annotated[str, Field(description=f"one of {', '.join(TIMEFRAMES)}")] = "1h",
        exchange: Exchange = None,
        market: MarketName = None,
        window: WindowName = None,
        start: Moment = None,
        end: Moment = None,
        limit: Limit = None,
        detail: Detail = "summary",
        numbers: NumberForm = "string",
        va_method: Literal["single", "pair"] = "single",
        row_size: Annotated[str | None, Field(description="multiple of the base row")] = None,
        max_levels: Annotated[int | None, Field(description="rows kept, most volume")] = None,
        context: ContextName = None,
    ) -> Annotated[CallToolResult, ProfileAnswer]:
        """POC, VAH and VAL: where a symbol's volume traded. For buy/sell pressure use
        get_order_flow. With start, end or limit: `items`, one aligned window each."""
        asked = {**locals()}
        question = _question(asked, symbol, PROFILE, "timeframe")
        return await answered(queries.volume_profile(question), numbers)

    @mcp.tool(title="Order flow", annotations=READ_ONLY)
    async def get_order_flow(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        period: Annotated[str, Field(description=f"one of {', '.join(PERIODS)}")] = "5m",
        exchange: Exchange = None,
        market: MarketName = None,
        window: WindowName = None,
        start: Moment = None,
        end: Moment = None,
        limit: Limit = None,
        detail: Detail = "summary",
        numbers: NumberForm = "string",
        context: ContextName = None,
    ) -> Annotated[CallToolResult, FlowAnswer]:
        """Delta, cumulative delta and imbalance: who pressed in the last seconds to an hour."""
        asked = {**locals()}
        question = _question(asked, symbol, FLOW, "period")
        return await answered(queries.order_flow(question), numbers)

    @mcp.tool(title="Events", annotations=READ_ONLY)
    async def get_events(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        kinds: Annotated[str | None, Field(description=f"by comma: {', '.join(KINDS)}")] = None,
        since: Moment = None,
        limit: Annotated[int, Field(description="at most 200")] = 10,
        cursor: Annotated[str | None, Field(description="next_cursor: older ones")] = None,
        timeframe: EventTimeframe = None,
        side: EventSide = None,
        exchange: Exchange = None,
        market: MarketName = None,
        as_of: AsOf = None,
        numbers: NumberForm = "string",
    ) -> Annotated[CallToolResult, EventsReport]:
        """What happened, newest first: each event with its numbers, the bars behind it and the
        return 5, 15, 60 and 240 minutes later. Corrections are events too."""
        asked = {**locals()}
        return await answered(queries.about_events.events(_about(asked, EVENT_NAMES)), numbers)

    @mcp.tool(title="Base rates", annotations=READ_ONLY)
    async def get_base_rates(  # noqa: PLR0913 (each is a parameter of the question)
        kind: Annotated[str, Field(description="a kind of event, not correction")],
        symbol: Symbol,
        timeframe: EventTimeframe = None,
        side: EventSide = None,
        since: Moment = None,
        exchange: Exchange = None,
        market: MarketName = None,
        as_of: AsOf = None,
        numbers: NumberForm = "string",
    ) -> Annotated[CallToolResult, BaseRatesReport]:
        """What followed earlier events of one kind: count, returns, hit rate with its interval.
        Look here before reading anything into an event."""
        asked = {**locals()}
        question = _about(asked, RATE_NAMES)
        return await answered(queries.about_events.base_rates(kind, question), numbers)

    @mcp.tool(title="Data status", annotations=READ_ONLY)
    async def get_status(
        numbers: NumberForm = "string",
    ) -> Annotated[CallToolResult, reports.StatusReport]:
        """State of every stream: lag, gaps, repairs, verified minutes. Ask when in doubt."""
        return await answered(queries.status(), numbers)

    return mcp


def _about(asked: dict[str, Any], allowed: tuple[str, ...]) -> EventQuestion:
    """The same validation as REST, on the same text."""
    pairs = [(name, str(asked[name])) for name in allowed if asked.get(name) is not None]
    try:
        return event_question(parameters.single_values(pairs, allowed))
    except RequestError as error:
        raise ToolError(f"{error.code}: {error}") from error


def _question(
    asked: dict[str, Any], symbol: str, allowed: tuple[str, ...], name_key: str
) -> parameters.Question:
    """The same validation as REST, on the same text."""
    pairs = [(name, str(asked[name])) for name in allowed if asked.get(name) is not None]
    try:
        return parameters.question(symbol, parameters.single_values(pairs, allowed), name_key)
    except RequestError as error:
        raise ToolError(f"{error.code}: {error}") from error
