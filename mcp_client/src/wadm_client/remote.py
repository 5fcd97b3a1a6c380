"""Calls of the remote MCP server, one request each, and answers over MCP for the clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import httpx2
import msgspec
from mcp import Client as McpClient
from mcp import MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_PROTOCOL_VERSION

from wadm_client.config import Config
from wadm_client.errors import (
    ApiError,
    BadAnswerError,
    ClientError,
    NotReadyError,
    RateLimitedError,
    TooLargeError,
    UnreachableError,
)
from wadm_client.question import Question
from wadm_client.reply import Reply
from wadm_client.wire import AGENT, failure, options

R = TypeVar("R")
REVISION = "2026-07-28"
"""Stateless: no handshake and no session that a restart of the server could lose."""
TOOLS = {
    "volume_profile": "get_volume_profile",
    "profile_history": "get_volume_profile",
    "order_flow": "get_order_flow",
    "flow_history": "get_order_flow",
    "footprint": "get_footprint",
    "events": "get_events",
    "base_rates": "get_base_rates",
    "key_levels": "get_key_levels",
    "compare": "compare",
    "changes": "get_changes",
    "wait": "wait_for",
    "explain": "explain",
    "symbols": "list_symbols",
    "status": "get_status",
}
NUMBERS = frozenset({"limit", "max_levels", "timeout_s", "max_tokens"})
WHOLE = frozenset({"volume_profile", "profile_history", "order_flow", "flow_history", "footprint"})
REFUSED = {
    METHOD_NOT_FOUND: "METHOD_NOT_FOUND",
    INVALID_PARAMS: "INVALID_PARAMETER",
    -32_002: "DATA_NOT_FOUND",
    -32_003: "FORBIDDEN",
}
"""Numbers of JSON-RPC errors with which the server itself answers, for good."""
KINDS: dict[str, type[ApiError]] = {
    "RATE_LIMIT_EXCEEDED": RateLimitedError,
    "NOT_READY": NotReadyError,
}


class RefusedError(ApiError):
    """The server refused a request over MCP; `number` is its JSON-RPC code."""

    def __init__(self, number: int, message: str) -> None:
        self.number = number
        code, colon, text = message.partition(": ")
        known = bool(colon) and code.replace("_", "").isupper()
        super().__init__(400, code if known else REFUSED[number], text if known else message)


async def remote(
    config: Config,
    work: Callable[[McpClient], Awaitable[R]],
    limit_s: float | None = None,
    *,
    endless: bool = False,
) -> R:
    """Do something with a connection to the server; a ClientError says what went wrong.

    `limit_s` bounds the whole, or with `endless` each wait for the next bytes.
    """
    within = _Within(limit_s or config.timeout_s, endless)
    try:
        return await _once(config, work, within, REVISION)
    except Exception as error:  # noqa: BLE001 (whatever fails below, the caller gets one error)
        other = _spoken(error)
        if other is None:
            raise _told(error) from None
    try:
        return await _once(config, work, within, other)
    except Exception as error:  # noqa: BLE001 (as above)
        raise _told(error) from None


class _Within(NamedTuple):
    limit_s: float
    endless: bool


async def _once(
    config: Config, work: Callable[[McpClient], Awaitable[R]], within: _Within, mode: str
) -> R:
    limit_s, endless = within
    given = {name: value for name, value in options(config).items() if name != "limits"}
    given["timeout"] = httpx2.Timeout(config.timeout_s, read=limit_s) if endless else limit_s
    given["headers"] = {"User-Agent": AGENT, "Accept-Encoding": "identity"} | (
        {"X-API-Key": config.key} if config.key else {}
    )
    given["event_hooks"] = {"response": [partial(_bound, config.most_bytes)]}
    async with (
        asyncio.timeout(None if endless else limit_s),
        httpx2.AsyncClient(**given) as network,
    ):
        transport = streamable_http_client(
            config.url + "/mcp", http_client=network, max_sse_event_size=config.most_bytes
        )
        async with McpClient(transport, mode=mode) as client:
            return await work(client)


def _spoken(error: BaseException) -> str | None:
    """The mode to try when a server refused our revision and named those that it speaks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, MCPError) or error.code != UNSUPPORTED_PROTOCOL_VERSION:
        return None
    data = error.data if isinstance(error.data, dict) else {}
    return REVISION if REVISION in data.get("supported", ()) else "auto"


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error beyond `most` bytes."""

    def __init__(self, body: httpx2.AsyncByteStream, most: int) -> None:
        self.body, self.most = body, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self.body:
            size += len(chunk)
            if size > self.most:
                raise TooLargeError(f"the answer is larger than {self.most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self.body.aclose()


async def _bound(most: int, response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BadAnswerError("the answer has an encoding nobody asked for")
    response.stream = _Bounded(cast("httpx2.AsyncByteStream", response.stream), most)


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
        if error.code in REFUSED:
            return RefusedError(error.code, error.message)
        return UnreachableError("the server gave no answer over MCP")
    return failure(error) if isinstance(error, Exception) else UnreachableError("no answer")


def _arguments(question: Question[Any]) -> dict[str, Any]:
    """A question's parameters as a tool takes them."""
    found: dict[str, Any] = {
        name: int(value) if name in NUMBERS else value for name, value in question.params
    }
    if question.kind == "explain":
        return {} if question.step == "all" else {"name": question.step}
    if question.kind in {"symbols", "status"}:
        return found
    if question.kind == "base_rates":
        found["kind"] = question.step
    whole = {"detail": "full"} if question.kind in WHOLE else {}
    return whole | found | {"symbol": question.symbol}


class McpWire:
    """The network of AsyncClient, over MCP: the same questions become calls of tools."""

    def __init__(self, config: Config) -> None:
        self.config = config

    async def send(self, question: Question[Any], etag: str | None) -> Reply:
        """One call."""
        tool = TOOLS.get(question.kind)
        if tool is None:
            raise ApiError(404, "NO_SUCH_TOOL", f"{question.kind} is served over REST only")
        arguments = _arguments(question)
        limit_s = self.config.timeout_s + question.wait_s
        result = await remote(self.config, lambda c: c.call_tool(tool, arguments), limit_s)
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
