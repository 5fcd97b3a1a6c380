"""The page in a real browser: its numbers are the answers, it is live, and it says when not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conformance_run import OUT
from dashboard_build import TOOLS, tools
from journeys_support import Journey, journey
from page_support import DESKTOP, PHONE, VIEW_SHOWN, WAIT_MS, Line, Opened, day_until, opened
from stream_support import Market, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
PICTURES = OUT / "dashboard"
HOURS = 1.0
UNTIL = "2024-01-01T01:00Z"
SPAN = {"start": "2024-01-01T00:00Z", "end": UNTIL}
PAST = f"symbol=BTCUSDT&market=spot&range=1h&timeframe=5m&until={UNTIL}"
ALL = "&layers=profile.events.levels.naked.vwap.delta.cvd.sizes"
BARS = 12
MOST_BYTES = 250_000
AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`)"""


async def shown(tab: Opened) -> None:
    """Everything that was asked for is on the page."""
    await tab.page.wait_for_selector(VIEW_SHOWN)


async def photograph(tab: Opened, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await tab.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def told(answer: dict[str, Any], fields: dict[str, str]) -> dict[str, str]:
    """What an answer says of the fields, as the page is to show it."""
    return {name: "\N{EN DASH}" if answer[name] is None else str(answer[name]) for name in fields}


async def check_bars(trip: Journey, tab: Opened) -> None:
    """Stepping from bar to bar by key, each shows the digits of its answer."""
    answer = await trip.get("/footprint/BTCUSDT", timeframe="5m", numbers="string", **SPAN)
    assert len(answer["bars"]) == BARS
    for bar in reversed(answer["bars"]):
        await tab.page.keyboard.press("ArrowLeft")
        await tab.until(
            "(start) => document.querySelector('.inspector').dataset.start === start",
            bar["period_start"],
        )
        fields = await tab.texts(".inspector")
        assert len(fields) == 15
        assert fields == told(bar, fields)


async def check_headline(trip: Journey, tab: Opened) -> None:
    """The figures on top are those of the same questions over REST."""
    for path, length in (("volume_profile", {"timeframe": "1h"}), ("order_flow", {"period": "5m"})):
        answer = await trip.get(f"/{path}/BTCUSDT", numbers="string", end=UNTIL, limit=1, **length)
        fields = await tab.texts(f"[data-answer={path}]")
        assert len(fields) == 5
        assert fields == told(answer["items"][0], fields)


async def check_events(trip: Journey, tab: Opened) -> None:
    """Every event of the range is listed, and a click shows the evidence of the answer."""
    answer = await trip.get("/events", symbol="BTCUSDT", since=SPAN["start"], numbers="string")
    ids = await tab.page.eval_on_selector_all(
        "[data-event]", "(found) => found.map((one) => one.dataset.event)"
    )
    events = {event["id"]: event for event in answer["events"]}
    assert ids
    assert set(ids) <= events.keys()
    await tab.page.click(f"[data-event='{ids[0]}']")
    await tab.page.wait_for_selector(f"[data-open='{ids[0]}']")
    for name, value in events[ids[0]]["evidence"].items():
        if isinstance(value, str | int) and not isinstance(value, bool):
            cell = tab.page.locator(f"[data-evidence='{name}']").first
            assert await cell.text_content() == str(value)


async def check_footprint(trip: Journey, tab: Opened) -> None:
    """The table of a bar has every row of its answer, and the marks of the indicators."""
    asked = {"timeframe": "5m", "numbers": "string", **SPAN}
    answer = await trip.get("/footprint/BTCUSDT", detail="rows", **asked)
    bar = answer["bars"][-1]
    rows = "[...document.querySelectorAll('[data-table=rows] tbody tr')]"
    read = f"() => {rows}.map((row) => [...row.children].map((cell) => cell.textContent))"
    found = await tab.page.evaluate(read)
    numbers = [row[:4] for row in found]
    assert numbers == [[p, sell, buy, str(n)] for p, buy, sell, n in reversed(bar["rows"])]
    marks = await trip.get("/indicators/diagonal_imbalance/BTCUSDT", **asked)
    wanted = {
        (item["price"], item["side"])
        for item in marks["items"]
        if item["period_start"] == bar["period_start"]
    }
    seen = {
        (row[0], side) for row in found for side in ("buy", "sell") if f"{side} imbalance" in row[4]
    }
    assert wanted
    assert seen == wanted


async def accessible(tab: Opened) -> None:
    """axe finds nothing serious."""
    await tab.page.evaluate((TOOLS / "node_modules/axe-core/axe.min.js").read_text())
    assert await tab.page.evaluate(AXE) == []


async def test_real_day(tmp_path: Path, shared: Path) -> None:
    """The first hour of the real day: numbers on the page equal the REST answers digit for digit,
    on desktop and phone, light and dark; nothing serious for axe; no error of the console and none
    of the policy; what the first page loads is small."""
    await tools()
    async with journey(tmp_path, [day_until(shared, HOURS)], row_sizes="BTCUSDT=1") as trip:
        await trip.until_played()
        async with opened(f"{trip.base_url}/#{PAST}{ALL}") as tab:
            await shown(tab)
            await photograph(tab, "chart_desktop_light")
            await check_headline(trip, tab)
            await check_bars(trip, tab)
            await check_events(trip, tab)
            assert await tab.texts(".strip") == {}
            words = await tab.page.get_attribute("[data-strip]", "aria-label")
            assert words is not None
            assert "verified 60 min, complete 0 min" in words
            await accessible(tab)
            await tab.page.keyboard.press("2")
            await tab.page.wait_for_selector(f"{VIEW_SHOWN}[aria-label=Footprint]")
            await check_footprint(trip, tab)
            await accessible(tab)
            await photograph(tab, "footprint_desktop_light")
            await tab.page.click("[data-view=feeds]")
            await tab.page.wait_for_selector("table")
            status = await trip.get("/status")
            row = await tab.page.text_content("[data-table=streams] tbody tr")
            assert row is not None
            assert str(status["streams"][0]["received"]) in row
            await accessible(tab)
            await photograph(tab, "feeds_desktop_light")
            first = sum(tab.loaded.values())
            print(f"first page: {first} bytes gzip in {len(tab.loaded)} answers")
            assert first < MOST_BYTES
            assert tab.problems == []
        async with opened(f"{trip.base_url}/#{PAST}", PHONE, dark=True) as tab:
            await shown(tab)
            await check_headline(trip, tab)
            wide = await tab.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= PHONE[0], "nothing is wider than the phone"
            await accessible(tab)
            await photograph(tab, "chart_phone_dark")
            assert tab.problems == []


async def test_live_and_lost() -> None:
    """What trades now is on the page by itself; a line that goes quiet is said to be lost, and
    when it works again the page goes on where it was."""
    market = Market(("AAAUSDT",))
    market.pass_ms(1_000)
    name = market.names[0]
    market.trade(name, 5)
    async with served(market) as house, Line(house.port).running() as line:
        address = f"http://127.0.0.1:{line.port}/#symbol=AAAUSDT&range=1h&timeframe=1m&layers=delta"
        async with opened(address, DESKTOP) as tab:
            await tab.page.wait_for_selector("[data-health=live]")
            await trades(house, tab, name, 8)
            before = await tab.page.evaluate("performance.now()")
            line.quiet()
            await tab.page.wait_for_selector("[data-health=lost]")
            after = await tab.page.evaluate("performance.now()")
            print(f"a quiet line is said to be lost after {(after - before) / 1_000:.2f} s")
            words = await tab.page.text_content("[data-health=lost]")
            assert words is not None
            assert "trying again" in words
            market.trade(name, 3)
            line.cut()
            line.heal()
            await tab.page.wait_for_selector("[data-health=live]")
            await trades(house, tab, name, 1)
            assert [one for one in tab.problems if "page:" in one] == []


async def test_started_anew() -> None:
    """When the server begins a new life the page asks everything again and shows that one."""
    first, second = Market(("AAAUSDT",)), Market(("AAAUSDT",))
    for market, count in ((first, 5), (second, 11)):
        market.pass_ms(1_000)
        market.trade(market.names[0], count)
    async with served(first) as house, served(second) as later, Line(house.port).running() as line:
        address = f"http://127.0.0.1:{line.port}/#symbol=AAAUSDT&range=1h&timeframe=1m&layers=delta"
        async with opened(address) as tab:
            await tab.page.wait_for_selector("[data-health=live]")
            await trades(house, tab, first.names[0], 2)
            line.upstream = later.port
            line.cut()
            await trades(later, tab, second.names[0], 1)
            await tab.page.wait_for_selector("[data-health=live]")


async def trades(house: Any, tab: Opened, name: str, count: int) -> None:
    """New trades, and the page shows what REST answers then."""
    house.market.trade(name, count)
    house.market.pass_ms(1_000)
    asked = {"timeframe": "1m", "limit": 1, "detail": "summary", "numbers": "string"}
    answer = await house.client.get(f"{house.url}/footprint/AAAUSDT", params=asked)
    (bar,) = json.loads(answer.text)["bars"]
    await tab.until(
        "(n) => document.querySelector('.inspector [data-field=total_trades]').textContent === n",
        str(bar["total_trades"]),
    )
    fields = await tab.texts(".inspector")
    del fields["coverage"]
    assert fields == told(bar, fields)


async def test_key(tmp_path: Path) -> None:
    """A server that wants a key gets it in a header from a page that keeps it for the session
    only; it never stands in an address."""
    from backbone.keys.book import KeyBook, Terms

    market = Market(("AAAUSDT",))
    market.pass_ms(1_000)
    market.trade(market.names[0], 5)
    async with served(market, keys="required") as house:
        key, _ = await KeyBook(house.app.state.store, "test").create("page", 4, Terms())
        await house.app.state.access.ring.refresh()
        async with opened(f"{house.url}/#symbol=AAAUSDT&range=1h&layers=delta") as tab:
            asked: list[str] = []
            tab.page.on("request", lambda request: asked.append(request.url))
            await tab.page.fill("dialog[open] #key", key.text)
            await tab.page.keyboard.press("Enter")
            await tab.page.wait_for_selector("[data-health=live]")
            assert asked
            assert not any(key.text[5:17] in one for one in [*asked, tab.page.url])
            kept = await tab.page.evaluate("[sessionStorage.length, localStorage.length]")
            assert kept == [1, 0]
            assert await tab.page.evaluate("document.cookie") == ""
            await tab.page.reload()
            await tab.page.wait_for_selector("[data-health=live]", timeout=WAIT_MS)
