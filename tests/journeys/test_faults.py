"""Whatever happens on the way, final windows have the content of an undisturbed run."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from journeys_support import Journey, journey
from recorded import two_markets

from simulator.clock import MAX
from simulator.columns import KEY
from simulator.faults import FaultPlan, RowAction
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.convert import as_instrument

SPAN = {"start": "2024-08-08T23:54:00Z", "end": "2024-08-09T00:00:00Z"}
FAULTS: tuple[tuple[RowAction, tuple[int, ...]], ...] = (
    ("drop", (1, 2)),
    ("duplicate", (10,)),
    ("swap", (20,)),
    ("malformed", (30,)),
    ("ZERO", (40,)),
    ("drift", (50,)),
)
"""What happens to which trades of a run of 271."""

ODD: tuple[tuple[RowAction, int], ...] = (("BT", 0), ("ZERO", 7), ("duplicate", 13))
INSTRUMENTS = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT", "bybit:perp:BTCUSDT")


@cache
def tapes(shared: Path) -> list[Tape]:
    spot, perp = two_markets(shared)
    return [spot, perp, as_instrument(perp, "bybit:perp:BTCUSDT")]


async def hashes(trip: Journey, instruments: tuple[str, ...] = INSTRUMENTS) -> dict[str, Any]:
    """Content hashes of every final bar of the span, by instrument and timeframe."""
    found: dict[str, Any] = {}
    for instrument in instruments:
        for timeframe in ("1m", "5m"):
            answer = await trip.get(f"/footprint/{instrument}", timeframe=timeframe, **SPAN)
            bars = [(b["period_start"], b["content_hash"]) for b in answer["bars"]]
            found[f"{instrument} {timeframe}"] = bars[:6] if timeframe == "1m" else bars[:1]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calm(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The undisturbed run, once for all."""
    async with journey(tmp_path_factory.mktemp("calm"), tapes(shared)) as trip:
        await trip.until_played()
        return await hashes(trip)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_faulty_frames(shared: Path, tmp_path: Path, calm: dict[str, Any]) -> None:
    """Lost, doubled, swapped and broken frames, empty trades and trades of other kinds change no
    number: what the ids show missing is fetched, what must not count never enters a bar."""
    faults = FaultPlan()
    chosen = tapes(shared)[:2]
    for tape in chosen:
        track = tape.tracks[0]
        first = int(track.aggregates.column(KEY)[0])
        for action, offsets in FAULTS:
            keys = {first + n + offset for n in range(500, 4_000, 271) for offset in offsets}
            faults.on_trades(f"{track.instrument.host}/btcusdt@aggTrade", action, keys)
    async with journey(tmp_path / "faulty", chosen, speed=60.0, faults=faults) as trip:
        await trip.until_played()
        found = await hashes(trip, INSTRUMENTS[:2])
        streams = [trip.system.processor.view.stream(name) for name in INSTRUMENTS[:2]]
    assert found == {name: bars for name, bars in calm.items() if name in found}
    assert all(stream.gaps_filled > 10 for stream in streams)
    assert all(stream.duplicates > 10 for stream in streams)
    assert all(feed.rejected["zero_qty"] > 10 for feed in trip.system.feeds())
    assert all(feed.malformed > 10 for feed in trip.system.feeds())
    assert all(faults.fired[action] > 10 for action, _ in FAULTS)


@pytest.mark.timeout(1_200)
async def test_foreign_trades(shared: Path, tmp_path: Path, calm: dict[str, Any]) -> None:
    """Block trades, empty fills and fills sent twice on a stream without numbers change nothing."""
    tape = tapes(shared)[2]
    faults = FaultPlan()
    for action, offset in ODD:
        faults.on_trades("publicTrade.BTCUSDT", action, range(100 + offset, 4_000, 97))
    async with journey(tmp_path / "foreign", [tape], faults=faults) as trip:
        await trip.until_played()
        found = await hashes(trip, INSTRUMENTS[2:])
        stream = trip.system.processor.view.stream(INSTRUMENTS[2])
    assert found == {name: bars for name, bars in calm.items() if name in found}
    assert stream.rejected["block_trade"] > 10
    assert stream.rejected["zero_qty"] > 10


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("ws", ["websockets", "picows"])
async def test_lost_connections(
    shared: Path, tmp_path: Path, calm: dict[str, Any], ws: str
) -> None:
    """Connections that are closed or reset in mid-play leave no mark on the Binance streams."""
    chosen = tapes(shared)[:2]
    async with journey(tmp_path / "lost", chosen, speed=40.0, ws=ws) as trip:
        for goal, abort in ((2_000, False), (6_000, True), (9_000, False)):
            await trip.until(lambda goal=goal: _applied(trip) >= goal, "trades applied")
            await trip.simulator.close_all_connections(abort=abort)
        await trip.until_played()
        found = await hashes(trip, INSTRUMENTS[:2])
        assert all(feed.connects >= 3 for feed in trip.system.feeds())
    assert found == {name: bars for name, bars in calm.items() if name in found}


def _applied(trip: Journey) -> int:
    view = trip.system.processor.view
    return sum(view.stream(i.name).applied for i in view.instruments())


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("speed", [MAX, 90.0])
async def test_stop_and_start(
    shared: Path, tmp_path: Path, calm: dict[str, Any], speed: float | str
) -> None:
    """A clean stop in the middle and a later start, at any speed, end in the same content."""
    chosen = tapes(shared)[:2]
    async with Simulator(chosen, speed=speed, start_after=2, hold=True) as simulator:
        async with journey(tmp_path / "twice", chosen, simulator=simulator) as trip:
            await trip.until(lambda: _applied(trip) >= 3_000, "trades applied")
        await asyncio.sleep(0)
        async with journey(tmp_path / "twice", chosen, simulator=simulator) as trip:
            await trip.until_played()
            found = await hashes(trip, INSTRUMENTS[:2])
    assert found == {name: bars for name, bars in calm.items() if name in found}
