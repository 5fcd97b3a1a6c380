"""Tools about value and flow: symbols, profile, order flow, footprint, snapshot."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server import MCPServer
from pydantic import Field

from mcp_server import parameters
from mcp_server.parameters import FLOW, FOOTPRINT, PROFILE, SNAPSHOT, Numbers
from mcp_server.queries import Queries
from mcp_server.tools.answering import (
    READ_ONLY,
    AnyTimeframe,
    AsOf,
    ContextName,
    Detail,
    Exchange,
    Limit,
    MarketName,
    MaxTokens,
    Moment,
    Period,
    Result,
    Symbol,
    WindowName,
    answered,
    question,
    refused,
)
from mcp_server.ui import PAGE_URI
from orderflow import reports
from orderflow.errors import RequestError
from orderflow.report import Report

REPORTS: dict[str, tuple[type[Report], ...]] = {
    "list_symbols": (reports.SymbolsReport,),
    "get_volume_profile": (reports.VolumeProfileReport, reports.ProfileHistory),
    "get_order_flow": (reports.OrderFlowReport, reports.FlowHistory),
    "get_footprint": (reports.FootprintReport,),
    "get_market_snapshot": (reports.SnapshotReport,),
}
FEW_BARS = 6
"""Of a question that names neither a beginning nor a number."""
DRAWN = {"ui": {"resourceUri": PAGE_URI}}
"""Hosts that draw MCP Apps show this page with the answer."""


def add_value_tools(mcp: MCPServer, queries: Queries) -> None:
    """Symbols and profile."""

    @mcp.tool(title="Collected symbols", annotations=READ_ONLY)
    async def list_symbols(
        detail: Literal["summary", "full"] = "summary",
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Collected symbols with venues, markets, tick, lot and row sizes. Call once, first."""
        return await answered(queries.symbols(detail), numbers, max_tokens)

    @mcp.tool(title="Volume profile", annotations=READ_ONLY, meta=DRAWN)
    async def get_volume_profile(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        timeframe: AnyTimeframe = "1h",
        exchange: Exchange = None,
        market: MarketName = None,
        window: WindowName = None,
        start: Moment = None,
        end: str | None = None,
        limit: Limit = None,
        detail: Detail = "summary",
        numbers: Numbers = "string",
        va_method: Literal["single", "pair"] = "single",
        row_size: Annotated[str | None, Field(description="multiple of the base row")] = None,
        max_levels: Annotated[int | None, Field(description="rows with most volume")] = None,
        context: ContextName = None,
        as_of: AsOf = None,
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Where volume traded: POC, VAH, VAL (low price of their row, in quote currency), and
        facts: price inside or outside value, distance to POC in ticks and sigma. detail=rows gives
        the histogram in lots, full adds shape, HVN/LVN, VWAP bands, migration. start/end/limit give
        `items`, one aligned window each. For pressure now use get_order_flow, for older levels
        get_key_levels."""
        asked = question({**locals()}, PROFILE, "timeframe")
        return await answered(queries.volume_profile(asked), numbers, max_tokens)


def add_flow_tools(mcp: MCPServer, queries: Queries) -> None:
    """Order flow, footprint and snapshot."""

    @mcp.tool(title="Order flow", annotations=READ_ONLY, meta=DRAWN)
    async def get_order_flow(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        period: Period = "5m",
        exchange: Exchange = None,
        market: MarketName = None,
        window: WindowName = None,
        start: Moment = None,
        end: str | None = None,
        limit: Limit = None,
        detail: Detail = "summary",
        numbers: Numbers = "string",
        context: ContextName = None,
        as_of: AsOf = None,
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Who presses now: delta (buy minus sell, in base currency), CVD, imbalance. detail=rows
        adds bars, full adds large trades, sweeps, print sizes, COT, market_state. For where volume
        sits use get_volume_profile, for venues against each other compare."""
        asked = question({**locals()}, FLOW, "period")
        return await answered(queries.order_flow(asked), numbers, max_tokens)

    @mcp.tool(title="Footprint bars", annotations=READ_ONLY, meta=DRAWN)
    async def get_footprint(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        timeframe: AnyTimeframe = "5m",
        exchange: Exchange = None,
        market: MarketName = None,
        start: Moment = None,
        end: str | None = None,
        limit: Annotated[int | None, Field(description="newest; without start 6")] = None,
        detail: Detail = "summary",
        numbers: Numbers = "string",
        context: ContextName = None,
        as_of: AsOf = None,
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Aligned bars, oldest first: OHLC, volume, delta and its extremes, POC; detail=rows adds
        [price, buy, sell, trades], context percentiles. For one number of a window use
        get_order_flow."""
        values = {**locals()}
        if start is None and limit is None:
            values["limit"] = FEW_BARS
        asked = question(values, FOOTPRINT, "timeframe")
        return await answered(queries.footprint(asked), numbers, max_tokens)

    @mcp.tool(title="Market snapshot", annotations=READ_ONLY)
    async def get_market_snapshot(
        symbols: Annotated[str, Field(description="1 to 50 by comma")],
        timeframe: AnyTimeframe = "1h",
        period: Period = "5m",
        exchange: Exchange = None,
        market: MarketName = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Value and pressure of several symbols in one call, a line each. Use it to choose where
        to look; then ask single tools."""
        asked = {**locals(), "detail": "summary"}
        found = question(
            asked, [name for name in SNAPSHOT if name not in {"period", "form"}], "timeframe"
        )
        try:
            names = parameters.symbol_list(symbols)
        except RequestError as error:
            raise refused(error) from error
        return await answered(queries.snapshot(names, found, period, "lines"), numbers, max_tokens)
