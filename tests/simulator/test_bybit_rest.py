"""Bybit's REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape

Make = Callable[..., Tape]


@pytest.fixture
async def rest(steady: Make, listen: Callable[..., Any]) -> AsyncIterator[Any]:
    """Both categories, played to the end; the answer to a GET."""
    tapes = [
        steady("bybit:perp:BTCUSDT", count=1300),
        steady("bybit:spot:BTCUSDT", count=1300),
        steady("bybit:perp:ETHUSDT", count=5),
    ]
    subscribe = {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}
    async with (
        Simulator(tapes) as sim,
        listen(f"{sim.urls['bybit_ws_url']}/v5/public/linear", subscribe),
        httpx2.AsyncClient() as client,
    ):
        await sim.finished.wait()

        async def get(path: str, **query: Any) -> dict[str, Any]:
            answer = await client.get(
                f"{sim.urls['bybit_rest_url']}/v5/market/{path}", params=query
            )
            assert answer.status_code == 200
            body: dict[str, Any] = answer.json()
            return body

        yield get


async def test_recent_trades_are_few_and_newest_first(rest: Any) -> None:
    """At most 60 spot and 1000 linear rows, whatever is asked."""
    for category, most in (("spot", 60), ("linear", 1000)):
        query = {"category": category, "symbol": "BTCUSDT", "limit": 5000}
        rows = (await rest("recent-trade", **query))["result"]["list"]
        assert len(rows) == most
        times = [int(row["time"]) for row in rows]
        assert times == sorted(times, reverse=True)
        assert isinstance(rows[0]["seq"], str)
    assert rows[0]["execId"].count("-") == 4


async def test_candles_are_newest_first_without_taker_columns(rest: Any, start_ms: int) -> None:
    """Seven columns; start, end and limit choose; days and hours come from the same trades."""
    query = {"category": "linear", "symbol": "BTCUSDT", "interval": "1"}
    rows = (await rest("kline", **query))["result"]["list"]
    starts = [int(row[0]) for row in rows]
    assert starts == sorted(starts, reverse=True)
    assert starts[-1] == start_ms
    assert {len(row) for row in rows} == {7}
    some = await rest("kline", **query, start=start_ms, end=start_ms + 60_000)
    assert [int(row[0]) for row in some["result"]["list"]] == [start_ms + 60_000, start_ms]
    volume = sum(float(row[5]) for row in rows)
    for interval in ("60", "D"):
        longer = (await rest("kline", **{**query, "interval": interval}))["result"]["list"]
        assert float(longer[0][5]) == pytest.approx(volume)


async def test_instruments_state_steps_and_come_in_pages(rest: Any) -> None:
    """Linear lots are qtyStep, spot lots basePrecision; a cursor leads on."""
    first = (await rest("instruments-info", category="linear", limit=1))["result"]
    assert first["list"][0]["lotSizeFilter"]["qtyStep"] == "0.001"
    assert first["list"][0]["priceFilter"]["tickSize"] == "0.01"
    cursor = first["nextPageCursor"]
    rest_of = (await rest("instruments-info", category="linear", limit=1, cursor=cursor))["result"]
    assert rest_of["nextPageCursor"] == ""
    assert {first["list"][0]["symbol"], rest_of["list"][0]["symbol"]} == {"BTCUSDT", "ETHUSDT"}
    spot = (await rest("instruments-info", category="spot"))["result"]["list"]
    assert spot[0]["lotSizeFilter"]["basePrecision"] == "0.001"
    assert spot[0]["status"] == "Trading"


async def test_errors_are_http_200_with_a_code(rest: Any) -> None:
    """retCode tells the error; the time is in every answer."""
    for path, query in (
        ("kline", {"category": "linear", "symbol": "NOPE", "interval": "1"}),
        ("kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "7"}),
        ("recent-trade", {"category": "moon", "symbol": "BTCUSDT"}),
        ("recent-trade", {"category": "spot", "symbol": "BTCUSDT", "limit": "x"}),
        ("instruments-info", {"category": "spot", "symbol": "NOPE"}),
    ):
        body = await rest(path, **query)
        assert body["retCode"] == 10001
        assert body["result"] == {}
    now = await rest("time")
    assert int(now["result"]["timeNano"]) // 10**6 == now["time"]


async def test_too_many_visits(steady: Make) -> None:
    """Over the budget: retCode 10006 with limit headers, then HTTP 403."""
    limits = Limits(weight_per_minute=2, refused_before_ban=1)
    async with (
        Simulator([steady("bybit:spot:BTCUSDT")], limits=limits) as sim,
        httpx2.AsyncClient() as client,
    ):
        url = f"{sim.urls['bybit_rest_url']}/v5/market/time"
        answers = [await client.get(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
    assert answers[2].json()["retCode"] == 10006
    assert answers[2].headers["X-Bapi-Limit-Status"] == "0"
