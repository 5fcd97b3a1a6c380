"""The ASGI application: REST and MCP on one port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.settings import Settings
from mcp_server.access.access import Access
from mcp_server.access.gate import BODY_BYTES, Gate
from mcp_server.http import Http, Metrics
from mcp_server.known_answers import WAITING
from mcp_server.problems import HANDLERS, problem
from mcp_server.queries import Queries
from mcp_server.server import build_mcp

DRAIN_S = 5


Running = Callable[[], AbstractAsyncContextManager[Any]]


def build_app(queries: Queries, settings: Settings, metrics: Metrics) -> Starlette:
    """Routes of both transports over one set of queries."""
    mcp, subscriptions = build_mcp(queries, aliases=settings.tool_aliases == "on")
    access = Access(queries.store, settings)
    routes = Http(queries, metrics).routes(settings.base_path.rstrip("/"))
    tools = {tool.name for tool in mcp._tool_manager.list_tools()} - WAITING
    app = host(mcp, subscriptions.running, access, settings, routes, direct=tools)
    app.state.subscriptions = subscriptions
    return app


def host(
    mcp: MCPServer,
    running: Running,
    access: Access,
    settings: Settings,
    routes: Sequence[Route] = (),
    direct: Collection[str] = (),
) -> Starlette:
    """An MCP server behind our keys, budgets and name checks; the session manager lives as long
    as the application. `direct`: tools that never report progress."""
    security = _security(settings)
    mcp.streamable_http_app(transport_security=security, max_request_body_size=BODY_BYTES)
    manager = mcp.session_manager

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with access.running(), manager.run(), at_once.run(), running():
            yield

    base = settings.base_path.rstrip("/")
    at_once = StreamableHTTPSessionManager(
        app=mcp._lowlevel_server,
        json_response=True,
        security_settings=security,
        max_request_body_size=BODY_BYTES,
    )
    endpoint = Endpoint(manager, at_once, frozenset(name.encode() for name in direct))
    described = [] if access.oauth is None else [access.oauth.route()]
    app = Starlette(
        routes=[
            *routes,
            *described,
            Route(f"{base}/mcp", endpoint),
            Route(f"{base}/mcp/", endpoint),
        ],
        lifespan=lifespan,
        exception_handlers=dict(HANDLERS),
    )
    app.add_middleware(Whole)
    app.add_middleware(Gate, access=access, base_path=base)
    app.add_middleware(Guard)
    app.state.access = access
    app.state.mcp = mcp
    return app


class Endpoint:
    """/mcp: the SDK's session manager, and a second one for modern calls that answer at once.

    Without the stream that progress would need, a call costs a third less. What may report
    progress, and everything of the earlier era, goes the usual way.
    """

    def __init__(
        self,
        usual: StreamableHTTPSessionManager,
        at_once: StreamableHTTPSessionManager,
        direct: frozenset[bytes],
    ) -> None:
        self.usual = usual
        self.at_once = at_once
        self.direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the headers, which the SDK compares with the body."""
        found = self.at_once if self._is_direct(scope) else self.usual
        await found.asgi_app(scope, receive, send)

    def _is_direct(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        version = headers.get(b"mcp-protocol-version", b"").decode("latin-1")
        modern = version != "" and version not in HANDSHAKE_PROTOCOL_VERSIONS
        called = headers.get(b"mcp-method") == b"tools/call"
        return modern and called and headers.get(b"mcp-name") in self.direct


def _security(settings: Settings) -> TransportSecuritySettings:
    """Answer only to our own names (DNS rebinding), bare and with a port."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    names += [name for name in settings.public_hosts.split(",") if name]
    hosts = [form for name in names for form in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


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
    """uvicorn that ends open listen streams on exit: they would hold it up."""

    mcp: MCPServer | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Close the streams first."""
        self.close_streams()
        super().handle_exit(sig, frame)

    def close_streams(self) -> None:
        """End every open listen stream with its final result."""
        if self.mcp is not None:
            entry = self.mcp._lowlevel_server.get_request_handler("subscriptions/listen")
            if entry is not None:
                entry.handler.close()  # type: ignore[attr-defined]

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
    )
    server = Server(config)
    server.mcp = app.state.mcp
    return server
