"""REST in place of sockets: when it begins, what it proves, and that it ends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from backbone.clock import VenueClock
from collectors.budget import Budget
from collectors.listing import Listed
from collectors.polling import Poller, interval_s
from collectors.rest import RestClient
from collectors.venues import VENUES
from orderflow.instrument import Market
from orderflow.trade import Connected, Disconnect, TradeBatch, Watermark

T0 = 1_700_000_000_000
AGG = "/api/v3/aggTrades"
RECENT = "/v5/market/recent-trade"


class FakeFeed:
    """What the poller asks a feed."""

    def __init__(self, newest: dict[str, int]) -> None:
        self.newest = newest
        self.names: set[str] = set()

    def delivered(self) -> set[str]:
        return self.names


@pytest.fixture
async def client(rest: Any) -> AsyncIterator[RestClient]:
    async with httpx2.AsyncClient(timeout=2.0) as http:
        yield RestClient(rest.url, http, Budget(600_000), time.monotonic, (0.01,))


def poller(client: RestClient, bus: Any, market: Any, now: list[float]) -> Poller:
    clock = VenueClock(lambda: 0.0)
    clock.observe(T0 + 60_000)
    return Poller(market, client, clock, bus, lambda: now[0], after_s=30.0)


def aggregates(last: list[int]) -> Any:
    def answer(query: dict[str, str]) -> Any:
        keys = range(int(query["fromId"]), last[0] + 1)
        rows = [
            {"a": k, "p": "1.00", "q": "0.5", "f": k, "l": k, "T": T0 + k, "m": False}
            for k in list(keys)[: int(query["limit"])]
        ]
        return 200, {}, rows

    return answer


async def test_sockets_down_and_back(
    client: RestClient, rest: Any, bus: Any, trades: Any, spot: Any
) -> None:
    """After 30 s without a delivering socket the ids go on over REST, without a hole; when a
    socket delivers again the claim is withdrawn."""
    now, last = [0.0], [2_345]
    rest.routes = {AGG: aggregates(last)}
    made = poller(client, bus, VENUES["binance"][Market.SPOT], now)
    feed = FakeFeed({spot.name: 100})
    wanted = {spot.name: Listed(spot, 0)}
    await made.look(wanted, [feed])  # type: ignore[list-item]
    now[0] = 29.0
    await made.look(wanted, [feed])  # type: ignore[list-item]
    assert made.polled == {}
    now[0] = 30.0
    await made.look(wanted, [feed])  # type: ignore[list-item]
    await made._round(wanted, lambda: [feed])  # type: ignore[list-item]
    last[0] = 2_400
    await made._round(wanted, lambda: [feed])  # type: ignore[list-item]
    await trades.until(lambda: len(trades.of(Watermark)) == 2)
    assert isinstance(trades.events[0], Connected)
    batches = trades.of(TradeBatch)
    assert [key for b in batches for key in b.key] == list(range(101, 2_401))
    assert {b.source for b in batches} == {"polling"}
    assert trades.of(Watermark)[-1].event_ms == T0 + 59_000
    status = made.status()
    assert (status.state, status.instruments, status.connects) == ("polling", [spot.name], 1)
    feed.names = {spot.name}
    await made.look(wanted, [feed])  # type: ignore[list-item]
    await trades.until(lambda: bool(trades.of(Disconnect)))
    assert made.polled == {}
    assert made.status().state == "waiting"


async def test_a_socket_that_is_back_ends_the_round(
    client: RestClient, rest: Any, bus: Any, trades: Any, spot: Any
) -> None:
    """Polling gives way between two pages: what is still missing is the repairs' work, once."""
    rest.routes = {AGG: aggregates([9_000])}
    made = poller(client, bus, VENUES["binance"][Market.SPOT], [30.0])
    feed = FakeFeed({spot.name: 100})
    wanted = {spot.name: Listed(spot, 0)}
    made._down_since[spot.name] = 0.0
    await made.look(wanted, [feed])  # type: ignore[list-item]

    def feeds() -> Any:
        feed.names = {spot.name}
        return [feed]

    await made._round(wanted, feeds)
    await trades.until(lambda: bool(trades.of(Disconnect)))
    assert [key for b in trades.of(TradeBatch) for key in b.key] == list(range(101, 1_101))
    assert made.polled == {}


def recent(first: int, last: int) -> Any:
    rows = [
        {
            "execId": str(k),
            "symbol": "BTCUSDT",
            "price": "1.00",
            "size": "0.5",
            "side": "Buy",
            "time": str(T0 + k),
            "isBlockTrade": False,
            "seq": str(k),
        }
        for k in range(last, first - 1, -1)
    ]
    return {"retCode": 0, "result": {"category": "spot", "list": rows}}


async def test_pages_that_overlap_are_whole(
    client: RestClient, rest: Any, bus: Any, trades: Any, make_instrument: Any
) -> None:
    """Overlapping newest pages leave no hole; one that does not reach back says that it does
    not."""
    item = make_instrument("bybit", Market.SPOT, "0.01", "0.001")
    made = poller(client, bus, VENUES["bybit"][Market.SPOT], [30.0])
    wanted = {item.name: Listed(item, 0)}
    made._down_since[item.name] = 0.0
    await made.look(wanted, [])
    for first, last in ((1, 60), (31, 90), (200, 259)):
        rest.json(RECENT, recent(first, last))
        await made._poll(wanted[item.name])
    await trades.until(lambda: len(trades.of(Watermark)) == 3)
    batches = trades.of(TradeBatch)
    assert [len(b.key) for b in batches] == [60, 30, 60]
    assert [type(e).__name__ for e in trades.events if not isinstance(e, TradeBatch)] == [
        "Connected",
        "Watermark",
        "Watermark",
        "Disconnect",
        "Connected",
        "Watermark",
    ]
    rest.json(RECENT, {"retCode": 10001, "result": {}})
    await made._poll(wanted[item.name])
    assert made.polled[item.name].claimed


def test_the_pace_stays_within_the_budget() -> None:
    """Symbols x weight over four fifths of the budget, and never faster than once a second."""
    assert interval_s(10, 4, 6_000) == 1.0
    assert interval_s(100, 20, 2_400) == 62.5
