"""Live starts at once, and the past comes behind it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from journeys_support import journey

from orderflow.completeness import State
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.backfilling import ListedApart, backfill_apart

START = 1_735_689_600_000
MINUTE = 60_000
NAME = "binance:spot:BTCUSDT"
MARKETS = (Market(NAME, "0.1", "0.001", 64_000.0, 2.0, 0.05),)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("apart", [False, True])
async def test_an_empty_store_fills_itself(tmp_path: Path, *, apart: bool) -> None:
    """Trades are served live at once; minutes of before the start appear behind them, verified,
    and the longer window covers them; by the processor's own REST as well, as where it runs apart
    from its collectors."""
    tape = synthetic_tape(START, seed=4, markets=MARKETS, end_ms=START + 40 * MINUTE - 1)
    async with Simulator([tape], speed=60.0, start_after=0) as simulator:
        async with asyncio.timeout(30):
            while simulator.clock_ms() < START + 10 * MINUTE:  # noqa: ASYNC110 (tape time)
                await asyncio.sleep(0.05)
        async with journey(
            tmp_path, [tape], simulator=simulator, backfill="0" if apart else "1h"
        ) as trip:
            system = trip.system
            beside = replace(system.settings, backfill="1h" if apart else "0")
            listed = ListedApart(beside)
            filling = asyncio.gather(
                listed.follow(),
                backfill_apart(beside, system.store, system.processor, listed),
            )
            streams = system.processor.engine.streams
            await trip.until(lambda: NAME in streams, "announced", 20)
            await trip.until(lambda: streams[NAME].last_event_ms > 0, "live", 20)
            minutes = streams[NAME].history.minutes
            starts = [START + place * MINUTE for place in range(9)]
            await trip.until(lambda: all(at in minutes for at in starts), "candles", 40)

            def proven() -> bool:
                return {minutes[at].quality.state for at in starts} == {State.VERIFIED}

            await trip.until(proven, "trades in their place", 40)
            answer = await trip.get(f"/volume_profile/{NAME}", timeframe="15m")
            assert float(answer["quality"]["completeness"]["coverage"]) > 0.5
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
