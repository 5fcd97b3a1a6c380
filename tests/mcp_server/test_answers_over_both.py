"""REST and MCP over real sockets: same answers, documented errors, no surprises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from journeys_support import Journey, journey
from mcp import Client
from sim_support import short_tapes

from orderflow.timeframe import PERIODS, TIMEFRAMES

pytestmark = pytest.mark.timeout(1_200)
ROUTES = ("/volume_profile", "/order_flow", "/footprint", "/indicators/summary")
MOVING = {"timestamp", "age_ms", "next_update_at", "next_update_in_ms", "applied_through", "lag_ms"}
BAD_SYMBOLS = {
    "FOO": (404, "DATA_NOT_FOUND"),
    "BT": (404, "DATA_NOT_FOUND"),
    "BTC": (200, ""),
    "1000BTCUSDT": (404, "DATA_NOT_FOUND"),
    '{"$ne":1}': (400, "INVALID_PARAMETER"),
    "$where": (400, "INVALID_PARAMETER"),
    "%2e%2e%2fetc%2fpasswd": (400, "INVALID_PARAMETER"),
    "BTCUSDT%00": (400, "INVALID_PARAMETER"),
    "BTCÜSDT": (400, "INVALID_PARAMETER"),
    "B" * 10_000: (400, "INVALID_PARAMETER"),
    "NASDAQ:BTCUSDT": (422, "VALIDATION_ERROR"),
    "bybit:spot:BTCUSDT.P": (200, ""),
}
BAD_PARAMETERS = [
    ("/volume_profile/BTCUSDT", "timeframe=7h", 422),
    ("/volume_profile/BTCUSDT", "timeframe=", 422),
    ("/volume_profile/BTCUSDT", "timeframe=1h&timeframe=4h", 400),
    ("/volume_profile/BTCUSDT", "limit=0", 422),
    ("/volume_profile/BTCUSDT", "limit=100000", 422),
    ("/volume_profile/BTCUSDT", "limit=ten", 422),
    ("/volume_profile/BTCUSDT", "row_size=0.003", 422),
    ("/volume_profile/BTCUSDT", "row_size=-1", 422),
    ("/volume_profile/BTCUSDT", "row_size=1e9", 422),
    ("/volume_profile/BTCUSDT", "va_method=triple", 422),
    ("/volume_profile/BTCUSDT", "window=rolling&limit=3", 422),
    ("/volume_profile/BTCUSDT", "start=yesterday", 422),
    ("/volume_profile/BTCUSDT", "start=2025-13-01", 422),
    ("/volume_profile/BTCUSDT", "start=2025-01-02&end=2025-01-01", 422),
    ("/volume_profile/BTCUSDT", "max_levels=5000000", 422),
    ("/volume_profile/BTCUSDT", "market=moon", 422),
    ("/volume_profile/BTCUSDT", "exchange=nasdaq", 422),
    ("/volume_profile/BTCUSDT", "exchange[$ne]=x", 400),
    ("/volume_profile/BTCUSDT", "detail=everything", 422),
    ("/volume_profile/BTCUSDT", "numbers=roman", 422),
    ("/volume_profile/BTCUSDT", "period=5m", 400),
    ("/order_flow/BTCUSDT", "period=2m", 422),
    ("/footprint/BTCUSDT", "limit=900", 422),
    ("/snapshot", "", 422),
    ("/snapshot", "symbols=" + ",".join(["BTCUSDT"] * 51), 422),
    ("/symbols", "limit=3", 400),
    ("/nowhere", "", 404),
]


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


async def test_only_a_symbol(trip: Journey) -> None:
    """A question with only a symbol works everywhere: 1h, 5m, perp, all venues, simulated."""
    for route in ROUTES:
        answer = await trip.get(f"{route}/BTCUSDT")
        assert answer["symbol"] == "BTCUSDT"
        assert answer["source"] == "simulated"
    profile = await trip.get("/volume_profile/BTCUSDT")
    assert (profile["exchange"], profile["market"]) == ("aggregated", "perp")
    assert (profile["timeframe"], profile["window"]) == ("1h", "rolling")
    assert set(profile["quality"]["venues"]) == {"binance:perp:BTCUSDT", "bybit:perp:BTCUSDT"}
    both = await trip.get("/volume_profile/BTCUSDT", market="all", numbers="string")
    assert len(both["quality"]["venues"]) == 4


async def test_errors(trip: Journey) -> None:
    """Bad input gets the documented error with what is allowed; nothing is a 5xx."""
    for symbol, (status, code) in BAD_SYMBOLS.items():
        for route in ROUTES:
            response = await trip.client.get(f"{trip.base_url}{route}/{symbol}")
            assert response.status_code in (status, 422 if code == "" else status), symbol
            if status != 200:
                check_error(response.json(), code)
    for path, query, status in BAD_PARAMETERS:
        response = await trip.client.get(f"{trip.base_url}{path}?{query}")
        assert response.status_code == status, (path, query, response.text)
        check_error(response.json(), response.json()["code"])
    response = await trip.client.post(f"{trip.base_url}/volume_profile/BTCUSDT")
    assert response.status_code == 405
    check_error(response.json(), "INVALID_PARAMETER")


def check_error(body: dict[str, Any], code: str) -> None:
    assert body["code"] == code
    assert body["error"] == code.lower()
    assert len(body["message"]) > 10
    assert "Traceback" not in json.dumps(body)
    assert body["request_id"]


async def test_allowed_values_are_named(trip: Journey) -> None:
    """An error says what would have been right."""
    response = await trip.client.get(f"{trip.base_url}/volume_profile/BTCUSDT?timeframe=7h")
    assert all(name in response.json()["message"] for name in TIMEFRAMES)
    response = await trip.client.get(f"{trip.base_url}/order_flow/BTCUSDT?period=7h")
    assert all(name in response.json()["message"] for name in PERIODS)
    response = await trip.client.get(f"{trip.base_url}/volume_profile/BTCUSDX")
    assert "BTCUSDT" in response.json()["message"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_same_json_over_mcp(trip: Journey, mode: str) -> None:
    """Both protocol eras and plain HTTP give the same JSON for the same question."""
    span = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-01T00:01:00Z", "detail": "summary"}
    questions = [
        ("get_volume_profile", "/volume_profile/BTCUSDT", {"timeframe": "1m", **span}),
        ("get_order_flow", "/order_flow/BTCUSDT", {"period": "1m", **span}),
        (
            "get_order_flow",
            "/order_flow/BTCUSDT",
            {"period": "1m", "context": "same_hour", **span},
        ),
        (
            "get_footprint",
            "/footprint/BTCUSDT",
            {"timeframe": "1m", "context": "all_hours", **span},
        ),
    ]
    async with Client(f"{trip.base_url}/mcp", mode=mode) as client:
        tools = await client.list_tools()
        assert [tool.name for tool in tools.tools][:3] == [
            "list_symbols",
            "get_volume_profile",
            "get_order_flow",
        ]
        assert all(tool.annotations.read_only_hint for tool in tools.tools)
        assert all(tool.output_schema for tool in tools.tools)
        for tool, path, asked in questions:
            for numbers in ("string", "json"):
                rest = await trip.get(path, numbers=numbers, **asked)
                for row in rest.get("items") or rest["bars"]:
                    assert ("context" in row) == ("context" in asked)
                    for ranks in row.get("context", {}).get("instruments", {}).values():
                        assert ranks["volume"]["reason"].startswith("0 complete bars")
                result = await client.call_tool(
                    tool, {"symbol": "BTCUSDT", "numbers": numbers, **asked}
                )
                assert not result.is_error, result.content
                assert still(result.structured_content) == still(rest)
                assert still(json.loads(result.content[0].text)) == still(rest)
        symbols = await client.call_tool("list_symbols", {})
        assert still(symbols.structured_content) == still(
            await trip.get("/symbols", numbers="string", detail="summary")
        )
        status = await client.call_tool("get_status", {})
        assert status.structured_content["ready"] is True
        wrong = await client.call_tool("get_volume_profile", {"symbol": "FOO"})
        assert wrong.is_error
        assert "DATA_NOT_FOUND" in wrong.content[0].text
        wrong = await client.call_tool("get_order_flow", {"symbol": "BTCUSDT", "period": "9m"})
        assert "allowed: 5s" in wrong.content[0].text


async def test_health_and_descriptions(trip: Journey) -> None:
    """Liveness, readiness, metrics and the OpenAPI document are there and true."""
    assert (await trip.get("/livez"))["status"] == "ok"
    assert (await trip.get("/readyz"))["status"] == "ready"
    assert (await trip.get("/health"))["ready"] is True
    document = await trip.get("/openapi.json")
    assert "/volume_profile/{symbol}" in document["paths"]
    metrics = await trip.client.get(f"{trip.base_url}/metrics")
    assert 'wadm_processor_trades_applied_total{instrument="binance:spot:BTCUSDT"}' in metrics.text


async def test_unchanged_answers(trip: Journey) -> None:
    """A final answer asked again with its ETag is 304; another question is not."""
    url = f"{trip.base_url}/footprint/binance:spot:BTCUSDT"
    params = {"timeframe": "1m", "start": "2025-01-01T00:00:00Z", "end": "2025-01-01T00:01:00Z"}
    first = await trip.client.get(url, params=params)
    again = await trip.client.get(
        url, params=params, headers={"If-None-Match": first.headers["etag"]}
    )
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    other = await trip.client.get(
        url, params=params | {"detail": "rows"}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert other.status_code == 200


async def test_exact_numbers(trip: Journey) -> None:
    """JSON numbers and strings say the same digits, and levels add up to the totals."""
    path = "/volume_profile/binance:spot:BTCUSDT"
    text = await trip.get(path, timeframe="1d", numbers="string")
    total = sum(int(level["volume"].replace(".", "")) for level in text["levels"])
    assert total == int(text["total_volume"].replace(".", ""))
    response = await trip.client.get(f"{trip.base_url}{path}", params={"timeframe": "1d"})
    assert f'"total_volume":{text["total_volume"]}' in response.text
    few = await trip.get(path, timeframe="1d", max_levels=1)
    assert len(few["levels"]) == 1
    assert few["levels_truncated"] is True


async def test_snapshot(trip: Journey) -> None:
    """Several symbols in one answer; an unknown one does not spoil the others."""
    answer = await trip.get("/snapshot", symbols="BTCUSDT,ETHUSDT,NOPEUSDT", detail="summary")
    assert [line["symbol"] for line in answer["symbols"]] == ["BTCUSDT", "ETHUSDT", "NOPEUSDT"]
    assert answer["symbols"][0]["profile"]["poc"] is not None
    assert answer["symbols"][2]["error"].startswith("DATA_NOT_FOUND")


async def test_foreign_hosts_are_refused(trip: Journey) -> None:
    """DNS rebinding: MCP answers only to its own names and origins."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Accept": "application/json, text/event-stream"}
    response = await trip.client.post(
        f"{trip.base_url}/mcp", json=body, headers=headers | {"Host": "evil.example"}
    )
    assert response.status_code == 421
    response = await trip.client.post(
        f"{trip.base_url}/mcp", json=body, headers=headers | {"Origin": "https://evil.example"}
    )
    assert response.status_code == 403
    response = await trip.client.post(
        f"{trip.base_url}/mcp", content=b"x", headers={"Content-Encoding": "gzip"}
    )
    assert response.status_code == 400


async def test_periods_and_windows(trip: Journey) -> None:
    """Every period answers; several venues know their delta extremes at 5 s."""
    for period in PERIODS:
        answer = await trip.get("/order_flow/BTCUSDT", period=period)
        assert answer["period"] == period
        assert answer["quality"]["venues"]
    flow = await trip.get("/order_flow/BTCUSDT", period="5m")
    assert flow["resolution_ms"] == 5_000
    assert flow["cumulative_delta_anchor"]
    single = await trip.get("/order_flow/BINANCE:BTCUSDT.P", period="5m", window="aligned")
    assert single["resolution_ms"] is None
    fine = await trip.get("/order_flow/BTCUSDT", period="15s", limit=4)
    assert len(fine["items"]) == 4
