"""The wall clock of the machine jumps by an hour and back: no bar changes."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import httpx2
import pytest
from command_support import final_bars, stream_lines, wadm_up, wait_for
from journeys_support import journey
from recorded import two_markets

from simulator.service import Simulator

NAMES = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT")
SPAN = {"start": "2024-08-08T23:54:00Z", "end": "2024-08-09T00:00:00Z", "timeframe": "1m"}
MINUTES = 6
HOUR_S = 3_600
JUMP_MS = 3_000_000
WAIT_S = 90.0


def library() -> Path:
    """The library that fakes the clock, from its wheel."""
    spec = importlib.util.find_spec("libfaketime")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "vendor/libfaketime/src"
    (found,) = folder.glob("libfaketime.so.*")
    return found


async def offset_ms(client: httpx2.AsyncClient, port: int) -> int | None:
    """The venue's clock minus the wall clock, as the system sees it."""
    found = [line["clock_offset_ms"] for line in await stream_lines(client, port)]
    return None if not found or None in found else found[0]


async def jump(client: httpx2.AsyncClient, port: int, clock: Path, offset_s: int) -> None:
    """Set the wall clock of the process, and wait until it has seen that."""
    before = None
    async with asyncio.timeout(WAIT_S):
        while before is None:
            before = await offset_ms(client, port)
        clock.write_text(f"{offset_s:+d}\n")
        while True:
            now = await offset_ms(client, port)
            if now is not None and abs(now - before) > JUMP_MS:
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(400)
async def test_wall_clock_jumps(shared: Path, tmp_path: Path, unused_port: int) -> None:
    """An hour ahead, then two hours back, then right again, in mid-play: bars, proofs and hashes
    are those of a run whose clock was right, and nothing is lost."""
    async with journey(tmp_path / "calm", two_markets(shared)) as trip:
        await trip.until_played()
        calm = []
        for name in NAMES:
            answer = await trip.get(f"/footprint/{name}", **SPAN)
            calm += [(f"{name} {b['period_start']}", b["content_hash"]) for b in answer["bars"]]
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    environ = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }
    async with (
        Simulator(two_markets(shared), speed=12.0, start_after=2) as simulator,
        httpx2.AsyncClient(timeout=10) as client,
        wadm_up(tmp_path / "jumps", simulator.urls, unused_port, environ),
    ):
        for goal, offset_s in ((1_500, HOUR_S), (5_000, -HOUR_S), (9_000, 0)):
            await wait_for(client, unused_port, goal)
            await jump(client, unused_port, clock, offset_s)
        count = MINUTES * len(NAMES)
        assert await final_bars(client, unused_port, NAMES, SPAN, count) == calm
        for line in await stream_lines(client, unused_port):
            assert (line["gaps_open"], line["gaps_lost"]) == (0, 0)
            assert line["minutes_verified"] >= MINUTES
