"""Regression tests for defects that servers of this kind were shipped with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journeys_support import journey
from sim_support import short_tapes

from collectors.venues import VENUES
from mcp_server.parameters import moment
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import TIMEFRAMES
from orderflow.trade import Side

SPOT = Instrument(
    "binance", Market.SPOT, "BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001")
)
FRAME = {
    "e": "aggTrade",
    "E": 1_735_689_600_001,
    "s": "BTCUSDT",
    "a": 1,
    "p": "100.00",
    "q": "1.00000",
    "f": 1,
    "l": 1,
    "T": 1_735_689_600_000,
    "M": True,
}


@pytest.mark.parametrize(("maker", "side"), [(True, Side.SELL), (False, Side.BUY)])
def test_the_aggressor_is_not_the_maker(maker: bool, side: Side) -> None:
    """m=true means that the buyer was the maker: the aggressor sold."""
    codec = VENUES["binance"][Market.SPOT].codec([SPOT])
    frame = {"stream": "btcusdt@aggTrade", "data": {**FRAME, "m": maker}}
    (batch,) = codec.decode([msgspec.json.encode(frame)], 0).events
    assert batch.side == [side]  # type: ignore[union-attr]


def test_times_without_a_zone_are_utc() -> None:
    """Naive and aware times meet nowhere: a moment without a zone is UTC, and every moment is a
    whole number of milliseconds from then on."""
    aware = moment("2025-01-01T00:00:00Z", "start")
    assert moment("2025-01-01T00:00:00", "start") == moment("2025-01-01", "start") == aware
    assert moment("2025-01-01T01:00:00+01:00", "start") == aware == 1_735_689_600_000


async def test_answers_do_not_wear_out(tmp_path: Path) -> None:
    """Asking twice changes nothing: cumulative delta is no state of the question, and different
    periods do not share one; history gives the newest windows; every timeframe is its own."""
    async with journey(tmp_path, short_tapes()) as trip:
        await trip.until_played()
        path = "/order_flow/binance:spot:BTCUSDT"
        once = await trip.get(path, period="1h", numbers="string")
        again = await trip.get(path, period="1h", numbers="string")
        assert once["cumulative_delta"] == again["cumulative_delta"] == once["delta"]
        other = await trip.get(path, period="15m", numbers="string")
        assert other["cumulative_delta"] == once["cumulative_delta"]
        newest = await trip.get("/footprint/binance:spot:BTCUSDT", timeframe="1m", limit=1)
        every = await trip.get("/footprint/binance:spot:BTCUSDT", timeframe="1m", limit=5)
        assert newest["bars"][0]["period_start"] == every["bars"][-1]["period_start"]
        lengths = set()
        for timeframe in TIMEFRAMES:
            answer = await trip.get("/volume_profile/binance:spot:BTCUSDT", timeframe=timeframe)
            assert answer["timeframe"] == timeframe
            lengths.add(answer["period_start"])
        assert len(lengths) == len(TIMEFRAMES)
        await check_levels(trip)


async def check_levels(trip: Any) -> None:
    """Levels are an array of objects in price order: no price is ever a key."""
    answer = await trip.get("/volume_profile/binance:spot:BTCUSDT", numbers="string")
    prices = [Decimal(level["price"]) for level in answer["levels"]]
    assert prices == sorted(prices)
    assert Decimal(answer["summary"]["poc"]) in prices
