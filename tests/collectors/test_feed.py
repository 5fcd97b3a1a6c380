"""Feeds against a real loopback server, with both WebSocket libraries: one fault suite."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from backbone.clock import VenueClock
from collectors.buffer import Buffer
from collectors.feed import Feed
from collectors.pacing import ConnectLimiter
from collectors.session import Link, Timers
from collectors.sockets import library
from collectors.venues import VENUES
from orderflow.instrument import Instrument, Market
from orderflow.trade import Connected, Disconnect, TradeBatch, Watermark

NOW = 1_700_000_000_000
FAST = Timers(
    first_data_s=0.3,
    stale_after_s=0.2,
    tick_s=0.02,
    pong_s=0.3,
    silent_s=30.0,
    ack_s=0.2,
    request_gap_s=0.0,
    pause_s=0.05,
    overlap_s=0.1,
    successor_s=1.0,
    first_delay_s=0.01,
    longest_delay_s=0.05,
)


@pytest.fixture(params=["websockets", "picows"])
def name_of_library(request: pytest.FixtureRequest) -> str:
    """Every test here runs with both libraries."""
    return str(request.param)


@pytest.fixture
async def start(bus: Any, sockets: Any, name_of_library: str) -> AsyncIterator[Callable[..., Feed]]:
    """Start a feed; it is stopped at the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def begin(instruments: list[Instrument], timers: Timers = FAST, capacity: int = 1_000) -> Feed:
        market = VENUES[instruments[0].venue][instruments[0].market]
        url = sockets.url + market.socket_path(instruments)
        clock = VenueClock()
        link = Link(market, url, library(name_of_library), timers, time.monotonic, clock)
        feed = Feed(
            link,
            "feed",
            instruments,
            {},
            lambda name: Buffer(bus, name, capacity, time.monotonic),
            ConnectLimiter(burst=1_000, per_window=1_000),
            lambda: 0.5,
        )
        tasks.append(asyncio.create_task(feed.run()))
        return feed

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def aggregate(key: int, event_ms: int = NOW) -> str:
    data = {"e": "aggTrade", "E": event_ms, "s": "BTCUSDT", "a": key, "p": "42000.01"}
    data |= {"q": "0.001", "f": key, "l": key, "T": event_ms, "m": True}
    return json.dumps({"stream": "btcusdt@aggTrade", "data": data})


def sends(*frames: str, then: Callable[[Any], Awaitable[None]] | None = None) -> Any:
    """A script: send frames, then do something else or stay."""

    async def script(connection: Any) -> None:
        for frame in frames:
            await connection.send(frame)
        if then is None:
            await connection.wait_closed()
        else:
            await then(connection)

    return script


async def hang_up(connection: Any) -> None:
    await connection.close()


def keys(trades: Any) -> list[int]:
    return [key for batch in trades.of(TradeBatch) for key in batch.key]


async def test_events_come_in_order(start: Any, sockets: Any, trades: Any, spot: Any) -> None:
    """Connected with the first event's time, then the trades, then a watermark that moves on."""
    sockets.scripts = [sends(aggregate(1), aggregate(2, NOW + 5))]
    feed = start([spot])
    await trades.until(lambda: len(trades.of(Watermark)) > 3)
    assert sockets.paths == ["/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m"]
    first = trades.events[0]
    assert isinstance(first, Connected)
    assert first.instruments == ["binance:spot:BTCUSDT"]
    assert NOW <= first.event_ms <= NOW + 5
    assert keys(trades) == [1, 2]
    marks = [mark.event_ms for mark in trades.of(Watermark)]
    assert marks == sorted(marks)
    assert NOW + 5 <= marks[0] < NOW + 5_000
    status = feed.status()
    assert (status.state, status.connects, status.frames, status.trades) == ("live", 1, 2, 2)


