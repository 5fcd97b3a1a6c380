"""Feeds against a real loopback server, with both WebSocket libraries: claims and subscriptions."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from feed_support import FAST, NOW, aggregate, keys, sends
from feed_support import name_of_library as name_of_library
from feed_support import start as start

from orderflow.instrument import Instrument, Market
from orderflow.trade import Connected, Disconnect, Watermark


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
    chosen = replace(FAST, lifetime_s=0.2, lifetime_spread_s=0.0)
    sockets.scripts = [sends(aggregate(1))]
    start([spot], chosen)
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


def bybit(make_instrument: Any, *symbols: str) -> list[Instrument]:
    return [make_instrument("bybit", Market.PERP, "0.1", "0.001", name) for name in symbols]


def publication(symbol: str, number: int, event_ms: int = NOW) -> str:
    row = {"T": event_ms, "s": symbol, "S": "Buy", "v": "0.001", "p": "1.0"}
    row |= {"i": f"00000000-0000-0000-0000-{number:012x}"}
    return json.dumps({"topic": f"publicTrade.{symbol}", "ts": event_ms, "data": [row]})


async def test_subscriptions_are_acknowledged(
    start: Any, sockets: Any, trades: Any, make_instrument: Any
) -> None:
    """Bybit: the claim of a stream starts only behind the acknowledgement, with its own first trade
    or the first event that is later than any before."""
    asked: list[Any] = []

    async def script(connection: Any) -> None:
        message = json.loads(await connection.recv())
        asked.append(message["args"])
        await connection.send(publication("AUSDT", 1))
        answer = {"success": True, "ret_msg": "", "op": "subscribe", "req_id": message["req_id"]}
        await connection.send(json.dumps(answer))
        await connection.send(publication("AUSDT", 2))
        await claimed.wait()
        await connection.send(publication("AUSDT", 3, NOW + 1))
        await connection.wait_closed()

    claimed = asyncio.Event()
    sockets.scripts = [script]
    start(bybit(make_instrument, "AUSDT", "BUSDT"))
    await trades.until(lambda: bool(trades.of(Connected)))
    claimed.set()
    await trades.until(lambda: len(trades.of(Connected)) == 2 and keys(trades) == [1, 2, 3])
    assert asked == [["publicTrade.AUSDT", "kline.1.AUSDT", "publicTrade.BUSDT", "kline.1.BUSDT"]]
    first, second = trades.of(Connected)
    assert (first.instruments, first.event_ms) == (["bybit:perp:AUSDT"], NOW)
    assert (second.instruments, second.event_ms) == (["bybit:perp:BUSDT"], NOW + 1)


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
    chosen = replace(FAST, first_data_s=3.0)
    start(bybit(make_instrument, "AUSDT", "BUSDT", "CUSDT"), chosen)
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
