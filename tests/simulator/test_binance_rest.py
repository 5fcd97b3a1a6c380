"""Binance's REST: gap fill, candles, listings, weights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape

Make = Callable[..., Tape]
PERP = "binance:perp:BTCUSDT"


@pytest.fixture
async def rest(steady: Make, listen: Callable[..., Any]) -> AsyncIterator[Any]:
    """Both markets, played to the end; the answer to a GET by host and path."""
    tapes = [steady(count=1300), steady(PERP, count=1300)]
    async with (
        Simulator(tapes) as sim,
        listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade"),
        httpx2.AsyncClient() as client,
    ):
        await sim.finished.wait()

        async def get(host: str, path: str, **query: Any) -> httpx2.Response:
            return await client.get(f"{sim.urls[f'{host}_rest_url']}{path}", params=query)

        yield get


async def test_gaps_are_filled_by_id_on_both_markets(rest: Any) -> None:
    """`fromId` is inclusive, pages follow each other and carry the market's fields."""
    for host, path in (("binance_spot", "/api/v3"), ("binance_usdm", "/fapi/v1")):
        newest = (await rest(host, f"{path}/aggTrades", symbol="BTCUSDT", limit=3)).json()
        first = newest[-1]["a"] - 1299
        page = (await rest(host, f"{path}/aggTrades", symbol="BTCUSDT", fromId=first)).json()
        assert [row["a"] for row in page] == list(range(first, first + 500))
        rest_of = await rest(
            host, f"{path}/aggTrades", symbol="BTCUSDT", fromId=first + 500, limit=5000
        )
        assert [row["a"] for row in rest_of.json()] == list(range(first + 500, first + 1300))
        assert ("M" in page[0], "nq" in page[0]) == (host == "binance_spot", host != "binance_spot")
        used = int(rest_of.headers["X-MBX-USED-WEIGHT-1M"])
        assert used == 3 * (4 if host == "binance_spot" else 20)


async def test_windows_of_time(rest: Any, start_ms: int) -> None:
    """Start and end are inclusive; USD-M allows one hour and never ids with times."""
    query = {"symbol": "BTCUSDT", "startTime": start_ms + 1000, "endTime": start_ms + 2000}
    rows = (await rest("binance_spot", "/api/v3/aggTrades", **query)).json()
    assert [row["T"] - start_ms for row in rows] == list(range(1000, 2001, 100))
    mixed = await rest("binance_usdm", "/fapi/v1/aggTrades", **query, fromId=1)
    assert (mixed.status_code, mixed.json()["code"]) == (400, -1128)
    query["endTime"] = query["startTime"] + 3_600_001
    wide = await rest("binance_usdm", "/fapi/v1/aggTrades", **query)
    assert (wide.status_code, wide.json()["code"]) == (400, -1127)


async def test_usdm_forgets_after_48_hours(steady: Make, listen: Callable[..., Any]) -> None:
    """Aggregates older than the window are refused on USD-M and served on spot."""
    tapes = [steady(count=1300), steady(PERP, count=1300)]
    limits = Limits(usdm_history_ms=60_000)
    async with Simulator(tapes, limits=limits) as sim, httpx2.AsyncClient() as client:
        async with listen(
            f"{sim.urls['binance_usdm_ws_url']}/market/ws/btcusdt@aggTrade"
        ) as reader:
            await sim.finished.wait()
            first = reader.events("aggTrade")[0]["a"]
        query = {"symbol": "BTCUSDT", "fromId": first}
        usdm = await client.get(
            f"{sim.urls['binance_usdm_rest_url']}/fapi/v1/aggTrades", params=query
        )
        spot = await client.get(
            f"{sim.urls['binance_spot_rest_url']}/api/v3/aggTrades", params=query
        )
        assert (usdm.status_code, usdm.json()["code"]) == (400, -4166)
        assert spot.status_code == 200


async def test_raw_trades(rest: Any) -> None:
    """Recent and historical trades have raw ids; USD-M history wants a key."""
    recent = (await rest("binance_spot", "/api/v3/trades", symbol="BTCUSDT", limit=2)).json()
    assert [row["id"] for row in recent] == [1399, 1400]
    assert set(recent[0]) >= {"price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"}
    query = {"symbol": "BTCUSDT", "fromId": 105, "limit": 2}
    old = (await rest("binance_spot", "/api/v3/historicalTrades", **query)).json()
    assert [row["id"] for row in old] == [105, 106]
    refused = await rest("binance_usdm", "/fapi/v1/historicalTrades", **query)
    assert refused.status_code == 401


