"""The whole collector of a venue against loopback sockets and REST."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from backbone.bus.base import REPAIRS
from backbone.settings import Settings
from collectors.service import CollectorService
from collectors.session import Timers
from orderflow.errors import ConfigError
from orderflow.trade import (
    EVERY_CONNECTION,
    AnnounceRequest,
    Connected,
    Disconnect,
    InstrumentChanged,
    RepairDone,
    RepairRequest,
    TradeBatch,
)

HOUR = 3_600_000


def listing(symbol: str, status: str = "TRADING", tick: str = "0.01000000") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick},
            {"filterType": "LOT_SIZE", "stepSize": "0.00100000"},
        ],
    }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def klines(query: dict[str, str]) -> Any:
    step = {"1m": 60_000, "1h": HOUR}[query["interval"]]
    first = -(-int(query["startTime"]) // step) * step
    rows = [
        [t, "100", "103", "99.5", "101", "2", t + step - 1, "2", 4, "1", "1", "0"]
        for t in range(first, int(query["endTime"]) + 1, step)
    ]
    return 200, {}, rows


def trades_from(query: dict[str, str]) -> Any:
    start = int(query.get("fromId", 1))
    rows = [
        {"a": k, "p": "1.00", "q": "0.500", "f": k, "l": k, "T": now_ms() - 2_000, "m": False}
        for k in range(start, start + 10)
    ]
    return 200, {}, rows


@pytest.fixture
def venue(sockets: Any, rest: Any) -> Any:
    """A Binance spot that lists three symbols and sends one trade of each."""
    names = ["BTCUSDT", "ETHUSDT", "OLDUSDT", "XRPBTC"]
    statuses = {"OLDUSDT": "BREAK"}
    rest.json(
        "/api/v3/exchangeInfo",
        {"symbols": [listing(name, statuses.get(name, "TRADING")) for name in names]},
    )
    rest.routes["/api/v3/time"] = lambda _: (200, {}, {"serverTime": now_ms()})
    rest.routes["/api/v3/klines"] = klines
    rest.routes["/api/v3/aggTrades"] = trades_from

    async def script(connection: Any) -> None:
        for key, symbol in enumerate(("BTCUSDT", "ETHUSDT"), 1):
            data = {"e": "aggTrade", "E": now_ms(), "s": symbol, "a": key, "p": "42000.01"}
            data |= {"q": "0.001", "f": key, "l": key, "T": now_ms(), "m": True}
            await connection.send(json.dumps({"stream": "x", "data": data}))
        await connection.wait_closed()

    sockets.scripts = [script]
    return sockets


@pytest.fixture
async def collect(venue: Any, rest: Any, bus: Any) -> AsyncIterator[Callable[..., Any]]:
    """Start the service with settings of one's own."""
    services: list[CollectorService] = []

    async def begin(**changes: Any) -> CollectorService:
        settings = dataclasses.replace(
            Settings(),
            **{
                "symbols": "BTCUSDT,ETHUSDT,OLDUSDT,NOSUCHUSDT",
                "markets": "spot",
                "binance_spot_ws_url": venue.url,
                "binance_spot_rest_url": rest.url,
            }
            | changes,
        )
        service = CollectorService(settings, bus, "binance", timers=Timers(tick_s=0.02))
        services.append(service)
        await service.start()
        return service

    yield begin
    for service in services:
        await service.close()


async def test_instruments_come_before_their_trades(collect: Any, trades: Any) -> None:
    """Wanted, listed and trading symbols are announced with a week of ranges, then collected."""
    service = await collect()
    await trades.until(lambda: len(trades.of(TradeBatch)) == 2)
    changed = trades.of(InstrumentChanged)
    assert trades.events[: len(changed)] == changed
    assert [item.symbol for item in changed] == ["BTCUSDT", "ETHUSDT"]
    one = changed[0]
    assert (one.venue, one.market, one.base, one.quote) == ("binance", "spot", "BTC", "USDT")
    assert (one.tick_size, one.lot_size, one.scale) == (Decimal("0.01"), Decimal("0.001"), 0)
    assert one.hour_ranges == [Decimal("3.5")] * 168
    assert one.last_price == 101
    assert trades.of(Connected)[0].instruments == ["binance:spot:BTCUSDT", "binance:spot:ETHUSDT"]
    assert service.reachable.is_set()
    (status,) = service.statuses()
    assert (status.connection, status.state, status.trades) == ("binance-spot-1a", "live", 2)
    assert abs(service.clock.now_ms() - now_ms()) < 2_000


