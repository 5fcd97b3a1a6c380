"""The ASGI application: REST and MCP on one port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.meter import Meter
from backbone.settings import Settings
from mcp_server.access.access import Access
from mcp_server.access.gate import BODY_BYTES, Gate
from mcp_server.dashboard import dashboard_routes
from mcp_server.http import Http, Metrics
from mcp_server.late import Hosted, LateMcp
from mcp_server.measuring import Measuring
from mcp_server.problems import HANDLERS, problem
from mcp_server.queries import Queries
from mcp_server.streaming.endpoint import StreamEndpoint
from mcp_server.streaming.hub import Hub
from mcp_server.tracing import Tracer, Tracing

DRAIN_S = 5
WS_MESSAGE_BYTES = 4_096
"""A reader of the stream has nothing to say."""


def build_app(
    queries: Queries, settings: Settings, metrics: Metrics, meter: Meter | None = None
) -> Starlette:
    """Routes of both transports over one set of queries; `meter` takes what they count."""
    counts = Meter() if meter is None else meter

    def make() -> Hosted:
        from mcp_server.counted_tools import CountedTools
        from mcp_server.hosting import hosted
        from mcp_server.known_answers import WAITING
        from mcp_server.server import build_mcp

        mcp, subscriptions = build_mcp(
            queries, aliases=settings.tool_aliases == "on", middleware=[CountedTools(counts).watch]
        )
        tools = {tool.name for tool in mcp._tool_manager.list_tools()} - WAITING
        return hosted(mcp, subscriptions, settings, tools)

    access = Access(queries.store, settings)
    base = settings.base_path.rstrip("/")
    hub = Hub(queries, meter=counts)
    stream = StreamEndpoint(hub, settings.public_hosts.split(","))
    routes = [
        *Http(queries, metrics).routes(base),
        *dashboard_routes(base),
        Route(f"{base}/stream", stream),
        WebSocketRoute(f"{base}/stream", stream),
    ]
    app = application(LateMcp(make), access, settings, routes, hub, counts)
    if settings.otel_endpoint:
        app.state.tracer = Tracer(settings.otel_endpoint)
        app.add_middleware(
            Tracing, tracer=app.state.tracer, base_path=settings.base_path.rstrip("/")
        )
    return app


def application(
    mcp: LateMcp,
    access: Access,
    settings: Settings,
    routes: Sequence[BaseRoute] = (),
    hub: Hub | None = None,
    meter: Meter | None = None,
) -> Starlette:
    """An MCP endpoint and routes behind our keys, budgets and name checks."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            if (tracer := getattr(app.state, "tracer", None)) is not None:
                await stack.enter_async_context(tracer.running())
            await stack.enter_async_context(access.running())
            await stack.enter_async_context(mcp.running())
            if hub is not None:
                await stack.enter_async_context(hub.running())
            yield

    base = settings.base_path.rstrip("/")
    described = [] if access.oauth is None else [access.oauth.route()]
    app = Starlette(
        routes=[*routes, *described, Route(f"{base}/mcp", mcp), Route(f"{base}/mcp/", mcp)],
        lifespan=lifespan,
        exception_handlers=dict(HANDLERS),
    )
    app.add_middleware(Whole)
    app.add_middleware(Gate, access=access, base_path=base)
    app.add_middleware(Guard)
    if meter is not None:
        app.add_middleware(Measuring, meter=meter, base_path=base)
    app.state.access = access
    app.state.mcp = mcp
    app.state.hub = hub
    return app


class Guard:
    """Strips header values (httptools keeps their spaces) and refuses encoded bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a cleaned request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = [(name, value.strip()) for name, value in scope["headers"]]
        names = {name for name, _ in headers}
        if b"content-encoding" in names:
            refused = problem(400, "INVALID_PARAMETER", "send the body without Content-Encoding")
            await refused(scope, receive, send)
            return
        await self.app({**scope, "headers": headers}, receive, send)


class Whole:
    """Hands a POST on when all of its body is there: a client that leaves in the middle gets no
    answer and is no error of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, at most a little more than may be sent, then pass on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        parts: list[Message] = []
        size, more = 0, True
        while more and size <= BODY_BYTES:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message)
            size += len(message.get("body", b""))
            more = bool(message.get("more_body"))
        parts.reverse()

        async def replayed() -> Message:
            return parts.pop() if parts else await receive()

        await self.app(scope, replayed, send)


class Server(uvicorn.Server):
    """uvicorn that ends open streams on exit: they would hold it up."""

    mcp: LateMcp | None = None
    hub: Hub | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Close the streams first."""
        self.close_streams()
        super().handle_exit(sig, frame)

    def close_streams(self) -> None:
        """End every open stream; MCP's listen streams with their final result."""
        if self.mcp is not None:
            self.mcp.close_streams()
        if self.hub is not None:
            self.hub.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals belong to the command that composes the services."""
        yield


def build_server(app: Starlette, settings: Settings) -> Server:
    """A server for the application; call `serve()` in a task and set `should_exit` to end it."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_S,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        ws="websockets-sansio",
        ws_max_size=WS_MESSAGE_BYTES,
        ws_max_queue=1,
        ws_per_message_deflate=False,
    )
    server = Server(config)
    server.mcp = app.state.mcp
    server.hub = app.state.hub
    return server
