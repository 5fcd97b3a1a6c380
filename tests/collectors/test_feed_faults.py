"""Feeds and what goes wrong on a connection: each fault has an end, and a mark where it must."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from feed_support import FAST, NOW, aggregate, hang_up, keys, sends
from feed_support import name_of_library as name_of_library
from feed_support import start as start

from orderflow.trade import Connected, Disconnect, Watermark


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
    chosen = replace(FAST, silent_s=0.5)
    sockets.scripts = [sends(aggregate(1)), sends(aggregate(2))]
    feed = start([spot], chosen)
    await trades.until(lambda: keys(trades)[:2] == [1, 2])
    assert feed.status().error == "silent"


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


async def test_refused_connects_are_retried(
    start: Any, sockets: Any, trades: Any, spot: Any
) -> None:
    """A server that closes at once is tried again, with a pause, until it delivers."""
    sockets.scripts = [hang_up, hang_up, hang_up, sends(aggregate(1))]
    feed = start([spot])
    await trades.until(lambda: keys(trades) == [1])
    assert feed.status().connects == 4


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