async def test_candles_have_binances_columns(rest: Any, start_ms: int) -> None:
    """Rows by start and limit, oldest first, for minutes, hours and days, with the same sums."""
    query = {"symbol": "BTCUSDT", "interval": "1m"}
    rows = (await rest("binance_spot", "/api/v3/klines", **query)).json()
    assert [row[0] for row in rows[:3]] == [start_ms + n * 60_000 for n in range(3)]
    assert [row[8] for row in rows[:3]] == [600, 600, 100]
    assert rows[0][6] == rows[0][0] + 59_999
    two = (
        await rest("binance_spot", "/api/v3/klines", **query, startTime=start_ms, limit=2)
    ).json()
    assert two == rows[:2]
    last = (await rest("binance_spot", "/api/v3/klines", **query, limit=1)).json()
    assert last == rows[-1:]
    for interval in ("1h", "1d"):
        (row,) = (
            await rest("binance_usdm", "/fapi/v1/klines", symbol="BTCUSDT", interval=interval)
        ).json()
        assert row[8] == 1300


async def test_listings_state_the_tapes_steps(rest: Any) -> None:
    """exchangeInfo has tick and lot as filters, status and assets; weights are those documented."""
    spot = await rest("binance_spot", "/api/v3/exchangeInfo", symbols='["BTCUSDT"]')
    (item,) = spot.json()["symbols"]
    filters = {entry["filterType"]: entry for entry in item["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00100000"
    assert (item["status"], item["baseAsset"], item["quoteAsset"]) == ("TRADING", "BTC", "USDT")
    assert spot.headers["X-MBX-USED-WEIGHT-1M"] == "20"
    usdm = await rest("binance_usdm", "/fapi/v1/exchangeInfo")
    assert usdm.json()["symbols"][0]["contractType"] == "PERPETUAL"
    assert usdm.headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/v3/aggTrades", {}, 400, -1102),
        ("/api/v3/aggTrades", {"symbol": "NOPE"}, 400, -1121),
        ("/api/v3/aggTrades", {"symbol": "BTCUSDT", "fromId": "x"}, 400, -1100),
        ("/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": "0"}, 400, -1130),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, 400, -1120),
        ("/api/v3/exchangeInfo", {"symbol": "NOPE"}, 400, -1121),
        ("/api/v3/exchangeInfo", {"symbols": "{"}, 400, -1100),
    ],
)
async def test_errors_have_binances_codes(
    rest: Any, path: str, query: dict[str, str], status: int, code: int
) -> None:
    """Wrong parameters give HTTP 400 with a code."""
    answer = await rest("binance_spot", path, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await rest("binance_spot", "/api/v1/time")).status_code == 404


async def test_overuse_is_refused_then_banned(steady: Make) -> None:
    """429 with Retry-After over the minute's weight; going on brings 418."""
    limits = Limits(weight_per_minute=10, refused_before_ban=2)
    async with Simulator([steady()], limits=limits) as sim, httpx2.AsyncClient() as client:
        url = f"{sim.urls['binance_spot_rest_url']}/api/v3/aggTrades"
        answers = [await client.get(url, params={"symbol": "BTCUSDT"}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 418, 418]
        assert 0 < int(answers[2].headers["Retry-After"]) <= 61
        assert int(answers[5].headers["Retry-After"]) > 61
        assert answers[2].json()["code"] == -1003


async def test_nothing_of_the_future_is_shown(steady: Make) -> None:
    """Before play there is no trade, no candle, and the clock stands before the first trade."""
    tape = steady()
    async with Simulator([tape], start_after=9) as sim, httpx2.AsyncClient() as client:
        base = sim.urls["binance_spot_rest_url"]
        first_ms = tape.tracks[0].start_ms
        assert (await client.get(f"{base}/api/v3/time")).json()["serverTime"] == first_ms - 1
        for query in ("", "&fromId=0", f"&startTime={first_ms}&endTime={first_ms + 10**6}"):
            answer = await client.get(f"{base}/api/v3/aggTrades?symbol=BTCUSDT{query}")
            assert answer.json() == []
        answer = await client.get(f"{base}/api/v3/klines?symbol=BTCUSDT&interval=1m")
        assert answer.json() == []
