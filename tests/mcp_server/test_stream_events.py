"""/stream, channel `events`: what the rules saw, as it is written; and what the stream counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest
from stream_support import MINUTE_MS, START_MS, Market, Message, Served, served
from websockets.asyncio.client import connect

from backbone.clock import wall_ms
from backbone.measures import MESSAGE_KINDS, MESSAGES, OPENED, READERS, RESET_REASONS, RESETS
from mcp_server.streaming.messages import KINDS, REASONS
from orderflow.event import Change, Event, Source, event_id, page_minute, with_outcome, withdrawn
from processor.chronicle import Due
from processor.eventmaker import DueEvents
from processor.records import chronicle_records

pytestmark = pytest.mark.timeout(600)
A = "binance:perp:AAAUSDT"
EVENTS = "symbols=AAAUSDT&channels=events&heartbeat_s=60"


def seen(number: int) -> Event:
    """One sweep, at a minute of its own."""
    end = START_MS - (60 - number) * MINUTE_MS
    start = end - MINUTE_MS
    rule = "sweep/1"
    return Event(
        id=event_id(A, "sweep", "buy", "1m", (start, end), rule),
        kind="sweep",
        rule=rule,
        instrument=A,
        timeframe="1m",
        start_ms=start,
        end_ms=end,
        since_ms=start,
        side="buy",
        price=Decimal(100),
        close=Decimal(101),
        state="verified",
        evidence={"levels": 3},
        sources=[Source("1m", start, 0, "0" * 64)],
        changes=[Change(wall_ms() - 1_000, "stands", complete=True)],
    )


class Pages:
    """Writes events as the processor does."""

    def __init__(self, house: Served) -> None:
        self.house = house
        self.revision = 0

    async def write(self, event: Event) -> None:
        self.revision += 1
        page = DueEvents(A, page_minute(event), [event], self.revision)
        await self.house.app.state.store.put(chronicle_records(Due([page], []), wall_ms()))


async def take(messages: AsyncIterator[Message], kind: str) -> Message:
    async with asyncio.timeout(120):
        while True:
            message = await anext(messages)
            if message["type"] == kind:
                return message


async def test_events_as_they_are_written() -> None:
    """What is known comes at first, then each event that is written, its outcome and its
    withdrawal; a connection that was cut hears of what it missed, once."""
    async with served(Market()) as house:
        house.market.trade(A)
        pages = Pages(house)
        await pages.write(seen(1))
        async with house.events(EVENTS) as messages:
            first = await take(messages, "snapshot")
            assert [item["data"]["id"] for item in first["items"]] == [seen(1).id]
            assert first["topic"] == "events/AAAUSDT/aggregated/perp"
            event = seen(2)
            await pages.write(event)
            told = await take(messages, "upsert")
            assert told["key"] == f"{first['topic']}/{event.id}"
            answer = await house.client.get(f"{house.url}/events?symbol=AAAUSDT&limit=1")
            assert told["data"] == answer.json()["events"][0]
            event = with_outcome(event, 5, Decimal(102), wall_ms() - 1)
            await pages.write(event)
            learnt = await take(messages, "upsert")
            assert learnt["key"] == told["key"]
            assert learnt["data"]["outcomes"][0]["close"] == 102
        event = withdrawn(event, wall_ms() - 1, None)
        await pages.write(event)
        await pages.write(seen(3))
        async with house.events(EVENTS, learnt["cursor"]) as messages:
            missed = [await anext(messages), await anext(messages)]
            found = {(m["type"], m["data"]["id"], m["data"]["status"]) for m in missed}
            assert found == {
                ("revision", event.id, "withdrawn"),
                ("upsert", seen(3).id, "stands"),
            }
            last = missed[-1]["cursor"]
        await pages.write(seen(4))
        async with house.events(EVENTS, last) as messages:
            assert (await anext(messages))["data"]["id"] == seen(4).id


async def test_events_at_another_server() -> None:
    """Events have no place among the updates: another server of the same updates begins anew."""
    market = Market()
    market.trade(A)
    async with served(market) as house:
        await Pages(house).write(seen(1))
        async with house.events(EVENTS) as messages:
            cursor = (await take(messages, "snapshot"))["cursor"]
    async with served(market) as house, house.events(EVENTS, cursor) as messages:
        first = await anext(messages)
        assert (first["type"], first["reason"]) == ("reset", "restarted")
        assert (await anext(messages))["items"] == []


def figures(house: Served, name: str) -> dict[tuple[str, ...], float]:
    """Of one metric, by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in house.hub.meter.families()
        if family.name == name
        for sample in family.samples
    }


async def test_what_the_stream_counts() -> None:
    """Readers by transport, streams opened, messages by kind and resets by reason."""
    assert frozenset(KINDS) == MESSAGE_KINDS
    assert frozenset(REASONS) == RESET_REASONS
    async with served(Market()) as house:
        house.market.trade(A)
        lost = "ffffffff.1.ffffffff.1"
        async with house.events(EVENTS, lost) as messages:
            await take(messages, "snapshot")
            url = house.url.replace("http", "ws")
            async with connect(f"{url}/stream?{EVENTS}", proxy=None) as socket:
                assert msgspec.json.decode(await socket.recv())["type"] == "snapshot"
                assert figures(house, READERS) == {("sse",): 1, ("websocket",): 1}
            await house.until(lambda: figures(house, READERS) == {("sse",): 1, ("websocket",): 0})
        assert figures(house, OPENED) == {("sse",): 1, ("websocket",): 1}
        assert figures(house, RESETS) == {("new_epoch",): 1}
        assert figures(house, MESSAGES) == {("reset",): 1, ("snapshot",): 2}
