"""1,500 instruments on the simulated venues: within their limits, and the first do not wait."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sim_support import START_MS, tape_of

from backbone.bus.memory import MemoryBus
from backbone.settings import Settings
from collectors.listing import AT_A_TIME
from collectors.pacing import ConnectLimiter
from collectors.service import CollectorService
from collectors.session import Timers
from collectors.venue import VenueMarket
from collectors.venues import VENUES
from orderflow.instrument import Market
from orderflow.trade import Connected, InstrumentChanged
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tapes.convert import as_instrument

COUNT = 1_500
TIMERS = Timers(tick_s=0.02, request_gap_s=0.25, ack_s=10.0)
MARKETS = [(venue, kind) for venue, kinds in VENUES.items() for kind in kinds]


def market_of(venue: str, kind: Market, count: int) -> list[Any]:
    """Tapes of `count` instruments that trade ten times a second each for a while."""
    rows = [(START_MS + 100 * n, 5_000, 1_000, True) for n in range(3_000)]
    one = tape_of(rows)
    return [as_instrument(one, f"{venue}:{kind}:C{number:04}USDT") for number in range(count)]


@pytest.mark.parametrize("kind", [Market.SPOT, Market.PERP])
@pytest.mark.parametrize("venue", list(VENUES))
def test_a_whole_market_needs_few_connections(venue: str, kind: Market) -> None:
    """1,500 instruments and as many derivative streams stay below the connections an address may
    open in five minutes, twice over, and no connection has more streams than its venue allows."""
    market: VenueMarket = VENUES[venue][kind]
    shards = -(-COUNT // market.symbols_per_connection)
    sockets = shards * market.connections + -(-COUNT // 100)
    assert 2 * sockets <= {"binance": 300, "bybit": 500}[venue]
    limiter, now_s, opened = ConnectLimiter(), 0.0, 0
    while opened < sockets:
        wait_s = limiter.wait_s(now_s)
        opened += wait_s == 0
        now_s += wait_s
    assert now_s < 60
    assert 2 * market.symbols_per_connection <= 1_024


@pytest.mark.parametrize(("venue", "kind"), MARKETS)
async def test_the_first_do_not_wait_for_the_last(
    bus: MemoryBus, trades: Any, venue: str, kind: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first twenty are claimed while others wait for the REST budget; then all are, on few
    connections that grow by message, and the venue refuses, kicks and bans nobody."""
    count = 5 * AT_A_TIME + 5
    monkeypatch.setattr("collectors.budget.EVERYDAY_SHARE", 0.8)
    limits = Limits(refused_before_ban=0)
    async with Simulator(market_of(venue, kind, count), speed=2, limits=limits) as simulator:
        settings = dataclasses.replace(
            Settings(),
            symbols="all",
            markets=kind,
            derivatives="off",
            first_data_s=60.0,
            stale_after_s=60.0,
            **simulator.urls,
        )
        service = CollectorService(settings, bus, venue, timers=TIMERS)
        await service.start()
        try:
            await trades.until(lambda: bool(trades.of(Connected)))
            assert len(trades.of(InstrumentChanged)) < count
            await trades.until(lambda: _claimed(trades) == count)
            feeds = service.statuses()
        finally:
            await service.close()
        assert not simulator.stats.kicks
        assert not simulator.stats.refused_connects
        market = VENUES[venue][kind]
        assert len(feeds) == 2 * market.connections
        assert {feed.connects for feed in feeds} == {1}
        assert max(len(feed.instruments) for feed in feeds) == market.symbols_per_connection


def _claimed(trades: Any) -> int:
    return len({name for event in trades.of(Connected) for name in event.instruments})