async def test_repairs_are_answered_for_own_instruments_only(
    collect: Any, trades: Any, bus: Any
) -> None:
    """A request for another venue's instrument is left to that venue's collector."""
    service = await collect()
    await trades.until(lambda: len(trades.of(TradeBatch)) == 2)
    end = now_ms() - 1_500
    for number, name in enumerate(("bybit:spot:BTCUSDT", "binance:spot:BTCUSDT")):
        request = RepairRequest(name, number, end - 1_000, end, "ids missing", 5, 9)
        await bus.publish(REPAIRS, [request])
    await trades.until(lambda: bool(trades.of(RepairDone)))
    assert trades.of(RepairDone) == [RepairDone("binance:spot:BTCUSDT", 1, complete=True)]
    assert trades.of(TradeBatch)[-1].key == [5, 6, 7, 8, 9]
    assert service.rest_counts()["repaired"] == 1


async def test_says_again(collect: Any, trades: Any, bus: Any) -> None:
    """Asked who is there, a collector names its instruments and what delivers them again."""
    await collect()
    await trades.until(lambda: bool(trades.of(Connected)))
    before = trades.of(InstrumentChanged)
    await bus.publish(REPAIRS, [AnnounceRequest("started")])
    await trades.until(lambda: len(trades.of(Connected)) == 2)
    first, again = trades.of(Connected)
    assert again.again
    assert (again.connection, again.instruments) == (first.connection, first.instruments)
    assert trades.of(InstrumentChanged) == before * 2


async def test_closing_withdraws_the_claim(collect: Any, trades: Any) -> None:
    """Whoever reads the bus learns that what an earlier life claimed is over, and that nothing is
    collected any more."""
    service = await collect()
    await trades.until(lambda: bool(trades.of(Connected)))
    await service.close()
    await trades.until(lambda: len(trades.of(Disconnect)) == 2)
    first, last = trades.of(Disconnect)
    assert (first.connection, first.reason) == (EVERY_CONNECTION, "collector started")
    assert last.reason == "stopped"
    left = [task.get_name() for task in asyncio.all_tasks()]
    assert [name for name in left if "binance" in name or "collector" in name] == []


async def test_an_unreachable_venue_is_tried_for_ever(
    collect: Any, rest: Any, trades: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing answers: not reachable, nothing raised; once it answers, it is collected."""
    monkeypatch.setattr("collectors.rest.RETRY_DELAYS_S", ())
    answers = rest.routes.pop("/api/v3/exchangeInfo")
    service = await collect(binance_spot_rest_url="http://127.0.0.1:9")
    await asyncio.sleep(0)
    assert not service.reachable.is_set()
    assert service.statuses() == []
    await service.close()
    rest.routes["/api/v3/exchangeInfo"] = answers
    service = await collect()
    await trades.until(lambda: bool(trades.of(TradeBatch)))
    assert service.reachable.is_set()


async def test_a_changed_tick_is_a_new_scale(
    collect: Any, rest: Any, trades: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look at the listing announces it, and batches count in it from then on."""
    monkeypatch.setattr("collectors.service.REFRESH_S", 0.05)
    await collect()
    await trades.until(lambda: len(trades.of(TradeBatch)) == 2)
    symbols = [listing("BTCUSDT", tick="0.00100000"), listing("NOSUCHUSDT")]
    rest.json("/api/v3/exchangeInfo", {"symbols": symbols})
    await trades.until(lambda: len(trades.of(InstrumentChanged)) == 5)
    news = {item.symbol: item for item in trades.of(InstrumentChanged)[2:]}
    assert (news["BTCUSDT"].tick_size, news["BTCUSDT"].scale) == (Decimal("0.001"), 1)
    assert news["ETHUSDT"].status == "delisted"
    assert news["NOSUCHUSDT"].scale == 0


def test_an_unknown_venue_is_named(bus: Any) -> None:
    """The error lists the venues there are."""
    with pytest.raises(ConfigError, match="binance, bybit"):
        CollectorService(Settings(), bus, "mtgox")
