"""The MCP server: tools, resources, prompts and update notifications as one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from mcp.server import CacheHint, MCPServer
from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.apps import Apps

from mcp_server.access.tool_scope import tool_scope
from mcp_server.known_answers import KnownAnswers
from mcp_server.prompts import add_prompts
from mcp_server.queries import Queries
from mcp_server.resources import Stamps, add_completions, add_resources
from mcp_server.subscriptions import Subscriptions
from mcp_server.tools import add_tools

INSTRUCTIONS = (
    "Exact order-flow indicators of Binance and Bybit, read only. Order of use: list_symbols "
    "once; get_market_snapshot to choose; get_volume_profile (where is value?), get_order_flow "
    "(who presses?), get_key_levels, compare; get_events, then get_base_rates before "
    "concluding. Instead of asking again use wait_for or get_changes; never ask before "
    "quality.next_update_at. Refuse numbers whose quality.stale is true or whose state is "
    "partial or unknown. Default answers are short: detail=rows or full and max_tokens (at most "
    "8000) give more. Row prices are the low price of the row. null comes with a reason. Facts, "
    "never advice."
)
LISTED = CacheHint(ttl_ms=300_000, scope="public")


def build_mcp(
    queries: Queries, *, aliases: bool = False, middleware: Sequence[Any] = ()
) -> tuple[MCPServer, Subscriptions]:
    """The server, and the notifier whose `run` belongs to the host's lifetime.

    `middleware`: the seam for limits and scopes; each sees `ctx.method` and `ctx.params` of every
    message in both eras, before a tool runs.
    """
    stamps = Stamps(queries)
    known = KnownAnswers(lambda: queries.live.version)
    subscriptions = Subscriptions(stamps, stamps.permit)
    mcp = MCPServer(
        "wadm",
        title="WADM order flow",
        version=version("wadm"),
        log_level="WARNING",
        instructions=INSTRUCTIONS,
        cache_hints={
            "tools/list": LISTED,
            "prompts/list": LISTED,
            "resources/templates/list": LISTED,
        },
        extensions=[Apps()],
        subscriptions=subscriptions.bus,
        middleware=[tool_scope, *middleware, known.watch, subscriptions.watch],
    )
    untraced(mcp)
    add_tools(mcp, queries, aliases=aliases)
    add_resources(mcp, queries)
    add_completions(mcp, queries)
    add_prompts(mcp)
    subscriptions.attach(mcp)
    return mcp, subscriptions


def untraced(mcp: MCPServer) -> None:
    """Without the SDK's span for every message, which nobody here collects: a tenth of a call."""
    for one in [one for one in mcp.middleware if isinstance(one, OpenTelemetryMiddleware)]:
        mcp.middleware.remove(one)
