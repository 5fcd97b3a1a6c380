"""Which tools a key may call, checked on every message of either protocol era."""

from __future__ import annotations

from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

from mcp_server.access.caller import permit_tool
from orderflow.errors import ForbiddenError

FORBIDDEN = -32_003


async def tool_scope(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """MCPError for a tool that the caller's key is not for."""
    if ctx.method == "tools/call":
        try:
            permit_tool(str((ctx.params or {}).get("name", "")))
        except ForbiddenError as error:
            raise MCPError(FORBIDDEN, f"{error.code}: {error}") from error
    return await call_next(ctx)
