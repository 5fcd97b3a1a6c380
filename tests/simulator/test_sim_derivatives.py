"""Mark price, funding, open interest and liquidations beside the trades."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

from simulator.derivatives import FUNDING_MS, DerivativeSource
from simulator.service import Simulator
from simulator.tape import Tape

Listen = Callable[..., Any]
Make = Callable[..., Tape]
PERP = "binance:perp:BTCUSDT"
LINEAR = "bybit:perp:BTCUSDT"
MARKET = "/market/stream?streams=btcusdt@markPrice@1s/btcusdt@forceOrder/btcusdt@aggTrade"


async def test_binance_tells_mark_price_and_the_newest_liquidation(
    steady: Make, listen: Listen
) -> None:
    """A mark price every second near the last trade; at most one liquidation a second."""
    async with (
        Simulator([steady(PERP, count=600)]) as sim,
        listen(sim.urls["binance_usdm_ws_url"] + MARKET) as reader,
    ):
        await sim.finished.wait()
        marks = reader.events("markPriceUpdate")
        forced = reader.events("forceOrder")
    times = [event["E"] for event in marks]
    assert times == list(range(times[0], times[-1] + 1, 1_000))
    assert all(99 < float(event["p"]) < 109 for event in marks)
    assert {event["T"] % FUNDING_MS for event in marks} == {0}
    assert forced
    assert len({event["E"] // 1_000 for event in forced}) == len(forced)
    assert {event["o"]["S"] for event in forced} <= {"BUY", "SELL"}
    assert all(event["E"] - 1_000 < event["o"]["T"] <= event["E"] for event in forced)


async def test_other_routes_and_spot_have_none(steady: Make, listen: Listen) -> None:
    """The kinds live on /market of USD-M only; elsewhere they are acknowledged and silent."""
    ask = {"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1}
    async with Simulator([steady(PERP), steady()], start_after=0) as sim:
        async with (
            listen(f"{sim.urls['binance_usdm_ws_url']}/public/ws", ask) as public,
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@trade", ask) as spot,
        ):
            await sim.finished.wait()
            assert not public.events("markPriceUpdate")
            assert not spot.events("markPriceUpdate")
        async with httpx2.AsyncClient() as client:
            url = f"{sim.urls['binance_spot_rest_url']}/api/v3/openInterest?symbol=BTCUSDT"
            assert (await client.get(url)).status_code == 404


async def test_open_interest_and_premium_over_rest(steady: Make) -> None:
    """What REST says is of now, weighs one, and agrees with the stream's source."""
    tapes = [steady(PERP), steady("binance:perp:ETHUSDT")]
    async with Simulator(tapes, start_after=9) as sim, httpx2.AsyncClient() as client:
        base = f"{sim.urls['binance_usdm_rest_url']}/fapi/v1"
        answer = await client.get(f"{base}/openInterest?symbol=BTCUSDT")
        assert answer.json()["time"] == sim.clock_ms()
        assert float(answer.json()["openInterest"]) > 0
        assert answer.headers["x-mbx-used-weight-1m"] == "1"
        one = (await client.get(f"{base}/premiumIndex?symbol=BTCUSDT")).json()
        every = (await client.get(f"{base}/premiumIndex")).json()
        assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDT"]
        assert every[0] == one
        assert one["nextFundingTime"] > one["time"]
        bad = await client.get(f"{base}/openInterest?symbol=NOPE")
        assert bad.json()["code"] == -1121


async def test_bybit_tickers_are_a_snapshot_and_then_changes(steady: Make, listen: Listen) -> None:
    """Merged changes equal what a late listener gets as a snapshot; every liquidation is told."""
    topics = ["tickers.BTCUSDT", "allLiquidation.BTCUSDT", "publicTrade.BTCUSDT"]
    tape = steady(LINEAR, count=600)
    async with Simulator([tape], tail_ms=0) as sim:
        url = f"{sim.urls['bybit_ws_url']}/v5/public/linear"
        async with listen(url, {"op": "subscribe", "args": topics}) as reader:
            await sim.finished.wait()
            tickers = [m for m in reader.messages if m.get("topic") == topics[0]]
            closed = reader.events("allLiquidation")
            end_ms = tickers[-1]["ts"]
    assert [m["type"] for m in tickers[:3]] == ["snapshot", "delta", "delta"]
    assert len(tickers[3]["data"]) < len(tickers[0]["data"])
    merged: dict[str, Any] = {}
    for message in tickers:
        merged |= message["data"]
    source = DerivativeSource(sim.tracks[0])
    assert merged["fundingRate"] == source.funding(end_ms)[0]
    assert merged["nextFundingTime"] == str(source.funding(end_ms)[1])
    first_ms, last_ms = tickers[0]["ts"], max(row["T"] for row in closed)
    expected = [found.at_ms for found in source.liquidations(first_ms, last_ms)]
    assert [row["T"] for row in closed] == [at for at in expected if at > closed[0]["T"] - 1]


def test_liquidations_do_not_depend_on_how_they_are_asked_for(steady: Make) -> None:
    """A span in pieces has the liquidations of the span as a whole."""
    (track,) = steady(PERP).tracks
    source = DerivativeSource(track)
    start = track.start_ms
    whole = source.liquidations(start, start + 600_000)
    parts = [source.liquidations(at, at + 700) for at in range(start, start + 599_900, 700)]
    pieces = [closed for part in parts for closed in part]
    assert [closed for closed in whole if closed.at_ms <= start + 599_900] == pieces
    assert {closed.is_long for closed in whole} == {True, False}
