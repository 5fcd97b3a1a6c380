"""MCP tools over the queries: read only, closed world, one typed function each."""

from __future__ import annotations

from mcp.server import MCPServer

from mcp_server.queries import Queries
from mcp_server.tools import around, now
from mcp_server.tools.schemas import listed

ALIASES = {
    "get_volume_distribution": "get_volume_profile",
    "get_volume_profile_levels": "get_volume_profile",
    "calculate_volume_profile": "get_volume_profile",
    "get_order_imbalance": "get_order_flow",
    "get_large_trades": "get_order_flow",
    "analyze_volume_delta": "get_order_flow",
    "identify_volume_clusters": "get_key_levels",
    "get_snapshot": "get_market_snapshot",
    "get_system_info": "get_status",
}
"""Names wAIckoff documents, and earlier names of ours, by what answers them."""


def add_tools(mcp: MCPServer, queries: Queries, *, aliases: bool = False) -> None:
    """Every tool, in the order an agent should find them."""
    now.add_value_tools(mcp, queries)
    now.add_flow_tools(mcp, queries)
    around.add_past_tools(mcp, queries)
    around.add_study_tools(mcp, queries)
    around.add_side_tools(mcp, queries)
    around.add_service_tools(mcp, queries)
    listed(mcp, now.REPORTS | around.REPORTS)
    if aliases:
        for alias, name in ALIASES.items():
            tool = mcp._tool_manager.get_tool(name)
            if tool is not None:
                copy = tool.model_copy(update={"name": alias, "description": f"Same as {name}."})
                mcp._tool_manager._tools[alias] = copy
