"""Repairs over a real HTTP server: pages, limits, bans, and what can't be repaired."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from backbone.clock import VenueClock
from collectors.backfill import RepairWorker, Source
from collectors.budget import Budget
from collectors.leading import Leading
from collectors.listing import Listed
from collectors.rest import RestClient
from collectors.venues import VENUES
from orderflow.errors import ExchangeError, VenueRefusedError
from orderflow.instrument import Instrument, Market
from orderflow.trade import KlineClosed, RepairDone, RepairRequest, TradeBatch

MINUTE = 60_000
T0 = 1_700_000_000_000 // MINUTE * MINUTE
AGG = "/api/v3/aggTrades"


@pytest.fixture
async def client(rest: Any) -> AsyncIterator[RestClient]:
    """A client of the loopback venue that retries quickly."""
    async with httpx2.AsyncClient(timeout=2.0) as http:
        yield RestClient(rest.url, http, Budget(600_000), time.monotonic, (0.01, 0.01, 0.01))


@pytest.fixture
async def repair(bus: Any, trades: Any, client: RestClient) -> AsyncIterator[Callable[..., Any]]:
    """Ask for one repair of an instrument and wait for its answer."""
    worker = RepairWorker(bus, "collector-test", Leading())
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    clock = VenueClock()
    clock.observe(T0 + 3 * MINUTE + 30_000)

    async def ask(instrument: Instrument, **request: Any) -> RepairDone:
        market = VENUES[instrument.venue][instrument.market]
        listed = {instrument.symbol: Listed(instrument, 0)}
        worker.serve(Source(market, client, clock, listed))
        wanted = {"start_ms": T0 + 1_000, "end_ms": T0 + 2 * MINUTE, "reason": "ids missing"}
        message = RepairRequest(instrument.name, 9, **(wanted | request))
        done = len(trades.of(RepairDone))
        await bus.publish("repairs", [message])
        await trades.until(lambda: len(trades.of(RepairDone)) > done)
        answer: RepairDone = trades.of(RepairDone)[-1]
        return answer

    yield ask
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def aggregates(first: int, last: int) -> Callable[[dict[str, str]], Any]:
    """Ids first..last, one every 10 ms from T0, paged as Binance does."""

    def answer(query: dict[str, str]) -> Any:
        if "fromId" in query:
            keys = range(max(first, int(query["fromId"])), last + 1)
        else:
            start, end = int(query["startTime"]), int(query["endTime"])
            keys = [k for k in range(first, last + 1) if start <= T0 + 10 * k <= end]
        rows = [
            {"a": k, "p": "1.00", "q": "0.50", "f": k, "l": k, "T": T0 + 10 * k, "m": False}
            for k in list(keys)[: int(query["limit"])]
        ]
        return 200, {}, rows

    return answer


def candles(query: dict[str, str]) -> Any:
    start, end = int(query["startTime"]), int(query["endTime"])
    rows = [
        [t, "1", "1", "1", "1", "2", t + 59_999, "2", 4, "1", "1", "0"]
        for t in range(T0, T0 + 4 * MINUTE, MINUTE)
        if start <= t <= end
    ]
    return 200, {}, rows


async def test_a_hole_is_filled_page_by_page(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """Exactly the missing ids, in ascending order, then the closed minutes, then the answer."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    done = await repair(spot, first_key=101, last_key=2_600)
    assert done == RepairDone(spot.name, 9, complete=True)
    batches = trades.of(TradeBatch)
    assert [key for batch in batches for key in batch.key] == list(range(101, 2_601))
    assert {batch.source for batch in batches} == {"rest"}
    assert [q.get("fromId") for path, q in rest.asked if path == AGG] == ["101", "1101", "2101"]
    assert [kline.start_ms - T0 for kline in trades.of(KlineClosed)] == [0, MINUTE, 2 * MINUTE]
    assert isinstance(trades.events[-1], RepairDone)


