"""Listening: the streams of `subscriptions/listen`, at a third of what the SDK's own cost.

The SDK validates and dumps each notice anew for each stream, and hands it over twice on its way. A
notice is the same for all streams but for the number of their request, so here it is dumped once,
and it is given to the stream's writer at once where that waits. Streams that carry no HTTP (stdio)
are served by the SDK.
"""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import Any

import anyio
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ListenHandler,
    ServerEvent,
    SubscriptionBus,
)
from mcp.shared.subscriptions import event_matches, event_to_notification
from mcp.types import (
    INTERNAL_ERROR,
    JSONRPCNotification,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)

METHOD = "subscriptions/listen"
MOST_STREAMS = 1_024
PLACE = "the number of the request"
GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)


class Listening(ListenHandler):
    """Serves one stream a call; `close` ends them all with their final result."""

    def __init__(self, bus: SubscriptionBus) -> None:
        super().__init__(bus, max_subscriptions=MOST_STREAMS)
        self._open: set[Stream] = set()

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then tell until the client leaves or `close`."""
        sink = getattr(ctx.session._request_outbound, "sink", None)
        if sink is None or ctx.request_id is None:
            return await super().__call__(ctx, params)
        if len(self._open) >= self._max_subscriptions:
            raise MCPError(INTERNAL_ERROR, "Subscription limit reached")
        honored = _honored(params.notifications)
        stream = Stream(sink, honored, ctx.request_id)
        self._open.add(stream)
        unsubscribe = self._bus.subscribe(stream.tell)
        meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        told = SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
        try:
            await ctx.session.send_notification(
                SubscriptionsAcknowledgedNotification(params=told), ctx.request_id
            )
            await stream.run()
        finally:
            unsubscribe()
            self._open.discard(stream)
        return SubscriptionsListenResult(_meta=meta)

    def close(self) -> None:
        """End every stream, after what it still has to tell."""
        super().close()
        for stream in self._open:
            stream.close()


class Stream:
    """One client that listens. What it has not taken yet is kept once per event, never twice."""

    def __init__(self, sink: Any, honored: SubscriptionFilter, number: str | int) -> None:
        self.sink = sink
        self.honored = honored
        self.uris = frozenset(honored.resource_subscriptions or ())
        self.number = json.dumps(number).encode()
        self.pending: dict[ServerEvent, None] = {}
        self.wake = asyncio.Event()
        self.ready = self.over = False

    def tell(self, event: ServerEvent) -> None:
        """Give the event to the writer, or keep it until that has time."""
        if not event_matches(self.honored, self.uris, event):
            return
        if self.ready and not self.pending:
            try:
                self.sink.send_nowait(frame(event, self.number))
            except anyio.WouldBlock:
                pass
            except GONE:
                return
            else:
                return
        self.pending[event] = None
        self.wake.set()

    async def run(self) -> None:
        """Until `close`; what came before the acknowledgement was sent is told first."""
        self.ready = True
        while True:
            while self.pending:
                event = next(iter(self.pending))
                del self.pending[event]
                try:
                    await self.sink.send(frame(event, self.number))
                except GONE:
                    return
            if self.over:
                return
            await self.wake.wait()
            self.wake.clear()

    def close(self) -> None:
        """No more after what is pending."""
        self.over = True
        self.wake.set()


def frame(event: ServerEvent, number: bytes) -> bytes:
    """An event as the SDK writes it to a stream, for the request of this number (as JSON)."""
    before, after = _template(event)
    return before + number + after


@lru_cache(maxsize=1_024)
def _template(event: ServerEvent) -> tuple[bytes, bytes]:
    told = event_to_notification(event, {SUBSCRIPTION_ID_META_KEY: PLACE})
    data = told.model_dump(by_alias=True, mode="json", exclude_none=True)
    whole = JSONRPCNotification(jsonrpc="2.0", method=data["method"], params=data["params"])
    body = whole.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = f"event: message\r\ndata: {json.dumps(body, separators=(',', ':'))}\r\n\r\n"
    mark = f"{json.dumps(SUBSCRIPTION_ID_META_KEY)}:"
    before, after = text.encode().split((mark + json.dumps(PLACE)).encode(), 1)
    return before + mark.encode(), after


def _honored(asked: SubscriptionFilter) -> SubscriptionFilter:
    """What was asked for, without what is false or empty."""
    return SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=list(asked.resource_subscriptions or ()) or None,
    )