async def test_a_cut_connection_is_replaced(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """The claim ends at the last time seen, and begins again with the next connection."""
    sockets.scripts = [sends(aggregate(1), then=hang_up), sends(aggregate(2, NOW + 900))]
    start([spot])
    await trades.until(lambda: keys(trades) == [1, 2])
    kinds = [type(e).__name__ for e in trades.events if not isinstance(e, Watermark)]
    assert kinds == ["Connected", "TradeBatch", "Disconnect", "Connected", "TradeBatch"]
    (gone,) = trades.of(Disconnect)
    one, two = trades.of(Connected)
    assert (gone.event_ms, gone.connection) == (NOW, one.connection)
    assert (two.event_ms, two.connection != one.connection) == (NOW + 900, True)


async def test_a_venue_that_answers_again_ends_the_pause(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """A pause after a long absence may be long: a REST answer ends it, but not again and again."""
    sockets.scripts = [sends(aggregate(1), then=hang_up), sends(aggregate(2))]
    feed = start([spot], replace(FAST, first_delay_s=9_000.0, longest_delay_s=9_000.0))
    await trades.until(lambda: bool(trades.of(Disconnect)) and feed.status().state == "waiting")
    await asyncio.sleep(0)
    feed.hurry()
    await trades.until(lambda: keys(trades) == [1, 2])
    feed._hurried.clear()
    feed.hurry()
    assert not feed._hurried.is_set()


async def test_a_silent_connection_is_replaced_without_a_claim(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """Accepted but without a first event in time: no claim is ever made for it."""
    sockets.scripts = [sends(), sends(aggregate(7))]
    feed = start([spot])
    await trades.until(lambda: keys(trades) == [7])
    assert len(trades.of(Connected)) == 1
    assert trades.of(Disconnect) == []
    assert feed.status().error == "no_first_data"


async def test_a_half_open_connection_is_noticed(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """No frame and no pong: the connection is given up, and the watermark stopped before that."""

    async def freeze(connection: Any) -> None:
        connection.transport.pause_reading()
        await asyncio.wait_for(asyncio.shield(frozen), 5)

    frozen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sockets.scripts = [sends(aggregate(1), then=freeze), sends(aggregate(2))]
    feed = start([spot])
    await trades.until(lambda: keys(trades) == [1, 2])
    assert feed.status().error == "no_pong"
    first = trades.of(Connected)[0].connection
    marks = [m.event_ms for m in trades.of(Watermark) if m.connection == first]
    assert max(marks) < NOW + 500
    frozen.set_result(None)


async def test_a_quiet_market_keeps_its_claim(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """Pongs prove that nothing was sent: the watermark goes on long after the last trade."""
    sockets.scripts = [sends(aggregate(1))]
    feed = start([spot])
    await trades.until(lambda: any(m.event_ms > NOW + 800 for m in trades.of(Watermark)))
    assert (feed.status().connects, trades.of(Disconnect)) == (1, [])


async def test_a_stream_that_stops_is_replaced(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """Pings are answered but no event comes for far longer than usual: try another connection."""
    timers = Timers(**{**_fields(FAST), "silent_s": 0.5})
    sockets.scripts = [sends(aggregate(1)), sends(aggregate(2))]
    feed = start([spot], timers)
    await trades.until(lambda: keys(trades)[:2] == [1, 2])
    assert feed.status().error == "silent"


def _fields(timers: Timers) -> dict[str, float]:
    return {name: getattr(timers, name) for name in Timers.__slots__}  # type: ignore[attr-defined]


async def test_garbage_costs_nothing_but_itself(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """Frames that can't be read are counted; the connection and its neighbours stay."""

    async def more(connection: Any) -> None:
        await connection.send(b"\xff\x00binary")
        await connection.send(aggregate(2))
        await connection.wait_closed()

    sockets.scripts = [sends(aggregate(1), "{not json", "[]", then=more)]
    feed = start([spot])
    await trades.until(lambda: keys(trades) == [1, 2])
    assert (feed.status().malformed, feed.status().connects) == (3, 1)


async def test_an_announced_shutdown_loses_nothing(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """The successor delivers before the old connection is closed: no time without a claim."""
    shutdown = json.dumps({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": NOW}})
    sockets.scripts = [sends(aggregate(1), shutdown), sends(aggregate(1), aggregate(2))]
    feed = start([spot])
    await trades.until(lambda: bool(trades.of(Disconnect)))
    one, two = trades.of(Connected)
    (gone,) = trades.of(Disconnect)
    assert gone.connection == one.connection != two.connection
    assert trades.events.index(two) < trades.events.index(gone)
    assert (gone.reason, feed.status().connects) == ("rolled_over", 2)


async def test_a_connection_is_replaced_before_its_time_is_up(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """Planned roll-over: the same overlap, without an announcement."""
    timers = Timers(**{**_fields(FAST), "lifetime_s": 0.2, "lifetime_spread_s": 0.0})
    sockets.scripts = [sends(aggregate(1))]
    start([spot], timers)
    await trades.until(lambda: len(trades.of(Disconnect)) >= 2)
    claims = 0
    for event in trades.events:
        claims += isinstance(event, Connected)
        claims -= isinstance(event, Disconnect)
        assert claims >= 1 or event is trades.events[0]


async def test_a_failed_successor_leaves_the_old_connection_alone(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """When nothing replaces it, a connection that still delivers is kept."""
    shutdown = json.dumps({"e": "serverShutdown", "E": NOW})

    async def go_on(connection: Any) -> None:
        await trades.until(lambda: len(sockets.paths) > 1 and sockets.closed > 0)
        await connection.send(aggregate(2))
        await connection.wait_closed()

    sockets.scripts = [sends(aggregate(1), shutdown, then=go_on), sends()]
    start([spot])
    await trades.until(lambda: keys(trades) == [1, 2])
    assert trades.of(Disconnect) == []


async def test_refused_connects_are_retried(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """A server that closes at once is tried again, with a pause, until it delivers."""
    sockets.scripts = [hang_up, hang_up, hang_up, sends(aggregate(1))]
    feed = start([spot])
    await trades.until(lambda: keys(trades) == [1])
    assert feed.status().connects == 4


def bybit(make_instrument: Any, *symbols: str) -> list[Instrument]:
    return [make_instrument("bybit", Market.PERP, "0.1", "0.001", name) for name in symbols]


def publication(symbol: str, number: int) -> str:
    row = {"T": NOW, "s": symbol, "S": "Buy", "v": "0.001", "p": "1.0"}
    row |= {"i": f"00000000-0000-0000-0000-{number:012x}"}
    return json.dumps({"topic": f"publicTrade.{symbol}", "ts": NOW, "data": [row]})


async def test_subscriptions_are_acknowledged(
    start: Any, sockets: Any, trades: Any, make_instrument: Any
) -> None:
    """Bybit: the claim starts only behind the acknowledgement."""
    asked: list[Any] = []

    async def script(connection: Any) -> None:
        message = json.loads(await connection.recv())
        asked.append(message["args"])
        await connection.send(publication("AUSDT", 1))
        answer = {"success": True, "ret_msg": "", "op": "subscribe", "req_id": message["req_id"]}
        await connection.send(json.dumps(answer))
        await connection.send(publication("AUSDT", 2))
        await connection.wait_closed()

    sockets.scripts = [script]
    start(bybit(make_instrument, "AUSDT", "BUSDT"))
    await trades.until(lambda: bool(trades.of(Connected)) and keys(trades) == [1, 2])
    assert asked == [["publicTrade.AUSDT", "publicTrade.BUSDT", "kline.1.AUSDT", "kline.1.BUSDT"]]
    assert trades.of(Connected)[0].instruments == ["bybit:perp:AUSDT", "bybit:perp:BUSDT"]


async def test_a_poisoned_batch_is_asked_topic_by_topic(
    start: Any, sockets: Any, trades: Any, make_instrument: Any
) -> None:
    """One refused topic refuses its batch: the others are subscribed, it is not claimed.

    "Already subscribed" is a success; an answer that never comes is a failure.
    """

    async def script(connection: Any) -> None:
        while True:
            message = json.loads(await connection.recv())
            answer = {"success": True, "ret_msg": "", "req_id": message["req_id"]}
            answer["op"] = "subscribe"
            topics = message["args"]
            if len(topics) > 1:
                answer |= {"success": False, "ret_msg": "error:handler not found"}
            elif topics == ["publicTrade.AUSDT"]:
                text = "error:already subscribed,topic:publicTrade.AUSDT"
                answer |= {"success": False, "ret_msg": text}
            elif topics == ["kline.1.BUSDT"]:
                continue
            elif topics == ["publicTrade.CUSDT"]:
                answer |= {"success": False, "ret_msg": "error:symbol invalid"}
            await connection.send(json.dumps(answer))
            if topics == ["kline.1.CUSDT"]:
                await connection.send(publication("AUSDT", 1))

    sockets.scripts = [script]
    timers = Timers(**{**_fields(FAST), "first_data_s": 3.0})
    start(bybit(make_instrument, "AUSDT", "BUSDT", "CUSDT"), timers)
    await trades.until(lambda: bool(trades.of(Connected)))
    assert trades.of(Connected)[0].instruments == ["bybit:perp:AUSDT"]


async def test_unreadable_trades_interrupt_the_claim(
    start: Any, sockets: Any, trades: Any, make_instrument: Any
) -> None:
    """Without ids a damaged trade frame is a hole of unknown size: it is said at once."""

    async def script(connection: Any) -> None:
        message = json.loads(await connection.recv())
        answer = {"success": True, "op": "subscribe", "req_id": message["req_id"]}
        await connection.send(json.dumps(answer))
        await connection.send(publication("AUSDT", 1))
        await trades.until(lambda: bool(trades.of(Connected)))
        await connection.send('{"topic":"publicTrade.AUSDT","ts":1,"data":[{}]}')
        await connection.wait_closed()

    sockets.scripts = [script]
    start(bybit(make_instrument, "AUSDT"))
    await trades.until(lambda: len(trades.of(Connected)) == 2)
    (gone,) = trades.of(Disconnect)
    assert (gone.reason, gone.instruments) == ("malformed_frame", ["bybit:perp:AUSDT"])


async def test_a_slow_bus_holds_the_reader_and_then_marks_what_it_dropped(
    start: Any, sockets: Any, trades: Any, bus: Any, spot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full buffer, no room in time: trades are dropped, counted, and their hole is marked."""
    gate = asyncio.Event()
    publish = bus.publish

    async def slow(topic: str, messages: Any) -> None:
        await gate.wait()
        await publish(topic, messages)

    monkeypatch.setattr(bus, "publish", slow)

    async def flood(connection: Any) -> None:
        for key in range(1, 401):
            await connection.send(aggregate(key, NOW + key))
            if key % 20 == 0:
                await asyncio.sleep(0.01)
        await trades.until(lambda: feed.status().dropped > 0)
        gate.set()
        await trades.until(lambda: bool(trades.of(Disconnect)))
        for key in range(401, 451):
            await connection.send(aggregate(key, NOW + key))
            await asyncio.sleep(0.001)
        await connection.wait_closed()

    sockets.scripts = [flood]
    feed = start([spot], FAST, 100)
    await trades.until(lambda: 450 in keys(trades))
    seen, dropped = keys(trades), feed.status().dropped
    assert dropped > 0
    assert len(seen) + dropped == 450
    assert seen == sorted(set(seen))
    marked = [e for e in trades.events if isinstance(e, Disconnect)]
    assert {e.reason for e in marked} == {"buffer_overflow"}
    again = trades.of(Connected)[1]
    missing = sorted(set(range(1, 451)) - set(seen))
    assert marked[0].event_ms == NOW + missing[0] - 1
    assert again.event_ms >= NOW + missing[-1]


async def test_connected_twice_without_data(start: Any, sockets: Any, spot: Any) -> None:
    """Acknowledged and silent, again and again: the route is suspect, until data comes."""
    sockets.scripts = [sends(), sends(), sends(), sends(aggregate(1))]
    feed = start([spot])
    async with asyncio.timeout(10):
        while feed.status().state != "route_suspect":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while feed.status().state != "live":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert feed.status().causes["no_first_data"] >= 2
    assert feed.delivered() == {spot.name}
    assert feed.newest == {spot.name: 1}
