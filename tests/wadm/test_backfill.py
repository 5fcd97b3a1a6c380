"""History of days gone by: REST by id, the venue's archive, candles in the meantime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from unmeasured import unmeasured

from backbone.settings import Settings, read_settings
from backbone.store.base import FOOTPRINTS, Query
from backbone.store.memory import MemoryStore
from orderflow.completeness import State
from orderflow.encoding import bar_from_body
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape
from wadm.audit import audit
from wadm.backfill import backfill_range
from wadm.chaos.oracle import as_stored, minutes_of

MINUTE = 60_000
START = 1_735_775_400_000
"""2025-01-01T23:50Z: ten minutes before midnight, so that the archive of the day appears."""
END = START + 15 * MINUTE
MIDNIGHT = START + 10 * MINUTE
MARKETS = tuple(
    Market(name, "0.1", "0.001", 64_000.0, 4.0, 0.05)
    for name in (
        "binance:spot:BTCUSDT",
        "binance:perp:BTCUSDT",
        "bybit:perp:BTCUSDT",
        "bybit:spot:BTCUSDT",
    )
)


@pytest.fixture
async def played() -> AsyncIterator[tuple[Simulator, Settings, Any]]:
    """Venues whose tape is over: everything on it is history."""
    tape = synthetic_tape(START, seed=3, markets=MARKETS, end_ms=END - 1)
    async with Simulator([tape], speed=4_000.0, start_after=0) as sim:
        with unmeasured():
            await asyncio.wait_for(sim.finished.wait(), 30)
        settings = read_settings({}, symbols="BTCUSDT", row_sizes="BTCUSDT=10", **sim.urls)
        yield sim, settings, tape


async def bars(store: MemoryStore, name: str, timeframe: str = "1m") -> dict[int, Any]:
    query = Query(FOOTPRINTS, name, timeframe, 0, 2**60, 0)
    return {r.start_ms: bar_from_body(r.body) for r in await store.query(query)}


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
async def test_a_range_onto_an_empty_store(
    played: tuple[Simulator, Settings, Any], market: Market
) -> None:
    """Binance is verified over midnight, from archive and ids; Bybit's yesterday from its archive,
    its today approximate and marked so; a second run changes nothing."""
    _, settings, tape = played
    name = market.name
    store = MemoryStore()
    steps: list[tuple[int, int]] = []
    found = await backfill_range(settings, store, name, (START, END), lambda *at: steps.append(at))
    assert found.minutes == 15
    assert steps[-1] == (15, 15)
    stored = await bars(store, name)
    assert len(stored) == 15
    track = next(t for t in tape.tracks if t.instrument.name == name)
    binance = name.startswith("binance")
    from decimal import Decimal

    for start, wanted in minutes_of(track, Decimal(10)).items():
        bar, quality = stored[start]
        if binance or start < MIDNIGHT:
            assert as_stored(track, bar) == wanted, (name, start)
            best = State.VERIFIED if binance else State.VERIFIED_VOLUME
            assert quality.state is best
        else:
            assert quality.state is State.APPROXIMATE
            ours = as_stored(track, bar)
            assert (ours.volume, ours.prices) == (wanted.volume, wanted.prices)
            assert quality.covered_ms == 0
    windows = await bars(store, name, "5m")
    assert len(windows) == 3
    again = await backfill_range(settings, store, name, (START, END))
    assert (again.changed, again.unproven) == (0, found.unproven)
    report = await audit(settings, store, name, START, MIDNIGHT)
    assert report.good
    assert report.windows == 2


async def test_trades_replace_candles_as_a_revision(
    played: tuple[Simulator, Settings, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the archive has no such day a Bybit minute is approximate; once it has, the same
    minute and its windows are published again with the next revision."""
    sim, settings, _ = played
    name, store = "bybit:perp:BTCUSDT", MemoryStore()
    tracks, sim.archive.tracks = sim.archive.tracks, {}
    first = await backfill_range(settings, store, name, (START, MIDNIGHT))
    assert (first.changed, first.from_trades, first.unproven) == (10, 0, 10)
    assert "archive" in first.error
    before = await bars(store, name, "5m")
    assert {quality.state for _, quality in before.values()} == {State.APPROXIMATE}
    sim.archive.tracks = tracks
    second = await backfill_range(settings, store, name, (START, MIDNIGHT))
    assert (second.from_trades, second.unproven) == (10, 0)
    for timeframe in ("1m", "5m"):
        for _, quality in (await bars(store, name, timeframe)).values():
            assert (quality.state, quality.revision) == (State.VERIFIED_VOLUME, 1)
