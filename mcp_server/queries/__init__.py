"""One function per answer; transport-free, so REST and MCP can't disagree."""

from mcp_server.queries.answers import Queries

__all__ = ["Queries"]
