"""What all tools share: their arguments, validation as over REST, and the form of an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from mcp_server import parameters
from mcp_server.budget import HARD_CAP_TOKENS
from mcp_server.events import EventQuestion, event_question
from mcp_server.parameters import Numbers, Question
from mcp_server.payload import ENCODERS, structured
from mcp_server.tools.schemas import Answered
from orderflow.errors import RequestError, StoreError
from orderflow.report import Report

READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
"""The other two hints mean nothing for a tool that only reads."""
Result: TypeAlias = Annotated[CallToolResult, Answered]
Symbol = Annotated[str, Field(description="BTCUSDT or bybit:spot:BTCUSDT")]
Exchange = Annotated[str | None, Field(description="default all")]
MarketName = Annotated[Literal["spot", "perp", "all"] | None, Field(description="default perp")]
WindowName = Annotated[Literal["rolling", "aligned"] | None, Field()]
Moment = Annotated[str | None, Field(description="ISO-8601 or ms")]
AsOf = Annotated[str | None, Field(description="published by then")]
ContextName = Annotated[Literal["same_hour", "all_hours", "none"] | None, Field()]
Limit = Annotated[int | None, Field(description="newest aligned windows")]
Detail = Literal["summary", "rows", "full"]
MaxTokens = int | None
AnyTimeframe = Annotated[str, Field(description="1m 5m 15m 30m 1h 4h 1d")]
Period = Annotated[str, Field(description="5s 15s 30s 1m 5m 15m 1h")]
EventSide = Literal["buy", "sell"]


async def answered(
    work: Awaitable[Report], numbers: Numbers = "string", max_tokens: int | None = None
) -> CallToolResult:
    """The report as structured content, and the same facts as compact text."""
    try:
        report = await work
    except RequestError as error:
        raise refused(error) from error
    except StoreError as error:
        raise ToolError("NOT_READY: history can't be read right now; ask again in 5 s") from error
    data = structured(report, numbers, max_tokens or HARD_CAP_TOKENS)
    text = ENCODERS["string"].encode(data).decode()
    return CallToolResult(content=[TextContent(text=text)], structured_content=data)


def refused(error: RequestError) -> ToolError:
    """The documented code and message, which names the fix."""
    wait = f" (retry in {error.retry_after_s} s)" if error.retry_after_s else ""
    return ToolError(f"{error.code}: {error}{wait}")


def values_of(asked: Mapping[str, Any], allowed: Iterable[str]) -> dict[str, str]:
    """Given arguments as the text REST would see."""
    names = tuple(allowed)
    pairs = [(name, str(asked[name])) for name in names if asked.get(name) is not None]
    try:
        return parameters.single_values(pairs, names)
    except RequestError as error:
        raise refused(error) from error


def question(asked: Mapping[str, Any], allowed: Iterable[str], name_key: str) -> Question:
    """The same validation as REST, on the same text."""
    values = values_of(asked, allowed)
    try:
        return parameters.question(str(asked.get("symbol", "")), values, name_key)
    except RequestError as error:
        raise refused(error) from error


def about_events(asked: Mapping[str, Any], allowed: Iterable[str]) -> EventQuestion:
    """The same validation as REST, on the same text."""
    values = values_of(asked, allowed)
    try:
        return event_question(values)
    except RequestError as error:
        raise refused(error) from error
