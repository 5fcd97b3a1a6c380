"""CountedTools: MCP tool calls by tool and by how they ended."""

from __future__ import annotations

from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

from backbone.measures import TOOL_CALLS
from backbone.meter import Meter


class CountedTools:
    """Middleware of MCP: one count a call, cached answers too."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    async def watch(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """A tool that raises or says `isError` failed."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        outcome = "failed"
        try:
            result = await call_next(ctx)
            if isinstance(result, dict) and not result.get("isError"):
                outcome = "answered"
            return result
        finally:
            self.meter.add(TOOL_CALLS, str((ctx.params or {}).get("name", "")), outcome)
