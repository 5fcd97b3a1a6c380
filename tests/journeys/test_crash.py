"""kill -9 in mid-play, then start: final bars equal those of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from command_support import final_bars, wadm_up, wait_for
from journeys_support import journey
from recorded import two_markets

from simulator.service import Simulator

SPEED = 20.0
SPAN = {"start": "2024-08-08T23:54:00Z", "end": "2024-08-09T00:00:00Z", "timeframe": "1m"}
NAMES = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT")
WAIT_S, STOP_S = 90.0, 30.0


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_killed_three_times(shared: Path, tmp_path: Path, unused_port: int) -> None:
    """The process is killed three times in mid-play; the last one finds every bar whole."""
    async with journey(tmp_path / "calm", two_markets(shared)) as trip:
        await trip.until_played()
        calm = []
        for name in NAMES:
            answer = await trip.get(f"/footprint/{name}", **SPAN)
            calm += [(f"{name} {b['period_start']}", b["content_hash"]) for b in answer["bars"]]
    folder = tmp_path / "killed"
    async with (
        Simulator(two_markets(shared), speed=SPEED, start_after=2) as simulator,
        httpx2.AsyncClient(timeout=10) as client,
    ):
        for goal in (2_000, 6_000, 11_000):
            async with wadm_up(folder, simulator.urls, unused_port, stop_s=STOP_S) as process:
                await wait_for(client, unused_port, goal, WAIT_S)
                process.kill()
        async with wadm_up(folder, simulator.urls, unused_port, stop_s=STOP_S):
            assert await final_bars(client, unused_port, NAMES, SPAN, 12, WAIT_S) == calm
            status = await client.get(f"http://127.0.0.1:{unused_port}/status")
            for line in status.json()["streams"]:
                assert line["gaps_lost"] == 0
                assert line["received"] == (
                    line["applied"] + line["duplicates"] + line["quarantined"]
                )
