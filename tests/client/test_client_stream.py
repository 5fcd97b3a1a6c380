"""The client's event stream: over cuts and restarts, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio

import pytest
from stream_support import Market, Served, served
from wadm_client import AsyncClient, Config
from wadm_client.errors import ApiError, BadAnswerError, TooLargeError
from wadm_client.patience import Patience
from wadm_client.streaming import Events, Message, stream

pytestmark = pytest.mark.timeout(600)
AT_ONCE = Patience(base_s=0.01, cap_s=0.1)
CUTS = 10


def moving() -> Market:
    market = Market()
    market.pass_ms(1_000)
    market.trade(market.names[0], 5)
    return market


def cut(house: Served) -> None:
    """Every connection ends in the middle."""
    for listener in list(house.hub.listeners):
        listener.gone = True
        listener.wake.set()


async def test_cuts() -> None:
    """A reader notices nothing of its connections: one snapshot, then each change once."""
    async with (
        served(moving()) as house,
        AsyncClient(Config(url=house.url), patience=AT_ONCE) as client,
    ):
        messages = stream(client, ["AAAUSDT"], channels="bars", heartbeat_s=60)
        async with asyncio.timeout(300):
            first = await anext(messages)
            assert first.type == "snapshot"
            for number in range(CUTS):
                house.market.pass_ms(500)
                house.market.trade(house.market.names[0])
                message = await anext(messages)
                assert (message.type, (message.data or {})["total_trades"]) == (
                    "upsert",
                    6 + number,
                )
                cut(house)
            await messages.aclose()  # type: ignore[attr-defined]


async def test_another_life() -> None:
    """A server that knows nothing of the place says so, and its state follows."""
    async with served(moving()) as house, AsyncClient(Config(url=house.url)) as client:
        messages = stream(client, ["AAAUSDT"], channels="bars")
        cursor = (await anext(messages)).cursor
        await messages.aclose()  # type: ignore[attr-defined]
    async with served(moving()) as house, AsyncClient(Config(url=house.url)) as client:
        messages = stream(client, ["AAAUSDT"], channels="bars", cursor=cursor)
        reset, snapshot = await anext(messages), await anext(messages)
        assert (reset.type, reset.reason) == ("reset", "new_epoch")
        assert snapshot.items[0].data["total_trades"] == 5
        await messages.aclose()  # type: ignore[attr-defined]


async def test_refused() -> None:
    """What can't be healed is raised with the server's words."""
    async with served(moving()) as house, AsyncClient(Config(url=house.url)) as client:
        with pytest.raises(ApiError, match="nearest"):
            await anext(stream(client, ["NOPE"]))


def test_chunks() -> None:
    """Messages are whole however they were cut up; nonsense and endless ones are errors."""
    body = b'id: a\nevent: upsert\ndata: {"type":"upsert","cursor":"a","key":"k","data":{}}\n\n'
    events = Events(1_000)
    found: list[Message] = []
    for at in range(len(body)):
        found += events.feed(body[at : at + 1])
    assert found == [Message("upsert", "a", "k", {})]
    assert events.feed(b"retry: 1000\n\n") == []
    with pytest.raises(BadAnswerError):
        events.feed(b"data: {nonsense\n\n")
    with pytest.raises(TooLargeError):
        events.feed(b"data: " + b"x" * 2_000)
