"""Events, base rates and percentile context: REST and MCP agree, pages join, the past stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from journeys_support import Journey, journey
from market_support import MINUTE, ROWS, START_MS, market_rows, market_tape
from mcp import Client

pytestmark = pytest.mark.timeout(1_200)
MINUTES = 310
NAME = "binance:spot:BTCUSDT"
RATES = "/events/base-rates/stacked_imbalance"
MOVING = {"timestamp", "age_ms", "next_update_at", "next_update_in_ms", "applied_through"}
BAD = [
    ("/events", "", 422),
    ("/events", "symbol=FOO", 404),
    ("/events", "symbol=$where", 400),
    ("/events", "symbol=BTCUSDT&kinds=rain", 422),
    ("/events", "symbol=BTCUSDT&kinds=", 422),
    ("/events", "symbol=BTCUSDT&kinds=correction,", 422),
    ("/events", "symbol=BTCUSDT&limit=0", 422),
    ("/events", "symbol=BTCUSDT&limit=201", 422),
    ("/events", "symbol=BTCUSDT&cursor=abc", 422),
    ("/events", "symbol=BTCUSDT&cursor=1-" + "g" * 32, 422),
    ("/events", "symbol=BTCUSDT&since=soon", 422),
    ("/events", "symbol=BTCUSDT&as_of=1", 404),
    ("/events", "symbol=BTCUSDT&side=up", 422),
    ("/events", "symbol=BTCUSDT&timeframe=7m", 422),
    ("/events", "symbol=BTCUSDT&symbol=BTCUSDT", 400),
    ("/events", "symbol=BTCUSDT&detail=full", 400),
    (RATES, "", 422),
    (RATES, "symbol=BTCUSDT&limit=3", 400),
    (RATES, "symbol=BTCUSDT&timeframe=1d", 422),
    ("/events/base-rates/correction", "symbol=BTCUSDT", 422),
    ("/events/base-rates/rain", "symbol=BTCUSDT", 422),
    ("/order_flow/BTCUSDT", "context=yes", 422),
]


@pytest.fixture
async def trip(tmp_path: Path) -> AsyncIterator[Journey]:
    """Five hours of the known market, played to their end."""
    async with journey(tmp_path, [market_tape(MINUTES)], row_sizes=ROWS) as running:
        await running.until_played()
        yield running


def still(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    return [still(v) for v in value] if isinstance(value, list) else value


async def test_events_are_served(trip: Journey) -> None:
    """Ids, evidence, sources, outcomes, pages, corrections, base rates, context, errors; the same
    over REST and MCP."""
    await check_pages(trip)
    await check_sources(trip)
    await check_outcomes(trip)
    await check_as_of(trip)
    await check_context(trip)
    await check_protocols(trip)
    for path, query, status in BAD:
        response = await trip.client.get(f"{trip.base_url}{path}?{query}")
        assert response.status_code == status, (path, query, response.text)
        assert len(response.json()["message"]) > 10


async def check_pages(trip: Journey) -> None:
    """Pages of any size join to the same list, newest first, without doubles."""
    asked = {"symbol": "BTCUSDT", "timeframe": "1m", "kinds": "stacked_imbalance"}
    whole = (await trip.get("/events", limit=200, **asked))["events"]
    sides = [event["side"] for event in whole]
    assert sides.count("buy") == -(-MINUTES // 7)
    assert sides.count("sell") == -(-(MINUTES - 3) // 7)
    joined: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await trip.get("/events", limit=17, **asked, **cursor)
        assert len(page["events"]) <= 17
        joined += page["events"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert joined == whole
    assert [e["at"] for e in whole] == sorted((e["at"] for e in whole), reverse=True)
    assert len({event["id"] for event in whole}) == len(whole)
    since = await trip.get("/events", since="2025-01-01T05:00:00Z", limit=200, **asked)
    assert since["events"] == [e for e in whole if e["at"] >= "2025-01-01T05:00:00.000Z"]
    buys = await trip.get("/events", side="buy", limit=200, **asked)
    assert buys["events"] == [e for e in whole if e["side"] == "buy"]


async def check_sources(trip: Journey) -> None:
    """The bar an event names is the one that /footprint serves."""
    (event,) = (await trip.get("/events", symbol="BTCUSDT", timeframe="1m", limit=1))["events"]
    (bar,) = event["bars"]
    found = await trip.get(
        f"/footprint/{NAME}",
        timeframe=bar["timeframe"],
        start=event["period_start"],
        end=event["period_end"],
    )
    assert found["bars"][0]["content_hash"] == bar["content_hash"]
    assert event["complete"] is True


async def check_outcomes(trip: Journey) -> None:
    """Every outcome is the exact return to the last price of its minute; none comes early."""
    closes = {at // MINUTE: ticks * Decimal("0.01") for at, ticks, _, _ in market_rows(MINUTES)}
    asked = {"symbol": "BTCUSDT", "timeframe": "1m", "limit": 200, "numbers": "string"}
    counts = dict.fromkeys((5, 15, 60, 240), 0)
    for event in (await trip.get("/events", kinds="stacked_imbalance", **asked))["events"]:
        for outcome in event["outcomes"]:
            minute = (START_MS + _offset(outcome["due_at"])) // MINUTE - 1
            if outcome["close"] is None:
                assert minute >= START_MS // MINUTE + MINUTES - 1
                continue
            counts[outcome["minutes"]] += 1
            assert Decimal(outcome["close"]) == closes[minute]
            ratio = Decimal(outcome["close"]) / Decimal(event["close"]) - 1
            assert abs(Decimal(outcome["change_pct"]) - ratio * 100) <= Decimal("0.0000005")
    assert min(counts.values()) >= 18
    rates = await trip.get(RATES, symbol="BTCUSDT", timeframe="1m")
    assert {h["minutes"]: h["n"] for h in rates["horizons"]} == counts
    assert rates["horizons"][0]["hit_rate_low"] <= rates["horizons"][0]["hit_rate"]


def _offset(moment: str) -> int:
    hours, minutes = int(moment[11:13]), int(moment[14:16])
    return (hours * 60 + minutes) * MINUTE


async def check_as_of(trip: Journey) -> None:
    """A question about the past sees neither later events nor later outcomes."""
    asked = {"symbol": "BTCUSDT", "timeframe": "1m", "kinds": "stacked_imbalance", "limit": 200}
    whole = (await trip.get("/events", **asked))["events"]
    moments = sorted({event["published_at"] for event in whole})
    middle = moments[len(moments) // 2]
    then = await trip.get("/events", as_of=middle, **asked)
    assert then["as_of"] == middle
    assert {e["id"] for e in then["events"]} == {
        e["id"] for e in whole if e["published_at"] <= middle
    }
    for event in then["events"]:
        assert all(o["known_at"] is None or o["known_at"] <= middle for o in event["outcomes"])
    rates = await trip.get(RATES, symbol="BTCUSDT", timeframe="1m", as_of=middle)
    assert rates["count"] == sum(event["complete"] for event in then["events"])


async def check_context(trip: Journey) -> None:
    """Percentiles with n where there are enough bars, a reason where there are not."""
    path = "/order_flow/BTCUSDT"
    found = (await trip.get(path, period="1m", context="all_hours"))["context"]
    (volume,) = (line["volume"] for line in found["instruments"].values())
    assert volume["n"] == 300
    assert volume["at_least"] <= volume["percentile"] <= volume["at_most"]
    few = (await trip.get(path, period="5m"))["context"]["instruments"][NAME]["delta"]
    assert (few["percentile"], few["n"]) == (None, 0)
    assert "at least 20" in few["reason"]
    assert "over" in (await trip.get(path, period="1h", window="aligned"))["context"]["reason"]
    assert "minute" in (await trip.get(path, period="15s"))["context"]["reason"]
    assert "context" not in await trip.get(path, period="1m", context="none")
    assert "context" not in await trip.get(path, period="1m", detail="summary")
    profile = await trip.get("/volume_profile/BTCUSDT", timeframe="1m", context="all_hours")
    assert profile["context"]["instruments"][NAME]["volume"]["n"] == 300


async def check_protocols(trip: Journey) -> None:
    """The same JSON over REST and MCP, and the same refusals."""
    events = {"symbol": "BTCUSDT", "kinds": "stacked_imbalance", "limit": 5, "side": "sell"}
    rates = {"symbol": "BTCUSDT", "timeframe": "15m"}
    flow = {"period": "1m", "detail": "full", "context": "all_hours"}
    async with Client(f"{trip.base_url}/mcp") as client:
        for numbers in ("string", "json"):
            form = {"numbers": numbers}
            for tool, extra, path, asked in (
                ("get_events", {}, "/events", events),
                ("get_base_rates", {"kind": "stacked_imbalance"}, RATES, rates),
                ("get_order_flow", {"symbol": "BTCUSDT"}, "/order_flow/BTCUSDT", flow),
            ):
                rest = await trip.get(path, **form, **asked)
                result = await client.call_tool(tool, {**extra, **form, **asked})
                assert not result.is_error, result.content
                both = [still(result.structured_content), still(rest)]
                if path.startswith("/order_flow"):
                    both = [answer["context"] for answer in both]
                assert both[0] == both[1]
        wrong = await client.call_tool("get_events", {"symbol": "BTCUSDT", "kinds": "rain"})
        assert wrong.is_error
        assert "stacked_imbalance" in wrong.content[0].text
