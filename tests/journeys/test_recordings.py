"""Real recordings of spot and USD-M, over midnight UTC, through the whole system."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from journeys_support import journey

from simulator.tapes import load_tape
from simulator.tapes.convert import as_instrument
from wadm.replay import Replay

FACTS = {
    "spot_btcusdt_20240808": (9_757, "212.03315", "96.65118"),
    "spot_btcusdt_20240809": (10_147, "225.88237", "107.83994"),
    "spot_ethusdt_20240808": (6_106, "2261.3149", "953.0359"),
    "spot_ethusdt_20240809": (8_409, "2011.4092", "1070.5082"),
    "usdm_btcusdt_20240808": (21_313, "2429.366", "1251.576"),
    "usdm_ethusdt_20240808": (14_076, "9164.948", "4960.564"),
}
"""Trades, volume and taker-buy volume of each recording, as its provenance states them."""


def recording(shared: Path, name: str) -> Path:
    return shared / "data/hftbacktest" / f"{name}.gz"


@pytest.mark.parametrize("name", FACTS)
def test_replay_counts_every_trade(shared: Path, name: str) -> None:
    """A replayed recording has every trade, and all of the volume of both sides."""
    trades, volume, buy = FACTS[name]
    market, symbol, _ = name.split("_")
    instrument = f"binance:{'perp' if market == 'usdm' else 'spot'}:{symbol.upper()}"
    rows = list(Replay(recording(shared, name), instrument).rows("1m", None))
    assert sum(int(row["total_trades"]) for row in rows) == trades
    assert sum(Decimal(row["total_volume"]) for row in rows) == Decimal(volume)
    assert sum(Decimal(row["buy_volume"]) for row in rows) == Decimal(buy)


def test_aggregates_equal_raw_trades(shared: Path) -> None:
    """A recording played as raw trades and as aggregates gives the same number everywhere."""
    path = recording(shared, "spot_btcusdt_20240808")
    one = Replay(path, "binance:spot:BTCUSDT")
    other = Replay(path, "binance:spot:BTCUSDT")
    assert len(other.trades) < len(other.track.trades)
    other.trades = other.track.trades
    assert list(one.rows("1m", "15s")) == list(other.rows("1m", "15s"))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_two_markets_over_midnight(shared: Path, tmp_path: Path) -> None:
    """Spot and perp of two symbols together, over 00:00 UTC: every trade counted per market, and
    both markets summed on request."""
    tapes = [load_tape(recording(shared, name)) for name in FACTS]
    async with journey(tmp_path, tapes) as trip:
        await trip.until_played()
        for track in trip.simulator.tracks:
            stream = trip.system.processor.view.stream(track.instrument.name)
            assert stream.applied == len(track.aggregates)
            assert (stream.gaps_lost, stream.quarantined) == (0, 0)
        expected = {
            "spot": Decimal("212.03315") + Decimal("225.88237"),
            "perp": Decimal("2429.366"),
        }
        for market, volume in {**expected, "all": sum(expected.values())}.items():
            answer = await trip.get(
                "/footprint/BTCUSDT",
                market=market,
                timeframe="1m",
                start="2024-08-08T23:50:00Z",
                end="2024-08-09T00:10:00Z",
                numbers="string",
            )
            assert sum(Decimal(bar["total_volume"]) for bar in answer["bars"]) == volume
            days = {bar["period_start"][:10] for bar in answer["bars"]}
            assert days >= {"2024-08-08", "2024-08-09"} or market == "perp"


@pytest.mark.timeout(1_200)
async def test_bybit_archive_rows(shared: Path, tmp_path: Path) -> None:
    """Rows of Bybit's archive play as Bybit frames: every one counted, ids only unordered."""
    tape = load_tape(shared / "data/bybit_archive/BTCUSD2022-05-02.first5079.csv")
    async with journey(tmp_path, [tape]) as trip:
        await trip.until_played()
        stream = trip.system.processor.view.stream("bybit:perp:BTCUSD")
        assert stream.applied == 5_079
        answer = await trip.get(
            "/footprint/BTCUSD",
            timeframe="5m",
            start="2022-05-02T00:00:00Z",
            end="2022-05-02T00:20:00Z",
            numbers="string",
        )
        bars = answer["bars"]
        assert sum(Decimal(bar["total_volume"]) for bar in bars) == 23_527_521
        assert sum(Decimal(bar["buy_volume"]) for bar in bars) == 17_300_899
        assert {bar["state"] for bar in bars if bar["final"]} <= {"verified_volume"}


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_three_venue_markets(shared: Path, tmp_path: Path) -> None:
    """The same trades played as Binance spot, Bybit spot and Bybit linear agree in every number."""
    tape = load_tape(recording(shared, "spot_btcusdt_20240808"))
    bybit = [as_instrument(tape, f"bybit:{market}:BTCUSDT") for market in ("spot", "perp")]
    tapes = [tape, *bybit]
    async with journey(tmp_path, tapes) as trip:
        await trip.until_played()
        span = {"start": "2024-08-08T23:50:00Z", "end": "2024-08-09T00:05:00Z"}
        seen = []
        for instrument in ("binance:spot:BTCUSDT", "bybit:spot:BTCUSDT", "bybit:perp:BTCUSDT"):
            answer = await trip.get(
                f"/footprint/{instrument}", timeframe="1m", numbers="string", **span
            )
            names = ("open", "high", "low", "close", "buy_volume", "sell_volume", "delta")
            names += ("min_delta", "max_delta", "quote_volume", "poc", "vah", "val")
            seen.append([[bar[name] for name in names] for bar in answer["bars"]])
        assert seen[0] == seen[1] == seen[2]
