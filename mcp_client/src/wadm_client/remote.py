"""Calls of the remote MCP server, one request each, and answers over MCP for the clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import msgspec
from mcp import Client as McpClient
from mcp import MCPError
from mcp.client.streamable_http import streamable_http_client

from wadm_client.config import Config
from wadm_client.errors import (
    ApiError,
    ClientError,
    NotReadyError,
    RateLimitedError,
    UnreachableError,
)
from wadm_client.question import Question
from wadm_client.reply import Reply
from wadm_client.wire import failure, options

R = TypeVar("R")
REVISION = "2026-07-28"
"""Stateless: no handshake and no session that a restart of the server could lose."""
TOOLS = {
    "volume_profile": "get_volume_profile",
    "profile_history": "get_volume_profile",
    "order_flow": "get_order_flow",
    "flow_history": "get_order_flow",
    "events": "get_events",
    "base_rates": "get_base_rates",
    "symbols": "list_symbols",
    "status": "get_status",
}
KINDS: dict[str, type[ApiError]] = {
    "RATE_LIMIT_EXCEEDED": RateLimitedError,
    "NOT_READY": NotReadyError,
}


async def remote(config: Config, work: Callable[[McpClient], Awaitable[R]]) -> R:
    """Do something with a connection to the server; a ClientError says what went wrong."""
    given = {name: value for name, value in options(config).items() if name != "limits"}
    given["headers"] = {"User-Agent": "wadm-client"} | (
        {"X-API-Key": config.key} if config.key else {}
    )
    try:
        async with asyncio.timeout(config.timeout_s), httpx2.AsyncClient(**given) as network:
            transport = streamable_http_client(config.url + "/mcp", http_client=network)
            async with McpClient(transport, mode=REVISION) as client:
                return await work(client)
    except Exception as error:  # noqa: BLE001 (whatever fails below, the caller gets one error)
        raise _told(error) from None


def _told(error: BaseException) -> ClientError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ClientError):
        return error
    if isinstance(error, MCPError):
        data = error.error.data
        code = str(data.get("code", "")) if isinstance(data, dict) else ""
        if code:
            wait_s = data.get("retry_after") if isinstance(data, dict) else None
            return KINDS.get(code, ApiError)(400, code, error.error.message, wait_s)
        return UnreachableError("the server gave no answer over MCP")
    return failure(error) if isinstance(error, Exception) else UnreachableError("no answer")


class McpWire:
    """The network of AsyncClient, over MCP: the same questions become calls of tools."""

    def __init__(self, config: Config) -> None:
        self.config = config

    async def send(self, question: Question[Any], etag: str | None) -> Reply:
        """One call."""
        tool = TOOLS.get(question.kind)
        if tool is None:
            raise ApiError(404, "NO_SUCH_TOOL", f"{question.kind} is served over REST only")
        arguments: dict[str, Any] = {
            name: int(value) if name in {"limit", "max_levels"} else value
            for name, value in question.params
        }
        if question.kind not in {"symbols", "status"}:
            arguments |= {"symbol": question.symbol}
            arguments = (
                {"detail": "full"} | arguments if "flow" in tool or "profile" in tool else arguments
            )
        if question.kind == "base_rates":
            arguments |= {"kind": question.step}
        result = await remote(self.config, lambda client: client.call_tool(tool, arguments))
        if result.is_error:
            raise tool_error(result.content)
        return Reply(200, msgspec.json.encode(result.structured_content))

    async def close(self) -> None:
        """Nothing is kept open."""


class SyncMcpWire:
    """The same for Client."""

    def __init__(self, config: Config) -> None:
        self.wire = McpWire(config)

    def send(self, question: Question[Any], etag: str | None) -> Reply:
        """One call, on a loop of its own."""
        return asyncio.run(self.wire.send(question, etag))

    def close(self) -> None:
        """Nothing is kept open."""


def tool_error(content: list[Any]) -> ApiError:
    """The documented error of a tool's text CODE: message."""
    text = content[0].text if content and hasattr(content[0], "text") else ""
    code, colon, message = text.partition(": ")
    if not colon or not code.isupper():
        code, message = "TOOL_ERROR", text
    return KINDS.get(code, ApiError)(400, code, message)
