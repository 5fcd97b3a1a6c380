"""The last 24 hours as both venues tell them, and markets that are listed and delisted."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from simulator.service import Simulator
from simulator.tape import Tape

Make = Callable[..., Tape]
DAY_MS = 86_400_000
PLACES = [
    ("binance:spot", "binance_spot", "/api/v3/ticker/24hr", "quoteVolume"),
    ("binance:perp", "binance_usdm", "/fapi/v1/ticker/24hr", "quoteVolume"),
    ("bybit:spot", "bybit", "/v5/market/tickers?category=spot", "turnover24h"),
    ("bybit:perp", "bybit", "/v5/market/tickers?category=linear", "turnover24h"),
]


def rows_of(answer: httpx2.Response) -> dict[str, Any]:
    body = answer.json()
    rows = body["result"]["list"] if isinstance(body, dict) else body
    return {row["symbol"]: row for row in rows}


@pytest.mark.parametrize(("place", "host", "path", "column"), PLACES)
async def test_turnover_is_that_of_the_tape(
    make_tape: Make, place: str, host: str, path: str, column: str
) -> None:
    """Exactly the last 24 hours of what was sent count, a market without trades has zero, and a
    delisted one is not told and can't be asked for."""
    day = [(0, "10.5", "2.001", True), (DAY_MS - 1, "11.5", "3.001", False)]
    late = [(DAY_MS + 3_600_000, "12.5", "1.001", True)]
    tapes = [make_tape(f"{place}:AAAUSDT", day + late), make_tape(f"{place}:BBBUSDT", late)]
    async with Simulator(tapes, speed="max") as sim, httpx2.AsyncClient() as client:
        url = sim.urls[f"{host}_rest_url"] + path
        before = rows_of(await client.get(url))
        assert {Decimal(row[column]) for row in before.values()} == {Decimal(0)}
        sim.player.clock.move_to(sim.tracks[0].start_ms + DAY_MS + 10)
        found = rows_of(await client.get(url))
        assert Decimal(found["AAAUSDT"][column]) == Decimal("11.5") * Decimal("3.001")
        assert Decimal(found["BBBUSDT"][column]) == 0
        sim.list_market(f"{place}:AAAUSDT", listed=False)
        assert rows_of(await client.get(url)).keys() == {"BBBUSDT"}
        sep = "&" if "?" in url else "?"
        refused = await client.get(f"{url}{sep}symbol=AAAUSDT")
        assert refused.status_code == 400 or refused.json()["retCode"] == 10001


async def test_a_ticker_weighs_what_the_venue_says(make_tape: Make) -> None:
    """All symbols of spot weigh 80, one weighs 2; all of USD-M weigh 40, one weighs 1."""
    trades = [(0, "10.5", "2.001", True)]
    tapes = [make_tape(f"binance:{market}:AAAUSDT", trades) for market in ("spot", "perp")]
    async with Simulator(tapes) as sim, httpx2.AsyncClient() as client:
        used = []
        for host, api in (("binance_spot", "/api/v3"), ("binance_usdm", "/fapi/v1")):
            url = f"{sim.urls[f'{host}_rest_url']}{api}/ticker/24hr"
            for query in ({}, {"symbol": "AAAUSDT"}):
                answer = await client.get(url, params=query)
                used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))
        assert isinstance(answer.json(), dict)
    assert used == [80, 82, 40, 41]


async def test_a_delisted_market_falls_silent(steady: Make, listen: Callable[..., Any]) -> None:
    """Its streams stop and its topic can't be subscribed; listed again they go on from then."""
    tapes = [steady("bybit:spot:AAAUSDT", count=3_000), steady("bybit:spot:BBBUSDT", count=3_000)]
    subscribe = {"op": "subscribe", "args": ["publicTrade.AAAUSDT", "publicTrade.BBBUSDT"]}
    async with Simulator(tapes, speed=20, start_after=2) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/spot"
        async with listen(url, subscribe) as reader:

            def of(symbol: str) -> int:
                return sum(trade["s"] == symbol for trade in reader.events("publicTrade"))

            await reader.until(lambda: of("AAAUSDT") > 20)
            sim.list_market("bybit:spot:AAAUSDT", listed=False)
            seen, other = of("AAAUSDT"), of("BBBUSDT")
            await reader.until(lambda: of("BBBUSDT") > other + 40)
            assert of("AAAUSDT") - seen < 10
            async with listen(url) as second:
                answer = await second.ask({"op": "subscribe", "args": ["publicTrade.AAAUSDT"]})
                assert "handler not found" in json.dumps(answer)
            sim.list_market("bybit:spot:AAAUSDT", listed=True)
            seen = of("AAAUSDT")
            await reader.until(lambda: of("AAAUSDT") > seen + 20)
    with pytest.raises(ValueError, match="not on the tape"):
        sim.list_market("bybit:spot:NOSUCH", listed=True)
