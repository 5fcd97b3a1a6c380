"""Instruments that are listed, delisted, chosen and left while a simulated market plays."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sim_support import START_MS, Row, tape_of

from backbone.bus.memory import MemoryBus
from backbone.settings import Settings
from collectors.service import CollectorService
from collectors.session import Timers
from orderflow.trade import Connected, Disconnect, InstrumentChanged, TradeBatch
from processor.engine import Engine
from processor.ingestion import stream_status
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.synthetic import Market, synthetic_tape

TIMERS = Timers(tick_s=0.02, request_gap_s=0.02, first_delay_s=0.02, longest_delay_s=0.1)
PLACES = ["binance:spot", "binance:perp", "bybit:spot", "bybit:perp"]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing is looked at many times a second, on a budget that allows it."""
    monkeypatch.setattr("collectors.service.REFRESH_S", 0.05)
    monkeypatch.setattr("collectors.budget.EVERYDAY_SHARE", 1_000)
    monkeypatch.setattr("collectors.budget.REPAIR_SHARE", 1_000)


@asynccontextmanager
async def collected(
    bus: MemoryBus, place: str, tapes: Sequence[Tape], symbols: str, speed: float = 5.0
) -> AsyncIterator[tuple[Simulator, CollectorService]]:
    """A collector of one market at work; `away` is not listed at first."""
    venue, _, market = place.partition(":")
    limits = Limits(weight_per_minute=10**9)
    async with Simulator(tapes, speed=speed, limits=limits) as simulator:
        settings = dataclasses.replace(
            Settings(),
            symbols=symbols,
            markets=market,
            venues=venue,
            derivatives="off",
            **simulator.urls,
        )
        service = CollectorService(settings, bus, venue, timers=TIMERS)
        if any(f"{place}:DUSDT" == name for tape in tapes for name in tape.instruments):
            simulator.list_market(f"{place}:DUSDT", listed=False)
        await service.start()
        try:
            yield simulator, service
        finally:
            await service.close()


def market_of(place: str, *coins: str) -> Tape:
    """Busy coins of one market, without end."""
    return synthetic_tape(
        START_MS, markets=[Market(f"{place}:{c}USDT", "0.01", "0.001", 50, 20, 1) for c in coins]
    )


def claims(trades: Any) -> set[str]:
    """What is claimed by any connection now."""
    found: set[tuple[str, str]] = set()
    for event in trades.events:
        if isinstance(event, Connected):
            found |= {(name, event.connection) for name in event.instruments}
        elif isinstance(event, Disconnect):
            found -= {(name, event.connection) for name in event.instruments}
    return {name.rpartition(":")[2] for name, _ in found}


def ended(trades: Any, reason: str) -> set[str]:
    return {n for e in trades.of(Disconnect) if e.reason == reason for n in e.instruments}


@pytest.mark.parametrize("place", PLACES)
async def test_listed_and_delisted_while_playing(bus: MemoryBus, trades: Any, place: str) -> None:
    """What is listed joins the connection that stands, what is delisted leaves it, and nothing of
    the others is interrupted."""
    tape = market_of(place, "A", "B", "C", "D")
    async with collected(bus, place, [tape], "all") as (simulator, service):
        await trades.until(lambda: claims(trades) == {"AUSDT", "BUSDT", "CUSDT"})
        simulator.list_market(f"{place}:DUSDT", listed=True)
        await trades.until(lambda: "DUSDT" in claims(trades))
        name = f"{place}:DUSDT"
        await trades.until(lambda: any(b.instrument == name for b in trades.of(TradeBatch)))
        simulator.list_market(f"{place}:BUSDT", listed=False)
        await trades.until(lambda: claims(trades) == {"AUSDT", "CUSDT", "DUSDT"})
        assert trades.of(InstrumentChanged)[-1].status == "delisted"
        simulator.list_market(f"{place}:BUSDT", listed=True)
        await trades.until(lambda: "BUSDT" in claims(trades))
        seen = sum(map(len, trades.of(TradeBatch)))
        await trades.until(lambda: sum(map(len, trades.of(TradeBatch))) > seen + 50)
        assert {status.connects for status in service.statuses()} == {1}
        assert len(service.statuses()) == (2 if place.startswith("bybit") else 1)
    assert ended(trades, "delisted") == {f"{place}:BUSDT"}
    assert ended(trades, "not collected") == set()


async def test_the_last_instrument_takes_its_connection_along(bus: MemoryBus, trades: Any) -> None:
    """A connection that delivers nothing any more is closed, and opened when there is something."""
    place = "binance:spot"
    async with collected(bus, place, [market_of(place, "A", "D")], "AUSDT") as (sim, service):
        await trades.until(lambda: claims(trades) == {"AUSDT"})
        sim.list_market(f"{place}:AUSDT", listed=False)
        await trades.until(lambda: not service.statuses())
        await trades.until(lambda: claims(trades) == set())
        sim.list_market(f"{place}:AUSDT", listed=True)
        await trades.until(lambda: claims(trades) == {"AUSDT"})


async def test_an_instrument_that_left_the_selection_says_so(bus: MemoryBus, trades: Any) -> None:
    """Overtaken by others it leaves: its claim ends, its stream is "not collected"; what was named
    by hand stays, however small it is."""
    steady: list[Row] = [(START_MS + 100 * n, 5_000, 1_000, True) for n in range(6_000)]
    late: list[Row] = [(START_MS + 60_000 + 100 * n, 5_000, 900_000, True) for n in range(5_400)]
    tapes = [tape_of(steady, base="AAA"), tape_of(late, base="ZZZ"), tape_of(steady, base="NAM")]
    symbols = "top:1,NAMUSDT"
    async with collected(bus, "binance:spot", tapes, symbols, speed=60.0) as (_, service):
        await trades.until(lambda: claims(trades) == {"NAMUSDT", "ZZZUSDT"})
        assert {n.rpartition(":")[2] for s in service.statuses() for n in s.instruments} == {
            "NAMUSDT",
            "ZZZUSDT",
        }
        gone = "binance:spot:AAAUSDT"
        engine = Engine()
        for event in trades.events:
            engine.handle(event)
        now = engine.streams[gone].last_event_ms + 1_000
        engine.advance(lambda name: now, 1)
    assert ended(trades, "not collected") == {gone}
    status = stream_status(engine.streams[gone], now, now, None, dropped=0, queued=0)
    assert (status.state, status.status) == ("not collected", "paused")
    assert status.error_message is not None
    assert "selection" in status.error_message
