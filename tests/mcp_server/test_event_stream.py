"""/stream over real sockets: what is told, when, and to whom."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from stream_support import MINUTE_MS, Market, Message, Served, served
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from backbone.keys.book import KeyBook, Terms
from mcp_server.streaming.hub import LINGER_S, Listener
from mcp_server.streaming.journal import Reader
from orderflow.answers import iso
from orderflow.timeframe import floor_ms
from processor.coverage import CLOSE_AFTER_WATERMARK_MS

pytestmark = pytest.mark.timeout(600)
A = "binance:perp:AAAUSDT"
SOCKET_CUTS = 60
MOST_ROUNDS = 2_000
BARS = "symbols=AAAUSDT&channels=bars&heartbeat_s=60"


async def take(messages: AsyncIterator[Message], kind: str) -> Message:
    """The next message of a kind."""
    async with asyncio.timeout(120):
        while True:
            message = await anext(messages)
            if message["type"] == kind:
                return message


def moving() -> Market:
    market = Market()
    market.pass_ms(1_000)
    for name in market.names:
        market.trade(name, 5)
    return market


async def test_snapshot_then_changes() -> None:
    """A reader gets the state, then the open bar as it grows, then the bar when it is final."""
    async with served(moving()) as house, house.events(BARS) as messages:
        first = await take(messages, "snapshot")
        assert first["topic"] == "bars/AAAUSDT/aggregated/perp/1m"
        assert [item["data"]["total_trades"] for item in first["items"]] == [5]
        house.market.pass_ms(1_000)
        house.market.trade(A, 3)
        grown = await take(messages, "upsert")
        assert grown["data"]["total_trades"] == 8
        assert grown["data"]["final"] is False
        assert grown["key"] == first["items"][0]["key"]
        house.market.pass_ms(MINUTE_MS)
        house.market.pass_ms(20 * MINUTE_MS)
        final = await take(messages, "final")
        assert final["key"] == grown["key"]
        assert final["data"]["total_trades"] == 8
        assert final["data"]["content_hash"] == grown["data"]["content_hash"]


async def test_thousand_cuts_over_sockets() -> None:
    """Connections that are cut wherever they are, over and over: no key of the stream misses its
    newest state, nothing is told twice, nothing is reset."""
    async with served(moving()) as house:
        seen: dict[str, int] = {}
        told: set[tuple[str, str]] = set()
        cursor: str | None = None
        for cut in range(SOCKET_CUTS):
            query = "symbols=AAAUSDT,BBBUSDT&channels=bars&heartbeat_s=60"
            async with house.events(query, cursor) as messages:
                house.market.pass_ms(2_500)
                for name in house.market.names:
                    house.market.trade(name, 1 + cut % 3)
                for _ in range(2 if cursor is None else 1 + cut % 2):
                    message = await anext(messages)
                    cursor = message.get("cursor", cursor)
                    assert message["type"] not in ("reset",)
                    if message["type"] in ("upsert", "final", "revision"):
                        assert (message["key"], message["cursor"]) not in told
                        told.add((message["key"], message["cursor"]))
                        trades = message["data"]["total_trades"]
                        assert trades >= seen.get(message["key"], 0)
                        seen[message["key"]] = trades
                    elif message["type"] == "snapshot":
                        assert cut == 0
                        seen |= {i["key"]: i["data"]["total_trades"] for i in message["items"]}
        everything = sum(house.market.keys.values())
        async with house.events("symbols=AAAUSDT,BBBUSDT&channels=bars", cursor) as messages:
            async with asyncio.timeout(120):
                while sum(seen.values()) < everything:
                    message = await anext(messages)
                    assert message["type"] != "snapshot"
                    if "key" in message:
                        seen[message["key"]] = message["data"]["total_trades"]
        assert sum(seen.values()) == everything


async def test_resume_by_parameter_and_by_header() -> None:
    """A cursor goes on wherever it is given; the header, which a browser renews, counts more."""
    async with served(moving()) as house:
        async with house.events(BARS) as messages:
            first = (await take(messages, "snapshot"))["cursor"]
            house.market.pass_ms(500)
            house.market.trade(A)
            second = (await take(messages, "upsert"))["cursor"]
        async with house.events(f"{BARS}&cursor={first}") as messages:
            assert (await anext(messages))["cursor"] == second
        async with house.events(f"{BARS}&cursor={first}", second) as messages:
            house.market.pass_ms(500)
            house.market.trade(A)
            assert (await anext(messages))["data"]["total_trades"] == 7
        answer = await house.client.get(f"{house.url}/stream?{BARS}&cursor=elsewhere")
        assert answer.status_code == 400
        assert "leave it out" in answer.json()["message"]


async def test_restarted_server() -> None:
    """A place in an earlier life is answered with `reset`, its reason and the state."""
    async with served(moving()) as house, house.events(BARS) as messages:
        cursor = (await take(messages, "snapshot"))["cursor"]
    async with served(moving()) as house, house.events(BARS, cursor) as messages:
        first = await anext(messages)
        assert (first["type"], first["reason"]) == ("reset", "new_epoch")
        assert (await anext(messages))["type"] == "snapshot"


async def test_same_updates_other_server() -> None:
    """A second server over the same updates goes on without a reset: a minute that closed in
    between is told, one that was told is not."""
    market = moving()
    async with served(market) as house, house.events(BARS) as messages:
        await take(messages, "snapshot")
        market.pass_ms(MINUTE_MS + CLOSE_AFTER_WATERMARK_MS)
        market.pass_ms(20 * MINUTE_MS)
        told = await take(messages, "final")
        market.pass_ms(MINUTE_MS)
        market.trade(A)
        newest = f"/{iso(floor_ms(market.now, MINUTE_MS))}"
        while not (message := await take(messages, "upsert"))["key"].endswith(newest):
            pass
        market.trade(A)
        cursor = (await take(messages, "upsert"))["cursor"]
    market.pass_ms(20 * MINUTE_MS)
    async with served(market) as house, house.events(BARS, cursor) as messages:
        keys = []
        newest = f"/{iso(floor_ms(market.now, MINUTE_MS))}"
        while not (keys and keys[-1][1].endswith(newest)):
            message = await anext(messages)
            assert message["type"] not in ("reset", "snapshot")
            keys.append((message["type"], message["key"]))
        assert ("final", told["key"]) not in keys
        assert len(set(keys)) == len(keys)
        assert len(keys) >= 20


async def test_status_and_heartbeat() -> None:
    """What the streams are like is told when it changes; silence is filled with heartbeats that
    carry the newest place."""
    async with (
        served(moving()) as house,
        house.events("symbols=AAAUSDT&channels=status&heartbeat_s=1") as messages,
    ):
        state = (await take(messages, "snapshot"))["items"][0]["data"]
        assert state["streams"][0]["stale"] is False
        beat = await take(messages, "heartbeat")
        assert beat["ready"] is True
        assert beat["worst_lag_ms"] == 0
        house.market.now += 60_000
        changed = await take(messages, "status")
        assert changed["data"]["streams"][0]["stale"] is True


async def test_rolling_answers_are_those_of_rest() -> None:
    """Profile and flow are told with their quality, as REST gives them."""
    async with served(moving()) as house:
        query = "symbols=AAAUSDT&channels=volume_profile,order_flow&timeframe=5m&period=1m"
        async with house.events(query) as messages:
            await take(messages, "snapshot")
            house.market.pass_ms(70_000)
            house.market.trade(A, 9)
            told = {}
            while len(told) < 2:
                message = await take(messages, "upsert")
                told[message["key"].partition("/")[0]] = message["data"]
        short = {"detail": "summary"}
        for path, name in (("volume_profile", "timeframe"), ("order_flow", "period")):
            params = short | {name: "5m" if name == "timeframe" else "1m"}
            answer = await house.client.get(f"{house.url}/{path}/AAAUSDT", params=params)
            assert answer.json()["quality"].keys() == told[path]["quality"].keys()
            assert (
                answer.json()["total_volume" if path == "volume_profile" else "delta"]
                == (told[path]["total_volume" if path == "volume_profile" else "delta"])
            )


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 422, "symbols must name"),
        ("symbols=NOPE", 404, "nearest"),
        ("symbols=AAAUSDT&channels=trades", 400, "channels must be"),
        ("symbols=AAAUSDT&timeframe=7m", 422, "allowed"),
        ("symbols=AAAUSDT&heartbeat_s=0", 422, "heartbeat_s"),
        ("symbols=AAAUSDT&detail=full", 422, "summary, rows"),
        ("symbols=AAAUSDT&limit=3", 400, "unknown parameter"),
        ("symbols=AAAUSDT&api_key=x", 400, "never read"),
        ("symbols=" + ",".join(["AAAUSDT"] * 51), 422, "1 to 50"),
    ],
)
async def test_refused(query: str, status: int, said: str) -> None:
    """What can't be streamed is answered like any other question, over both transports."""
    async with served(moving()) as house:
        answer = await house.client.get(f"{house.url}/stream?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert said in answer.json()["message"]
        with pytest.raises(InvalidStatus) as refused:
            await connect(house, query)
        assert refused.value.response.status_code == status
        assert refused.value.response.body is not None
        assert said in json.loads(refused.value.response.body)["message"]
        posted = await house.client.post(f"{house.url}/stream?{query}", content=b"")
        assert posted.status_code in (400, 405)


async def connect(house: Served, query: str, **more: Any) -> ClientConnection:
    return await ws_connect(f"ws://127.0.0.1:{house.port}/stream?{query}", **more)


async def test_websocket_says_the_same() -> None:
    """A WebSocket carries the JSON of the events, byte for byte, and takes the same cursors."""
    async with served(moving()) as house:
        async with house.events(BARS) as messages, await connect(house, BARS) as socket:
            assert json.loads(await socket.recv()) == await take(messages, "snapshot")
            for _ in range(3):
                house.market.pass_ms(500)
                house.market.trade(A)
                told = json.loads(await socket.recv())
                assert told == await take(messages, "upsert")
            cursor = told["cursor"]
        house.market.pass_ms(500)
        house.market.trade(A)
        async with await connect(house, f"{BARS}&cursor={cursor}") as socket:
            await socket.send("nothing we listen to")
            assert json.loads(await socket.recv())["data"]["total_trades"] == 9


async def test_pages_of_other_origins() -> None:
    """A page of somebody else opens no WebSocket; ours do, under every name of ours."""
    async with served(moving(), public_hosts="wadm.example") as house:
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(house, BARS, origin=origin)
            assert refused.value.response.status_code == 403
        for origin in (f"http://127.0.0.1:{house.port}", "https://wadm.example"):
            async with await connect(house, BARS, origin=origin) as socket:
                assert json.loads(await socket.recv())["type"] == "snapshot"


async def keyed(house: Served, **terms: Any) -> str:
    text, _ = await KeyBook(house.app.state.store, "test").create("t", 4, Terms(**terms))
    await house.app.state.access.ring.refresh()
    return text.text


async def test_keys() -> None:
    """A stream needs a key like every answer; symbols of its scope only; so many streams, over both
    transports together; and it ends with the key."""
    async with served(moving(), streams_per_key=2, keys="required") as house:
        assert (await house.client.get(f"{house.url}/stream?{BARS}")).status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            await connect(house, BARS)
        assert refused.value.response.status_code == 401
        key = await keyed(house, per_minute=1_000, symbols=("AAAUSDT",))
        headers = {"X-API-Key": key}
        foreign = BARS.replace("AAA", "BBB")
        answer = await house.client.get(f"{house.url}/stream?{foreign}", headers=headers)
        assert answer.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            await connect(house, foreign, additional_headers=headers)
        assert refused.value.response.status_code == 403
        counts = house.app.state.access.streams.open
        await house.until(lambda: not counts)
        async with (
            house.events(BARS, **headers) as messages,
            await connect(house, BARS, additional_headers=headers) as socket,
        ):
            await take(messages, "snapshot")
            await socket.recv()
            answer = await house.client.get(f"{house.url}/stream?{BARS}", headers=headers)
            assert answer.status_code == 429
            with pytest.raises(InvalidStatus) as refused:
                await connect(house, BARS, additional_headers=headers)
            assert refused.value.response.status_code == 429
            book = KeyBook(house.app.state.store, "test")
            await book.revoke(key.split("_")[1])
            await house.app.state.access.ring.refresh()
            house.market.pass_ms(500)
            house.market.trade(A)
            async with asyncio.timeout(120):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
                assert [message async for message in messages] == []
        await house.until(lambda: not counts)


async def test_a_reader_that_stops_reading() -> None:
    """It holds back nobody and costs no more than what is on its way; what waits for it is the
    newest state of each key, without what was in between."""
    async with served(moving()) as house:
        house.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=4_096)
        query = "symbols=AAAUSDT,BBBUSDT&channels=bars,volume_profile&detail=rows&timeframe=5m"
        writer.write(f"GET /stream?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await house.until(lambda: len(house.hub.listeners) == 1)
        (stuck,) = house.hub.listeners
        async with house.events(query) as messages:
            await take(messages, "snapshot")
            rounds = 0
            while rounds < MOST_ROUNDS and not is_stuck(house, stuck):
                rounds += 1
                house.market.pass_ms(100)
                for name in house.market.names:
                    house.market.trade(name, 60)
                await house.hub.step()
                await take(messages, "upsert")
            assert is_stuck(house, stuck), "the sockets took everything"
            seq = stuck.seq
            for _ in range(50):
                house.market.pass_ms(100)
                house.market.trade(A)
                await house.hub.step()
                await take(messages, "upsert")
            assert stuck.seq == seq
            kept = sum(len(log) for log in house.hub.journal.logs.values())
            assert kept <= 2 * 8
        behind = house.hub.journal.seq - seq
        assert len(house.hub.journal.next(Copy(stuck))) < behind
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await house.until(lambda: not house.hub.listeners)
        del reader


class Copy(Reader):
    """The same place, read by nobody else."""

    def __init__(self, other: Reader) -> None:
        super().__init__(other.topics)
        self.seq = other.seq


def is_stuck(house: Served, listener: Listener) -> bool:
    """More than two rounds wait for it."""
    return house.hub.journal.seq - listener.seq > 12


async def test_nobody_reads() -> None:
    """Readers that left leave nothing behind but topics that end after a while."""
    async with served(moving()) as house:
        for _ in range(20):
            async with house.events(BARS) as messages:
                await take(messages, "snapshot")
        await house.until(lambda: not house.hub.listeners)
        assert len(house.hub.topics) == 1
        (topic,) = house.hub.topics.values()
        assert not topic.listeners
        topic.left_s -= LINGER_S + 1
        await house.until(lambda: not house.hub.topics)
        assert not house.hub.journal.logs


async def test_end_of_the_server() -> None:
    """Open streams do not hold up its end; readers see a whole answer and a good-bye."""
    async with served(moving()) as house, house.events(BARS) as messages:
        socket = await connect(house, BARS)
        await take(messages, "snapshot")
        await socket.recv()
        house.hub.close()
        async with asyncio.timeout(120):
            assert [message async for message in messages] == []
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
