"""Streams of update notices: the SDK's own frames, coalesced where a client is slow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest
from mcp.server._streamable_http_modern import _sse_event
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.subscriptions import event_to_notification
from mcp.types import JSONRPCNotification, SubscriptionFilter

from mcp_server.listening import Stream, frame

A, B = ResourceUpdated('wadm://a/\u00e9"{}'), ResourceUpdated("wadm://b")
EVENTS = [A, B, ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("number", [7, "listen-1", "the number of the request", '"}\r\n'])
def test_frames_are_the_sdks(event: ServerEvent, number: str | int) -> None:
    """Byte for byte what the SDK would have written, whatever the number of the request."""
    meta = {"io.modelcontextprotocol/subscriptionId": number}
    data = event_to_notification(event, meta).model_dump(
        by_alias=True, mode="json", exclude_none=True
    )
    whole = JSONRPCNotification(jsonrpc="2.0", method=data["method"], params=data["params"])
    assert frame(event, json.dumps(number).encode()) == _sse_event(whole)


async def test_a_slow_client_is_told_once() -> None:
    """While nothing is taken, each event is kept once; afterwards all of them come, and nothing
    that was not asked for; `close` ends the stream after them."""
    send, receive = anyio.create_memory_object_stream[bytes](0)
    asked = SubscriptionFilter(resource_subscriptions=[A.uri, B.uri])
    stream = Stream(send, asked, 1)
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(0)
    for _ in range(1_000):
        stream.tell(A)
        stream.tell(B)
        stream.tell(ToolsListChanged())
        stream.tell(ResourceUpdated("wadm://c"))
    assert list(stream.pending) == [A, B]
    stream.close()
    taken: list[Any] = []
    async with asyncio.timeout(60):
        taken = [await receive.receive(), await receive.receive()]
        await running
    assert taken == [frame(A, b"1"), frame(B, b"1")]
    send.close()
    receive.close()


async def test_a_waiting_writer_gets_it_at_once() -> None:
    """No task is woken in between; a writer that has gone is no error."""
    send, receive = anyio.create_memory_object_stream[bytes](0)
    stream = Stream(send, SubscriptionFilter(resource_subscriptions=[A.uri]), "x")
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(receive.receive())
    async with asyncio.timeout(60):
        while not send.statistics().tasks_waiting_receive:  # noqa: ASYNC110 (no event tells it)
            await asyncio.sleep(0)
    stream.tell(A)
    assert not stream.pending
    async with asyncio.timeout(60):
        assert await waiting == frame(A, b'"x"')
    receive.close()
    stream.tell(A)
    assert not stream.pending
    stream.close()
    await running
    send.close()
