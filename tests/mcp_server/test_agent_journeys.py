"""An agent's ways through the server: waiting, updates, prompts, completions, one JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys_support import Journey, journey
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from sim_support import short_tapes

pytestmark = pytest.mark.timeout(1_200)
Mode = Literal["auto", "legacy"]
MOVING = {"timestamp", "age_ms", "next_update_at", "next_update_in_ms", "applied_through", "now"}
MOVING |= {"coverage", "at", "waited_ms", "lag_ms", "last_frame_age_ms", "frames", "watermark"}
SPAN = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-01T00:01:00Z"}
SYMBOLS = ["BTCUSDT", "BTC/USDT:USDT", "BINANCE:ETHUSDT.P", "bybit:spot:BTCUSDT", "FOO", "B$"]
ROUTES = {
    "get_volume_profile": ("/volume_profile/{}", "timeframe"),
    "get_order_flow": ("/order_flow/{}", "period"),
    "get_footprint": ("/footprint/{}", "timeframe"),
    "get_key_levels": ("/levels/{}", None),
    "compare": ("/compare/{}", "timeframe"),
    "get_changes": ("/changes/{}", "timeframe"),
    "get_events": ("/events", "timeframe"),
    "wait_for": ("/wait/{}", None),
}
DEFAULTS = {"get_footprint": {"limit": 6}, "get_events": {"limit": 5}}
DETAILED = {"get_volume_profile", "get_order_flow", "get_footprint"}
UNNUMBERED = {"wait_for"}
STRING = {"numbers": "string"}
PLAIN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "list_symbols": ("/symbols", {}, {**STRING, "detail": "summary"}),
    "get_status": ("/status", {}, STRING),
    "explain": ("/explain/volume_profile", {"name": "volume_profile"}, STRING),
    "get_market_snapshot": (
        "/snapshot",
        {"symbols": "BTCUSDT,FOO,ETHUSDT"},
        {**STRING, "form": "lines", "detail": "summary"},
    ),
    "get_base_rates": (
        "/events/base-rates/sweep",
        {"kind": "sweep", "symbol": "BTCUSDT"},
        STRING | {"symbol": "BTCUSDT"},
    ),
    "get_derivatives": ("/derivatives/BTCUSDT", {"symbol": "BTCUSDT"}, {**STRING, "limit": 5}),
}
IN_PATH = {"name", "kind", "symbol"}
"""Tools of few parameters: route, arguments, and what REST is asked besides."""


@pytest.fixture
async def trip(tmp_path: Path) -> AsyncIterator[Journey]:
    """The short tape on all four markets, played to its end."""
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(tmp_path, short_tapes(), row_sizes=rows) as running:
        await running.until_played()
        yield running


def still(value: Any) -> Any:
    """Without what moves with the clock."""
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    return [still(v) for v in value] if isinstance(value, list) else value


questions = st.fixed_dictionaries(
    {
        "tool": st.sampled_from(sorted(ROUTES)),
        "symbol": st.sampled_from(SYMBOLS),
        "name": st.sampled_from(["1m", "5m", "1h", "7h"]),
        "detail": st.sampled_from(["summary", "rows", "full"]),
        "numbers": st.sampled_from(["string", "json"]),
        "market": st.sampled_from([None, "spot", "all"]),
        "max_tokens": st.sampled_from([None, 400, 5]),
        "history": st.booleans(),
    }
)


async def test_same_json(trip: Journey) -> None:
    """Whatever is asked, MCP and REST give the same JSON or the same refusal."""
    loop = asyncio.get_running_loop()
    asked: list[dict[str, Any]] = []

    @settings(
        max_examples=60, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(questions)
    def collect(question: dict[str, Any]) -> None:
        asked.append(question)

    await loop.run_in_executor(None, collect)
    async with Client(f"{trip.base_url}/mcp") as client:
        for question in asked:
            await check_same(trip, client, question)


def arguments(question: dict[str, Any]) -> tuple[dict[str, Any], str]:
    tool = question["tool"]
    path, name_key = ROUTES[tool]
    given_ = {"market": question["market"], "max_tokens": question["max_tokens"]}
    given_["numbers"] = question["numbers"]
    if name_key is not None:
        given_[name_key] = question["name"]
    if tool in DETAILED:
        given_["detail"] = question["detail"]
        given_ |= SPAN if question["history"] else {}
    if tool == "get_changes":
        given_["since"] = "2025-01-01T00:01:00Z"
    if tool == "wait_for":
        given_ = {"condition": "price_above", "value": "1", "market": question["market"]}
    return {k: v for k, v in given_.items() if v is not None}, path


async def check_same(trip: Journey, client: Client, question: dict[str, Any]) -> None:
    """The house goes on between the two: a minute may be proven, an age may have one more digit
    and a cut then falls elsewhere. What differs is asked again, and has to be the same soon."""
    for _ in range(8):
        with contextlib.suppress(AssertionError):
            await ask_both(trip, client, question)
            return
        await asyncio.sleep(0.25)  # longer than an answer is kept
    await ask_both(trip, client, question)


async def ask_both(trip: Journey, client: Client, question: dict[str, Any]) -> None:
    tool = question["tool"]
    values, path = arguments(question)
    symbol = question["symbol"]
    sent = ({} if "start" in values else DEFAULTS.get(tool, {})) | values
    if tool in UNNUMBERED:
        sent = sent | {"numbers": "string"}
    if "{}" not in path:
        sent["symbol"] = symbol
    rest = await trip.client.get(trip.base_url + path.format(symbol), params=sent)
    result = await client.call_tool(tool, {"symbol": symbol, **values})
    assert result.is_error == (rest.status_code != 200), (question, rest.text, result.content)
    if result.is_error:
        assert rest.status_code < 500, question
        assert rest.json()["message"] in result.content[0].text
        return
    assert still(result.structured_content) == still(rest.json()), question
    assert json.loads(result.content[0].text) == result.structured_content


async def test_every_tool_has_its_route(trip: Journey) -> None:
    """No tool is left out: those with few parameters give the same JSON as their routes, too."""
    async with Client(f"{trip.base_url}/mcp") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        assert listed == set(ROUTES) | set(PLAIN) | {"get_indicator"}
        for tool, (path, asked, more) in PLAIN.items():
            result = await client.call_tool(tool, asked)
            assert not result.is_error, (tool, result.content)
            params = {**{k: v for k, v in asked.items() if k not in IN_PATH}, **more}
            rest = await trip.client.get(trip.base_url + path, params=params)
            assert rest.status_code == 200, (tool, rest.text)
            told, same = still(result.structured_content), still(rest.json())
            if tool == "get_status":
                told, same = (sorted(one) for one in (told, same))
            assert told == same, tool


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_guides(trip: Journey, mode: Mode) -> None:
    """Instructions, prompts, completions, templates and the app page are there in both eras."""
    async with Client(f"{trip.base_url}/mcp", mode=mode) as client:
        assert "quality" in (client.instructions or "")
        prompts = (await client.list_prompts()).prompts
        assert len(prompts) == 4
        assert all(prompt.description for prompt in prompts)
        for prompt in prompts:
            got = await client.get_prompt(prompt.name, {"symbol": "BTCUSDT"})
            assert "BTCUSDT" in got.messages[0].content.text
        ref = ResourceTemplateReference(uri="wadm://volume_profile/{symbol}/{timeframe}")
        found = await client.complete(ref, {"name": "symbol", "value": "et"})
        assert found.completion.values == ["ETHUSDT"]
        found = await client.complete(
            PromptReference(name="read_the_auction"), {"name": "timeframe", "value": "1"}
        )
        assert set(found.completion.values) == {"1m", "15m", "1h", "1d"}
        templates = (await client.list_resource_templates()).resource_templates
        assert len(templates) == 4
        page = (await client.read_resource("ui://wadm/answer.html")).contents[0]
        assert page.mime_type == "text/html;profile=mcp-app"
        assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in page.text
        with pytest.raises(MCPError, match="nearest collected"):
            await client.read_resource("wadm://volume_profile/FOO/1h")


async def test_waiting(trip: Journey) -> None:
    """A condition that holds answers at once; one that does not says so after the timeout."""
    async with Client(f"{trip.base_url}/mcp") as client:
        seen: list[float] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            seen.append(done)

        async def wait(**asked: Any) -> Any:
            result = await client.call_tool(
                "wait_for", {"symbol": "BTCUSDT", **asked}, progress_callback=progress
            )
            assert not result.is_error, result.content
            return result.structured_content

        assert (await wait(condition="price_below", value="100000"))["met"] is True
        late = await wait(condition="price_above", value="100000", timeout_s=2)
        assert (late["met"], late["reason"] is None) == (False, False)
        assert seen
        assert (await wait(condition="event", value="sweep", timeout_s=1))["met"] is False
        for wrong in (
            {"condition": "event", "value": "rain"},
            {"condition": "bar_close", "value": "9h"},
        ):
            result = await client.call_tool("wait_for", {"symbol": "BTCUSDT", **wrong})
            assert result.is_error
            assert "sweep" in result.content[0].text or "15m" in result.content[0].text


@pytest.mark.filterwarnings("ignore:resources/.*removed as of")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_updates_are_told(tmp_path: Path, mode: Mode) -> None:
    """Whoever listens to a profile hears that it changed, in both eras; others do not."""
    uri = "wadm://volume_profile/BTCUSDT/1h"
    async with journey(tmp_path, short_tapes(), row_sizes="BTCUSDT=0.05,ETHUSDT=0.05") as trip:
        await trip.until_played()
        told = asyncio.Event()

        async def on_message(message: Any) -> None:
            if getattr(getattr(message, "params", None), "uri", None) == uri:
                told.set()

        async with Client(f"{trip.base_url}/mcp", mode=mode, message_handler=on_message) as client:
            await asyncio.wait_for(heard(client, mode, uri, trip, told), 20)


async def heard(client: Client, mode: Mode, uri: str, trip: Journey, told: asyncio.Event) -> None:
    assert trip.system.server.mcp is not None
    notifier = (await trip.system.server.mcp.hosted()).subscriptions
    number = 0

    def stamp(_: str) -> int:
        nonlocal number
        number += 1
        return number

    notifier.stamp = stamp
    if mode == "legacy":
        await client.session.subscribe_resource(uri)
        await told.wait()
        await client.session.unsubscribe_resource(uri)
        assert notifier.sessions == {}
        return
    async with client.listen(resource_subscriptions=[uri]) as events:
        async for event in events:
            assert event.uri == uri
            break
