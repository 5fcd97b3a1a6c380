"""What an MCP server needs to be an endpoint: sessions, allowed names, whose session it is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from mcp.server import MCPServer
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.authentication import AuthCredentials
from starlette.types import Receive, Scope, Send

from backbone.settings import Settings
from mcp_server.access.gate import BODY_BYTES
from mcp_server.late import KEY_ID, Hosted
from mcp_server.subscriptions import Subscriptions


def hosted(
    mcp: MCPServer, subscriptions: Subscriptions, settings: Settings, direct: Collection[str] = ()
) -> Hosted:
    """The server as an endpoint; its session manager and notifier live while `running` does.

    `direct`: tools that never report progress.
    """
    security = _security(settings)
    mcp.streamable_http_app(transport_security=security, max_request_body_size=BODY_BYTES)
    manager = mcp.session_manager
    at_once = StreamableHTTPSessionManager(
        app=mcp._lowlevel_server,
        json_response=True,
        security_settings=security,
        max_request_body_size=BODY_BYTES,
    )
    plain = Endpoint(manager, at_once, frozenset(name.encode() for name in direct))

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if (key_id := scope.get(KEY_ID)) is not None:
            # The SDK binds a session to this kind of user: another key's session is not found.
            user = AuthenticatedUser(AccessToken(token="", client_id=key_id, scopes=[]))
            scope = {**scope, "user": user, "auth": AuthCredentials([])}
        await plain(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with manager.run(), at_once.run(), subscriptions.running():
            yield

    def close_streams() -> None:
        subscriptions.closing = True
        entry = mcp._lowlevel_server.get_request_handler("subscriptions/listen")
        if entry is not None:
            entry.handler.close()  # type: ignore[attr-defined]

    return Hosted(mcp, endpoint, subscriptions, running, close_streams)


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