async def test_small_holes_share_a_page(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """The page that filled one small hole is not asked for again by its neighbours; candles come
    by themselves, so that a lost frame costs a thousandth of a page and nothing more."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    for key in (300, 350, 700, 1_299, 1_300):
        done = await repair(
            spot, first_key=key, last_key=key, start_ms=T0 + 2_990, end_ms=T0 + 13_010
        )
        assert done.complete
    assert [key for batch in trades.of(TradeBatch) for key in batch.key] == [
        300, 350, 700, 1_299, 1_300,
    ]  # fmt: skip
    assert [q.get("fromId") for path, q in rest.asked] == ["300", "1300"]


async def test_an_outage_is_filled_up_to_its_end(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """The last id is not known: from the next id on until the time of the reconnect."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    done = await repair(spot, first_key=150, end_ms=T0 + 20_000)
    assert done.complete
    assert trades.of(TradeBatch)[-1].key[-1] == 2_000


async def test_a_time_range_is_filled(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """The begin of the first minute has no ids: it is found by time, then paged by id."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    done = await repair(spot, start_ms=T0, end_ms=T0 + 15_000)
    assert done.complete
    keys = [key for batch in trades.of(TradeBatch) for key in batch.key]
    assert keys == list(range(1, 1_501))


async def test_ids_the_venue_no_longer_has(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """USD-M keeps 48 hours: what is left is published, and asking again is said to be useless."""
    rest.routes = {AGG: aggregates(500, 9_000), "/api/v3/klines": candles}
    done = await repair(spot, first_key=400, last_key=600)
    assert done == RepairDone(spot.name, 9, complete=False, reason="out_of_reach")
    assert trades.of(TradeBatch)[0].key == list(range(500, 601))


async def test_a_hole_in_the_answer_is_not_called_complete(
    repair: Any, rest: Any, spot: Instrument
) -> None:
    """Ids that are missing in REST as well are said to be missing."""

    def answer(query: dict[str, str]) -> Any:
        status, headers, rows = aggregates(1, 9_000)(query)
        return status, headers, [row for row in rows if row["a"] != 120]

    rest.routes = {AGG: answer, "/api/v3/klines": candles}
    done = await repair(spot, first_key=101, last_key=140)
    assert done == RepairDone(spot.name, 9, complete=False, reason="ids_missing")


async def test_an_unreachable_venue_is_said(repair: Any, rest: Any, spot: Instrument) -> None:
    """Errors until the retries are used up: not complete, may be asked again."""
    rest.routes = {AGG: lambda _: (500, {}, {})}
    done = await repair(spot, first_key=1, last_key=2)
    assert done == RepairDone(spot.name, 9, complete=False, reason="unavailable")
    assert len(rest.asked) == 4


def fills(count: int, oldest_ms: int, *, spot: bool) -> dict[str, Any]:
    """The newest page of Bybit, newest first, one trade a second."""
    rows = []
    for number in range(count):
        name = str(2_290_000_000_000_000_000 + number) if spot else str(uuid.UUID(int=number))
        rows.append(
            {
                "execId": name,
                "symbol": "BTCUSDT",
                "price": "1.0",
                "size": "0.5",
                "side": "Buy",
                "time": str(oldest_ms + 1_000 * number),
                "isBlockTrade": number == 3,
                "seq": str(number),
            }
        )
    return {"retCode": 0, "result": {"category": "x", "list": rows[::-1]}}


def bybit_candles(_: dict[str, str]) -> Any:
    rows = [[str(T0), "1", "1", "1", "1", "2", "2"]]
    return 200, {}, {"retCode": 0, "result": {"list": rows, "category": "x", "symbol": "BTCUSDT"}}


@pytest.mark.parametrize(("oldest_ms", "complete"), [(T0, True), (T0 + 2_000, False)])
async def test_the_newest_page_reaches_back_or_not(
    repair: Any, rest: Any, trades: Any, make_instrument: Any, oldest_ms: int, complete: bool
) -> None:
    """Linear: complete when the page's oldest trade is not newer than the hole's begin."""
    linear = make_instrument("bybit", Market.PERP, "0.1", "0.1")
    rest.json("/v5/market/recent-trade", fills(1_000, oldest_ms, spot=False))
    rest.routes["/v5/market/kline"] = bybit_candles
    done = await repair(linear, end_ms=T0 + 50_000)
    assert (done.complete, done.reason) == (complete, "" if complete else "out_of_reach")
    (batch,) = trades.of(TradeBatch)
    assert batch.event_ms == sorted(batch.event_ms)
    assert batch.rejected == [(3, "block_trade")]
    assert batch.event_ms[0] >= T0 + 1_000
    assert batch.event_ms[-1] <= T0 + 50_000
    assert trades.of(KlineClosed)[0].volume_lots == 20


@pytest.mark.parametrize(("first", "complete"), [(5, True), (0, True), (-1, False)])
async def test_sixty_trades_of_bybit_spot(
    repair: Any, rest: Any, trades: Any, make_instrument: Any, first: int, complete: bool
) -> None:
    """Spot ids tell whether the sixty newest trades hold the whole hole."""
    base = 2_290_000_000_000_000_000
    bybit = make_instrument("bybit", Market.SPOT, "0.1", "0.1")
    rest.json("/v5/market/recent-trade", fills(60, T0, spot=True))
    rest.routes["/v5/market/kline"] = bybit_candles
    done = await repair(bybit, first_key=base + first, last_key=base + 10)
    assert done.complete is complete
    (batch,) = trades.of(TradeBatch)
    wanted = [base + n for n in range(max(0, first), 11) if n != 3]
    assert batch.key == wanted


async def test_bans_are_obeyed(client: RestClient, rest: Any) -> None:
    """429 with Retry-After: nothing is asked of that address until it is over."""
    market = VENUES["binance"][Market.SPOT]
    asked_at: list[float] = []

    def answer(_: dict[str, str]) -> Any:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            return 429, {"Retry-After": "1"}, {}
        return 200, {}, {"serverTime": T0}

    rest.routes["/api/v3/time"] = answer
    assert await client.ask(market.time_call(), market.parse_time) == T0
    assert asked_at[1] - asked_at[0] >= 0.99


async def test_a_refusal_inside_a_good_answer_is_obeyed(client: RestClient, rest: Any) -> None:
    """Bybit says no with HTTP 200 and a code; a code that is no limit is not asked again."""
    market = VENUES["bybit"][Market.SPOT]
    rest.json("/v5/market/time", {"retCode": 10001, "retMsg": "no", "result": {}})
    with pytest.raises(VenueRefusedError):
        await client.ask(market.time_call(), market.parse_time)
    assert len(rest.asked) == 1


async def test_identical_questions_are_asked_once(client: RestClient, rest: Any) -> None:
    """Two askers of the same question share one request."""
    market = VENUES["binance"][Market.SPOT]
    rest.json("/api/v3/time", {"serverTime": T0})
    call = market.time_call()
    answers = await asyncio.gather(*(client.ask(call, market.parse_time) for _ in range(5)))
    assert (answers, len(rest.asked)) == ([T0] * 5, 1)


async def test_answers_of_another_shape_are_an_error(client: RestClient, rest: Any) -> None:
    """A proxy's page instead of JSON is an exchange error after the retries, never a crash."""
    market = VENUES["binance"][Market.SPOT]
    rest.json("/api/v3/time", b"<html>")
    with pytest.raises(ExchangeError):
        await client.ask(market.time_call(), market.parse_time)


async def test_only_a_candle_is_missed(
    repair: Any, rest: Any, trades: Any, spot: Instrument
) -> None:
    """A minute whose candle never came costs one light question: its trades are all there."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    done = await repair(spot, start_ms=T0, end_ms=T0 + MINUTE - 1, reason="candle missing")
    assert done.complete
    assert {path for path, _ in rest.asked} == {"/api/v3/klines"}
    assert trades.of(KlineClosed)


async def test_no_id_is_fetched_twice(
    client: RestClient, rest: Any, bus: Any, trades: Any, spot: Instrument
) -> None:
    """A hole that is asked for again while it is being filled goes on where that stands: once its
    end is known, and once more after it has shrunk."""
    rest.routes = {AGG: aggregates(1, 9_000), "/api/v3/klines": candles}
    worker = RepairWorker(bus, "collector-test", Leading())
    clock = VenueClock()
    clock.observe(T0 + 3 * MINUTE)
    source = Source(VENUES["binance"][Market.SPOT], client, clock, {"BTCUSDT": Listed(spot, 0)})
    worker.serve(source)
    span = {"start_ms": T0, "end_ms": T0 + 50_000, "reason": "outage"}
    worker._accept(RepairRequest(spot.name, 1, first_key=101, last_key=None, **span))
    await trades.until(lambda: bool(trades.of(TradeBatch)))
    worker._accept(RepairRequest(spot.name, 2, first_key=101, last_key=4_900, **span))
    worker._accept(RepairRequest(spot.name, 3, first_key=1_101, last_key=4_900, **span))
    await trades.until(lambda: len(trades.of(RepairDone)) == 2)
    assert [(d.repair_id, d.complete) for d in trades.of(RepairDone)] == [(1, True), (3, True)]
    assert [key for batch in trades.of(TradeBatch) for key in batch.key] == list(range(101, 5_001))
    asked = [q["fromId"] for path, q in rest.asked if path == AGG]
    assert asked == [str(key) for key in range(101, 5_000, 1_000)]
