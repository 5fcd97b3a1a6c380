"""Real collectors on real sockets against the simulated venues and their faults."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sim_support import short_tape

from backbone.bus.memory import MemoryBus
from backbone.live import FeedStatus
from backbone.settings import Settings
from collectors.service import CollectorService
from collectors.session import Timers
from orderflow.trade import Connected, Disconnect, TradeBatch
from simulator.columns import KEY
from simulator.faults import ConnectionAction, FaultPlan
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.convert import as_instrument

SPOT = "binance_spot/btcusdt@aggTrade"
SPEED = 20.0
LONG = 4_000
"""Trades of a tape that outlasts a reconnect."""
TIMERS = Timers(
    tick_s=0.02,
    pong_s=0.3,
    silent_s=1.0,
    ack_s=0.5,
    request_gap_s=0.02,
    successor_s=2.0,
    overlap_s=0.1,
    first_delay_s=0.02,
    longest_delay_s=0.1,
)
Collect = Callable[..., Any]


def bybit(market: str) -> Tape:
    """The short tape as Bybit trades."""
    return as_instrument(short_tape(), f"bybit:{market}:BTCUSDT")


@pytest.fixture
def collect(bus: MemoryBus) -> Collect:
    """A venue's collector at work on a simulator's tape."""

    @asynccontextmanager
    async def run(
        tape: Tape, faults: FaultPlan, *, limits: Limits | None = None, **changes: Any
    ) -> AsyncIterator[tuple[Simulator, CollectorService]]:
        item = tape.tracks[0].instrument
        timers = dataclasses.replace(TIMERS, **changes)
        async with Simulator([tape], speed=SPEED, faults=faults, limits=limits) as simulator:
            settings = dataclasses.replace(
                Settings(),
                symbols=item.symbol,
                markets=item.market,
                first_data_s=1.0,
                stale_after_s=0.6,
                **simulator.urls,
            )
            service = CollectorService(settings, bus, item.venue, timers=timers)
            await service.start()
            try:
                yield simulator, service
            finally:
                await service.close()

    return run


def key_at(tape: Tape, place: int) -> int:
    """The id of an aggregate by its place on the tape."""
    return int(tape.tracks[0].aggregates.column(KEY)[place])


def keys_of(trades: Any) -> set[int]:
    """Ids of every trade published."""
    return {key for batch in trades.of(TradeBatch) for key in batch.key}


@pytest.mark.parametrize("action", ["half_open", "abort", "close", "drip"])
async def test_a_hurt_connection_is_replaced(
    collect: Collect, trades: Any, action: ConnectionAction
) -> None:
    """Dead without a sign, reset, closed or starved: another connection delivers soon, and the
    claim of the first one ends."""
    faults = FaultPlan(drip_bytes_per_s=20)
    tape = short_tape(count=LONG)
    faults.on_connection(SPOT, action, key_at(tape, 40))
    async with collect(tape, faults) as (_, service):
        await trades.until(lambda: len(trades.of(Connected)) >= 2)
        seen = len(keys_of(trades))
        await trades.until(lambda: len(keys_of(trades)) > seen)
        (status,) = service.statuses()
        assert status.connects >= 2
    assert trades.of(Disconnect)
    assert faults.fired[action] == 1


async def test_a_frame_beyond_all_size_costs_the_connection_only(
    collect: Collect, trades: Any
) -> None:
    """The library refuses it, the feed connects again, and what follows is collected."""
    faults = FaultPlan(huge_bytes=5 << 20)
    tape = short_tape(count=LONG)
    faults.on_trades(SPOT, "huge", [key_at(tape, 40)])
    async with collect(tape, faults) as (_, service):
        await trades.until(lambda: len(trades.of(Connected)) >= 2)
        assert service.statuses()[0].connects >= 2
    assert faults.fired["huge"] == 1


async def test_a_silent_route_is_left(collect: Collect, trades: Any) -> None:
    """Acknowledged without data: the feed tries again until the route delivers."""
    faults = FaultPlan(silent_routes={"market"})
    tape = short_tape("perp", count=LONG)
    async with collect(tape, faults) as (simulator, service):
        status: list[FeedStatus] = []

        def tried_again() -> bool:
            status[:] = service.statuses()
            return bool(status) and status[0].connects >= 2

        simulator.start()
        await trades.until(tried_again)
        assert status[0].error == "no_first_data"
        assert not trades.of(Connected)
        faults.silent_routes.clear()
        await trades.until(lambda: bool(trades.of(Connected)))
    assert faults.fired["silent_stream"] >= 2


async def test_a_poisoned_batch_is_taken_apart(collect: Collect, trades: Any) -> None:
    """Bybit refuses a whole batch for one topic: asked one by one, all are collected."""
    faults = FaultPlan()
    faults.refuse_subscription("kline.1.BTCUSDT")
    async with collect(bybit("spot"), faults) as (simulator, service):
        await trades.until(lambda: bool(trades.of(Connected)))
        await trades.until(lambda: len(keys_of(trades)) > 50)
        wanted = {"publicTrade.BTCUSDT", "kline.1.BTCUSDT"}
        assert all(set(session.streams) == wanted for session in simulator.hosts[2].sessions)
        assert {status.state for status in service.statuses()} == {"live"}
    assert faults.fired["batch_poisoned"] == 1


async def test_refused_sockets_are_tried_again(collect: Collect, trades: Any) -> None:
    """HTTP refusals delay the first data and lose no feed."""
    faults = FaultPlan(refuse_connects=2)
    async with collect(short_tape(), faults) as (_, service):
        await trades.until(lambda: bool(trades.of(Connected)))
        assert service.statuses()[0].connects == 3
    assert faults.fired["connect_refused"] == 2


async def test_an_announced_end_loses_no_trade(collect: Collect, trades: Any) -> None:
    """serverShutdown: a successor delivers before the old connection is cut."""
    faults = FaultPlan()
    tape = short_tape()
    rows = tape.tracks[0].aggregates
    faults.on_connection(SPOT, "shutdown", key_at(tape, 40), connection=1)
    async with collect(tape, faults) as (simulator, _):
        await trades.until(simulator.finished.is_set)
        await trades.until(lambda: len(keys_of(trades)) == len(rows))
    assert faults.fired["shutdown_notice"] == 1


async def test_the_end_of_a_connections_life_is_survived(collect: Collect, trades: Any) -> None:
    """The accelerated 24 h cut: rolled over before it, nothing is lost."""
    tape = short_tape()
    faults = FaultPlan()
    limits = Limits(life_s=3.0)
    lives = {"lifetime_s": 1.0, "lifetime_spread_s": 0.1}
    async with collect(tape, faults, limits=limits, **lives) as (simulator, service):
        await trades.until(simulator.finished.is_set)
        await trades.until(lambda: len(keys_of(trades)) == len(tape.tracks[0].aggregates))
        assert service.statuses()[0].connects >= 2
    assert faults.fired["End of life"] == 0


async def test_schema_drift_and_broken_json_are_counted(collect: Collect, trades: Any) -> None:
    """Neither stops the feed: each costs its frame, and its claim is renewed."""
    tape = short_tape()
    rows = tape.tracks[0].aggregates
    faults = FaultPlan()
    faults.on_trades(SPOT, "drift", [key_at(tape, 40)])
    faults.on_trades(SPOT, "malformed", [key_at(tape, 60)])
    async with collect(tape, faults, silent_s=30.0) as (simulator, service):
        await trades.until(simulator.finished.is_set)
        await trades.until(lambda: len(keys_of(trades)) == len(rows) - 2)
        (status,) = service.statuses()
        assert (status.malformed, status.connects) == (2, 1)


async def test_limits_of_requests_are_kept(collect: Collect, trades: Any) -> None:
    """Many symbols on Bybit and Binance: no batch is refused and no socket kicked."""
    tape = Tape(
        tuple(
            track
            for place in range(30)
            for track in as_instrument(
                short_tape(base=f"C{place:02d}", count=3), f"bybit:spot:C{place:02d}USDT"
            ).tracks
        )
    )
    faults = FaultPlan()
    symbols = ",".join(track.instrument.symbol for track in tape.tracks)
    async with Simulator([tape], speed=SPEED, faults=faults, start_after=99) as simulator:
        settings = dataclasses.replace(
            Settings(), symbols=symbols, markets="spot", derivatives="off", **simulator.urls
        )
        service = CollectorService(settings, trades._bus, "bybit", timers=TIMERS)
        await service.start()
        try:
            host = simulator.hosts[2]
            await trades.until(lambda: any(len(s.streams) == 60 for s in host.sessions))
        finally:
            await service.close()
        assert not simulator.stats.kicks
    assert faults.fired["batch_poisoned"] == 0
