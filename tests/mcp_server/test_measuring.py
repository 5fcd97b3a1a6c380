"""Answers by route and status, tools by outcome: every one counted, nothing unbounded."""

from __future__ import annotations

import pytest
from mcp import Client
from stream_support import Market, Served, served

from backbone.measures import (
    OTHER,
    REQUEST_SECONDS,
    REQUESTS,
    ROUTES,
    TOOL_CALLS,
    TOOLS,
)

pytestmark = pytest.mark.timeout(600)


def figures(house: Served, name: str) -> dict[tuple[str, ...], float]:
    """Of one metric, by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in house.hub.meter.families()
        if family.name == name
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_sum"))
    }


async def test_requests_and_tools() -> None:
    """Good, refused and unknown requests are counted by declared routes only; a stream has no
    duration; a tool that fails is told from one that answers."""
    async with served(Market()) as house:
        house.market.trade("binance:perp:AAAUSDT")
        for path in ("/symbols", "/symbols", "/symbols?a=1", "/order_flow/NONE", "/a/b", "/c"):
            await house.client.get(house.url + path)
        async with house.events("symbols=AAAUSDT&channels=bars") as messages:
            await anext(messages)
        assert figures(house, REQUESTS) == {
            ("symbols", "200"): 2,
            ("symbols", "400"): 1,
            ("order_flow", "404"): 1,
            (OTHER, "404"): 2,
            ("stream", "200"): 1,
        }
        durations = figures(house, REQUEST_SECONDS)
        assert durations == {("symbols",): 3, ("order_flow",): 1, (OTHER,): 2}
        async with Client(f"{house.url}/mcp") as client:
            for _ in range(2):
                await client.call_tool("list_symbols", {})
            await client.call_tool("get_order_flow", {"symbol": "NONE"})
            tools = {tool.name for tool in (await client.list_tools()).tools}
        assert figures(house, TOOL_CALLS) == {
            ("list_symbols", "answered"): 2,
            ("get_order_flow", "failed"): 1,
        }
        assert tools == TOOLS
        base = {route.path.split("/")[1] for route in house.app.routes}
        assert base - {""} <= ROUTES | {".well-known", "assets"}
        assert ROUTES - base <= {"page"}
