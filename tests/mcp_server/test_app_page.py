"""The MCP App in a real browser, inside a host that speaks through the official bridge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conformance_run as suite
import pytest
from chromium import browser, tab
from journeys_support import journey
from mcp import Client
from sim_support import short_tapes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
ASKED: dict[str, dict[str, Any]] = {
    "get_volume_profile": {"symbol": "BTCUSDT", "detail": "rows"},
    "get_order_flow": {"symbol": "BTCUSDT", "detail": "rows"},
    "get_footprint": {"symbol": "BTCUSDT", "timeframe": "1m", "limit": 3, "detail": "rows"},
}
NUMBERS = """Object.fromEntries([...document.querySelectorAll('dl div')].map(
  (cell) => [cell.children[0].textContent.replaceAll(' ', '_'), cell.children[1].textContent]))"""
DRAWN = "document.querySelectorAll('svg rect, svg polyline').length"
HEIGHT = "document.querySelector('main').getBoundingClientRect().height"
BACK = "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()"
INK = {"light": "#1b2430", "dark": "#e6ebf2"}


@pytest.fixture
async def bundle() -> Path:
    """The host page's script in one file."""
    if browser() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    if not await suite.install():
        pytest.skip("Node tools can't be installed: npm or its registry is absent")
    entry = suite.NODE_DIR / "app_host.mjs"
    shutil.copy(Path(suite.__file__).with_name("app_host.mjs"), entry)
    made = suite.NODE_DIR / "app_host.bundle.mjs"
    command = [*suite.tool("rolldown"), entry.name, "--file", made.name, "--format", "esm"]
    code, output = await suite.run(command, 120, suite.NODE_DIR)
    assert code == 0, output
    return made


def host_page(bundle: Path, given: dict[str, Any]) -> str:
    """The host's page, with what it is to show."""
    data = json.dumps(given).replace("</", "<\\/")
    script = bundle.read_text().replace("</script", "<\\/script")
    head = f'<!doctype html><meta charset="utf-8"><body><script>window.GIVEN={data}</script>'
    return f'{head}<script type="module">{script}</script>'


def cases() -> Iterator[tuple[str, str]]:
    for theme in INK:
        for tool in ASKED:
            yield theme, tool


async def test_page_in_a_host(bundle: Path, tmp_path: Path) -> None:
    """Light and dark, the page draws profile, flow and footprint; its numbers are the tool's digit
    for digit; under an empty policy nothing is loaded from anywhere."""
    given: dict[str, Any] = {}
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(tmp_path / "store", short_tapes(), row_sizes=rows) as trip:
        await trip.until_played()
        async with Client(f"{trip.base_url}/mcp") as client:
            page = (await client.read_resource("ui://wadm/answer.html")).contents[0]
            for tool, asked in ASKED.items():
                result = await client.call_tool(tool, asked)
                given[tool] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    photographs = suite.OUT / "app"
    photographs.mkdir(parents=True, exist_ok=True)
    async with tab(tmp_path) as opened:
        for theme, tool in cases():
            told = {"page": page.text, "args": ASKED[tool], "result": given[tool], "theme": theme}
            place = tmp_path / "host.html"
            place.write_text(host_page(bundle, told))
            opened.asked.clear()
            await opened.open(place.as_uri())
            await opened.until("window.seen && window.seen.initialized && window.seen.sizes > 0")
            inside = await opened.inside()
            await opened.until(f"{DRAWN} > 2", inside)
            shown = await opened.evaluate(NUMBERS, inside)
            content = given[tool]["structuredContent"]
            bars = [bar for bar in content.get("bars", ()) if bar.get("rows")]
            content = bars[-1] if bars else content
            assert {k: str(content[k]) for k in shown} == shown, tool
            assert len(shown) >= 5
            words = await opened.evaluate("document.querySelector('p').textContent", inside)
            assert "no proof" not in words
            end = content["period_end"][:16].replace("T", " ")
            assert end in words or tool == "get_footprint"
            height = await opened.evaluate("document.querySelector('iframe').offsetHeight")
            assert await opened.evaluate(HEIGHT, inside) <= height < 900, "as high as its content"
            assert await opened.evaluate(BACK, inside) == INK[theme]
            await opened.photograph(photographs / f"{tool}_{theme}.png")
            loaded = {one.partition(":")[0] for one in opened.asked}
            assert loaded <= {"file", "about", "data"}, opened.asked
