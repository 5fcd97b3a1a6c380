"""Prompts: three readings after Wyckoff and one check of the data; they ask, the tools answer."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from pydantic import Field

Symbol = Annotated[str, Field(description="for example BTCUSDT")]
Timeframe = Annotated[str, Field(description="1m, 5m, 15m, 30m, 1h, 4h or 1d")]
CARE = (
    "Check quality first: leave out numbers that are stale, partial or unknown, and say so. "
    "Separate what was measured from what you conclude; name what would prove you wrong. "
    "Give no advice to trade."
)


def add_prompts(mcp: MCPServer) -> None:
    """All four."""

    @mcp.prompt(
        title="Read the auction",
        description="Where price stands against value, and whether value is moving.",
    )
    def read_the_auction(symbol: Symbol, timeframe: Timeframe = "1h") -> list[UserMessage]:
        return _asked(
            f"Read the auction of {symbol}. 1. get_volume_profile timeframe={timeframe} "
            "detail=full: place, shape, migration. 2. get_key_levels: the three nearest levels. "
            "3. get_order_flow period=5m: who presses. Say whether price is accepted or rejected "
            "outside value, with the numbers."
        )

    @mcp.prompt(
        title="Effort versus result",
        description="Whether volume and delta moved price as much as they usually do.",
    )
    def effort_versus_result(symbol: Symbol, timeframe: Timeframe = "15m") -> list[UserMessage]:
        return _asked(
            f"Compare effort and result of {symbol}. 1. get_footprint timeframe={timeframe} "
            "limit=12: volume, delta and range of each bar. 2. get_order_flow period=15m "
            "detail=full: percentiles, large trades, sweeps. 3. get_events kinds=absorption,"
            "effort_without_result,result_without_effort. 4. get_base_rates for each kind found. "
            "Name the bars where effort and result disagree."
        )

    @mcp.prompt(
        title="Range study",
        description="Tests of a range's edges: springs, upthrusts, climaxes, and what followed.",
    )
    def range_study(symbol: Symbol, timeframe: Timeframe = "4h") -> list[UserMessage]:
        return _asked(
            f"Study the range of {symbol}. 1. get_volume_profile timeframe={timeframe} "
            "detail=full: edges of value, HVN, LVN. 2. get_key_levels: previous day, week, naked "
            "POCs. 3. get_events for climaxes, springs and signs of strength. 4. compare: do spot "
            "and perp, and the venues, agree? Describe the phase only as far as events show it."
        )

    @mcp.prompt(
        title="Check the data",
        description="Whether the numbers of a symbol may be used now.",
    )
    def check_the_data(symbol: Symbol) -> list[UserMessage]:
        return _asked(
            f"Check the data of {symbol}. 1. get_status: lag, gaps, repairs of its streams. "
            "2. get_volume_profile detail=rows: completeness per venue. 3. get_events "
            "kinds=correction. Say which numbers may be used, which not, and why."
        )


def _asked(text: str) -> list[UserMessage]:
    return [UserMessage(f"{text} {CARE}")]
