"""A real day of Binance through the whole system equals Binance's own candles."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from candle_support import HOURS, check_hours, exact
from journeys_support import Journey, journey
from mcp import Client
from recorded import DAY, real_day

from simulator.tape import Tape
from wadm.replay import Replay

NAME = "binance:spot:BTCUSDT"
BUDGET_KB = {
    "flow_bars": 3_300,
    "footprints": 2_300,
    "volume_profile": 2_000,
    "order_flow": 700,
    "events": 800,
    "distributions": 100,
    "checkpoints": 200,
}
"""Upper bounds per instrument-day, as docs/operations.md states them."""


@pytest.fixture(scope="module")
def day(shared: Path) -> Path:
    return shared / DAY


@pytest.fixture(scope="module")
def tape(shared: Path) -> Tape:
    return real_day(shared)


@pytest.fixture(scope="module")
def candles(shared: Path) -> list[dict[str, Any]]:
    frame = pd.read_parquet(shared / "data/binance_vision_20240101/btcusdt_spot_1h_2024w01.parquet")
    rows: list[dict[str, Any]] = frame.head(HOURS).to_dict("records")
    return rows


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_whole_day(tmp_path: Path, tape: Tape, candles: list[dict[str, Any]]) -> None:
    """Every hour over REST is Binance's candle, difference 0; no aggregate lost or counted twice;
    every minute is verified; stored bytes stay under the documented figures; MCP agrees."""
    async with journey(tmp_path, [tape], row_sizes="BTCUSDT=1") as trip:
        await trip.until_played()
        stream = trip.system.processor.view.stream(NAME)
        assert stream.applied == len(tape) == 863_403
        assert stream.minutes_verified + stream.minutes_unverified == 1_440
        assert stream.minutes_unverified == 0
        assert (stream.gaps_open, stream.gaps_lost, stream.quarantined) == (0, 0, 0)
        answer = await trip.get(
            "/footprint/BINANCE:BTCUSDT",
            timeframe="1h",
            start="2024-01-01T00:00:00Z",
            end="2024-01-02T00:00:00Z",
            numbers="string",
        )
        check_hours(answer["bars"], candles)
        await check_protocols(trip)
        await check_sizes(trip)


async def check_protocols(trip: Journey) -> None:
    """The official client in both eras and plain HTTP receive the same JSON."""
    asked = {
        "timeframe": "1h",
        "start": "2024-01-01T20:00:00Z",
        "end": "2024-01-02T00:00:00Z",
        "detail": "summary",
    }
    question = {"symbol": NAME, **asked}
    rest = await trip.get(f"/volume_profile/{NAME}", numbers="string", **asked)
    assert len(rest["items"]) == 4
    for mode in ("auto", "legacy"):
        async with Client(f"{trip.base_url}/mcp", mode=mode) as client:
            result = await client.call_tool("get_volume_profile", question)
            assert not result.is_error, result.content
            assert _still(result.structured_content) == _still(rest)
            assert _still(json.loads(result.content[0].text)) == _still(rest)


def _still(value: Any) -> Any:
    """Without what moves with the clock between two questions."""
    if isinstance(value, dict):
        moving = {"timestamp", "age_ms", "next_update_at", "next_update_in_ms"}
        return {k: _still(v) for k, v in value.items() if k not in moving}
    return [_still(v) for v in value] if isinstance(value, list) else value


async def check_sizes(trip: Journey) -> None:
    sizes = await trip.system.store.sizes()
    for name, most in BUDGET_KB.items():
        print(f"stored per instrument-day: {name} {sizes[name] / 1_000:.0f} kB (at most {most})")
        assert sizes[name] <= most * 1_000


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
def test_replay(day: Path, candles: list[dict[str, Any]]) -> None:
    """The offline replay gives the same 24 hours."""
    rows = list(Replay(day, NAME, row_size=Decimal(1)).rows("1h", None))
    assert len(rows) == HOURS
    for row, candle in zip(rows, candles, strict=True):
        assert Decimal(row["total_volume"]) == exact(candle["volume"])
        assert Decimal(row["buy_volume"]) == exact(candle["taker_buy_volume"])
        assert Decimal(row["quote_volume"]) == exact(candle["quote_asset_volume"])
        assert Decimal(row["buy_quote_volume"]) == exact(candle["taker_buy_quote_volume"])
        assert int(row["total_trades"]) == candle["count"]
        for name in ("open", "high", "low", "close"):
            assert Decimal(row[name]) == exact(candle[name])
