"""Update notifications in both protocol eras, for the resources somebody listens to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from mcp_server.access.tool_scope import FORBIDDEN
from mcp_server.listening import METHOD, Listening
from orderflow.errors import ForbiddenError

STEP_S = 1.0
RETRY_S = 2
MOST_URIS = 200
"""A stream or session listens to at most so many resources."""
LONGEST_URI = 200
Stamp = Callable[[str], int | None]
"""Of a resource: a number that grows when it changes; None when nothing of ours has that name."""


class Subscriptions:
    """Who listens to what, and the task that tells them, at most once a second each."""

    def __init__(self, stamp: Stamp, permit: Callable[[str], None]) -> None:
        self.stamp = stamp
        self.permit = permit
        self.bus = InMemorySubscriptionBus()
        self.modern: Counter[str] = Counter()
        self.sessions: dict[str, dict[int, Any]] = {}
        self.said: dict[str, int] = {}
        self.closing = False

    def attach(self, mcp: MCPServer) -> None:
        """Serve both eras' requests."""
        low = mcp._lowlevel_server
        low.add_request_handler(METHOD, SubscriptionsListenRequestParams, Listening(self.bus))
        low.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        low.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )

    async def watch(self, ctx: Any, call_next: Callable[[Any], Any]) -> Any:
        """Middleware: counts the resources of a listen stream while it is open."""
        if ctx.method != METHOD:
            return await call_next(ctx)
        if self.closing:
            # Its stream was ended a moment ago; another one would only hold up the end.
            told = {"code": "NOT_READY", "retry_after": RETRY_S}
            raise MCPError(INTERNAL_ERROR, "the server is stopping; try again", told)
        uris = _asked_uris(ctx.params)
        self._check(uris)
        self.modern.update(uris)
        try:
            return await call_next(ctx)
        finally:
            self.modern.subtract(uris)
            self.modern += Counter()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell listeners for as long as the host lives."""
        telling = asyncio.create_task(self.run(), name="mcp-updates")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def run(self) -> None:
        """Tell listeners, until cancelled."""
        while True:
            await asyncio.sleep(STEP_S)
            await self.tell()

    async def tell(self) -> None:
        """One round: every wanted resource that changed since it was last said."""
        wanted = set(self.modern) | set(self.sessions)
        self.said = {uri: stamp for uri, stamp in self.said.items() if uri in wanted}
        for uri in wanted:
            stamp = self.stamp(uri)
            if stamp is None or self.said.get(uri) == stamp:
                continue
            first = uri not in self.said
            self.said[uri] = stamp
            if first:
                continue
            if self.modern[uri]:
                await self.bus.publish(ResourceUpdated(uri=uri))
            for key, session in list(self.sessions.get(uri, {}).items()):
                try:
                    async with asyncio.timeout(STEP_S):
                        await session.send_resource_updated(uri)
                except Exception:  # noqa: BLE001 (a session that is gone must not stop the others)
                    self._forget(uri, key)

    def _forget(self, uri: str, key: int) -> None:
        held = self.sessions.get(uri, {})
        held.pop(key, None)
        if not held:
            self.sessions.pop(uri, None)

    def _check(self, uris: list[str]) -> None:
        """Few, short, and for this key."""
        if len(uris) > MOST_URIS or any(len(uri) > LONGEST_URI for uri in uris):
            raise MCPError(
                INVALID_PARAMS,
                f"listen to at most {MOST_URIS} resources of at most {LONGEST_URI} characters",
            )
        try:
            for uri in uris:
                self.permit(uri)
        except ForbiddenError as error:
            raise MCPError(FORBIDDEN, f"{error.code}: {error}") from error

    async def _subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        self._check([params.uri])
        connection = ctx.session._connection
        key = id(connection)
        if sum(key in held for held in self.sessions.values()) >= MOST_URIS:
            raise MCPError(INVALID_PARAMS, f"a session listens to at most {MOST_URIS} resources")
        self.sessions.setdefault(params.uri, {})[key] = ctx.session
        with contextlib.suppress(AttributeError):
            connection.exit_stack.callback(self._forget, params.uri, key)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._forget(params.uri, id(ctx.session._connection))
        return EmptyResult()


def _asked_uris(params: Any) -> list[str]:
    """URIs of a listen request, however it is shaped; the SDK validates the rest."""
    asked = params if isinstance(params, dict) else {}
    wanted = asked.get("notifications")
    uris = wanted.get("resourceSubscriptions") if isinstance(wanted, dict) else None
    return [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
