"""A real day with 1 % of its frames hurt and twenty disconnects still equals Binance's candles."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import journeys_support
import pandas as pd
import pytest
from candle_support import check_candles
from journeys_support import journey
from recorded import real_day

from orderflow.timeframe import HOUR_MS
from simulator.columns import EVENT, KEY
from simulator.faults import FaultPlan, Share
from simulator.tape import Tape, Track

NAME = "binance:spot:BTCUSDT"
STREAM = "btcusdt@aggTrade"
SHARE = 0.01 / 3
DISCONNECTS = 20


def first_hours(tape: Tape, hours: int) -> Tape:
    """The tape up to the end of so many hours."""
    (track,) = tape.tracks
    rows = track.aggregates.matrix()
    until_ms = track.start_ms - track.start_ms % HOUR_MS + hours * HOUR_MS
    kept = rows[:, rows[EVENT] < until_ms].copy()
    return Tape((Track(track.instrument, kept, is_aggregated=True),))


async def play_hurt(shared: Path, folder: Path, hours: int, disconnects: int) -> None:
    """Play the first hours with a hundredth of the frames hurt, and compare every hour."""
    source = shared / "data/binance_vision_20240101"
    tape = first_hours(real_day(shared), hours)
    frame = pd.read_parquet(source / "btcusdt_spot_1h_2024w01.parquet")
    candles: list[dict[str, Any]] = frame.head(hours).to_dict("records")
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    plan = FaultPlan()
    for place, action in enumerate(("drop", "duplicate", "swap")):
        plan.on_trades(STREAM, action, Share(seed + place, SHARE))  # type: ignore[arg-type]
    (track,) = tape.tracks
    keys = track.aggregates.column(KEY)
    draw = random.Random(seed)
    for number in range(disconnects):
        at = int(keys[len(keys) * (2 * number + 1) // (2 * disconnects)])
        plan.on_connection(STREAM, draw.choice(("abort", "close")), at)  # type: ignore[arg-type]
    began = time.monotonic()
    async with journey(folder, [tape], faults=plan, row_sizes="BTCUSDT=1") as trip:
        await trip.until_played()
        fewest = len(keys) * SHARE * 0.7
        assert all(plan.fired[action] > fewest for action in ("drop", "duplicate", "swap"))
        assert plan.fired["abort"] + plan.fired["close"] == disconnects
        stream = trip.system.processor.view.stream(NAME)
        assert stream.applied == len(keys)
        assert (stream.gaps_open, stream.gaps_lost, stream.quarantined) == (0, 0, 0)
        answer = await trip.get(
            "/footprint/BINANCE:BTCUSDT",
            timeframe="1h",
            start="2024-01-01T00:00:00Z",
            end=f"2024-01-{1 + hours // 24:02}T{hours % 24:02}:00:00Z",
            numbers="string",
        )
        check_candles(answer["bars"], candles)
        took_s = time.monotonic() - began
        print(f"{hours} hours, {len(keys)} aggregates, {dict(plan.fired)} in {took_s:.0f} s")


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(400)
async def test_hurt_hour(shared: Path, tmp_path: Path) -> None:
    """The first hour with a hundredth of the frames dropped, doubled or swapped and three
    connections cut: Binance's own candles with difference 0, and the hour verified."""
    await play_hurt(shared, tmp_path, 1, 3)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.skipif("HURT_DAY" not in os.environ, reason="the whole day: make hurt-day")
@pytest.mark.timeout(3_000)
async def test_hurt_day(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with all 24 hours and twenty cut connections."""
    monkeypatch.setattr(journeys_support, "WAIT_S", 2_400.0)
    await play_hurt(shared, tmp_path, 24, DISCONNECTS)
