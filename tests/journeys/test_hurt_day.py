"""A real day with 1 % of its frames hurt and twenty disconnects still equals Binance's candles."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import journeys_support
import pandas as pd
import pytest
from candle_support import check_hours
from journeys_support import journey

from simulator.columns import KEY
from simulator.faults import FaultPlan, Share
from simulator.tapes import load_tape

NAME = "binance:spot:BTCUSDT"
STREAM = "btcusdt@aggTrade"
SHARE = 0.01 / 3
DISCONNECTS = 20


@pytest.mark.slow
@pytest.mark.skipif(
    "HURT_DAY" not in os.environ, reason="a whole hurt day takes many minutes: make hurt-day"
)
@pytest.mark.timeout(1_500)
async def test_hurt_day(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropped, doubled and swapped frames and cut connections: 24 hours, difference 0, and every
    hour is served as verified."""
    monkeypatch.setattr(journeys_support, "WAIT_S", 2_400.0)
    folder = shared / "data/binance_vision_20240101"
    tape = load_tape(folder / "BTCUSDT-aggTrades-2024-01-01.zip")
    frame = pd.read_parquet(folder / "btcusdt_spot_1h_2024w01.parquet")
    candles: list[dict[str, Any]] = frame.head(24).to_dict("records")
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    plan = FaultPlan()
    for place, action in enumerate(("drop", "duplicate", "swap")):
        plan.on_trades(STREAM, action, Share(seed + place, SHARE))  # type: ignore[arg-type]
    (track,) = tape.tracks
    keys = track.aggregates.column(KEY)
    draw = random.Random(seed)
    for number in range(DISCONNECTS):
        at = int(keys[len(keys) * (2 * number + 1) // (2 * DISCONNECTS)])
        plan.on_connection(STREAM, draw.choice(("abort", "close")), at)  # type: ignore[arg-type]
    async with journey(tmp_path, [tape], faults=plan, row_sizes="BTCUSDT=1") as trip:
        await trip.until_played()
        assert plan.fired["drop"] > 2_000
        assert plan.fired["duplicate"] > 2_000
        assert plan.fired["swap"] > 2_000
        assert plan.fired["abort"] + plan.fired["close"] == DISCONNECTS
        stream = trip.system.processor.view.stream(NAME)
        assert stream.applied == len(keys)
        assert (stream.gaps_open, stream.gaps_lost, stream.quarantined) == (0, 0, 0)
        answer = await trip.get(
            "/footprint/BINANCE:BTCUSDT",
            timeframe="1h",
            start="2024-01-01T00:00:00Z",
            end="2024-01-02T00:00:00Z",
            numbers="string",
        )
        check_hours(answer["bars"], candles)
