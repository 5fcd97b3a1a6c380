"""Gate: the one ASGI middleware that asks for the key and spends its budget, for REST and MCP.

It wraps `send` only to add headers, so streams pass untouched. On /mcp a refusal is a JSON-RPC
error with the id of the request it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.clock import wall_ms
from backbone.keys.key import ApiKey
from backbone.keys.text import parse_key
from mcp_server.access.access import Access
from mcp_server.access.budget import Spent
from mcp_server.access.caller import CALLER
from mcp_server.access.oauth import ScopeError
from mcp_server.access.streams import is_stream
from mcp_server.late import KEY_ID
from mcp_server.problems import problem, refuse_handshake
from orderflow.errors import (
    ForbiddenError,
    InvalidParameterError,
    RateLimitError,
    RequestError,
    UnauthorizedError,
)

OPEN = frozenset({"", ".well-known", "livez", "readyz", "health", "openapi.json", "assets"})
"""First parts of paths that need no key: they show nothing of the market or the service."""
AUTHORIZE = "_authorize"
"""nginx asks here whether a key is good before it answers from its cache."""
IN_QUERY = frozenset({"api_key", "apikey", "key", "access_token", "token", "x-api-key"})
BODY_BYTES = 65_536
BODY_S = 2.0
JSONRPC_REFUSED = -32_001


class Gate:
    """Outermost but for the header strip."""

    def __init__(self, app: ASGIApp, access: Access, base_path: str) -> None:
        self.app = app
        self.access = access
        self.base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or refuse with the documented error."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = self._name(scope["path"])
        spent: Spent | None = None
        try:
            _no_key_in_query(scope)
            if name == AUTHORIZE:
                await self._authorize(scope, receive, send)
                return
            if name in OPEN or not self.access.ring.required:
                await self.app(scope, receive, send)
                return
            key = await self._key(scope, name)
            spent = await self._spend(key)
            if streaming := is_stream(scope, name):
                self.access.streams.hold(key.id)
        except RequestError as error:
            if name == AUTHORIZE:
                # nginx understands 401 alone; it then asks for the real answer.
                error = UnauthorizedError(str(error))
            await self._refuse(name, error, scope, receive, send)
            return
        try:
            await self._pass(key, spent, scope, receive, send)
        finally:
            if streaming:
                self.access.streams.release(key.id)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As a GET that stays open; a refusal answers the handshake."""
        name = self._name(scope["path"])
        try:
            _no_key_in_query(scope)
            if not self.access.ring.required:
                await self.app(scope, receive, send)
                return
            key = await self._key(scope, name)
            await self._spend(key)
            self.access.streams.hold(key.id)
        except RequestError as error:
            answer = problem(error.status, error.code, str(error), error.retry_after_s)
            await refuse_handshake(answer, scope, send)
            return
        token = CALLER.set(lambda: self._current(key.id))
        try:
            await self.app({**scope, KEY_ID: key.id}, receive, send)
        finally:
            CALLER.reset(token)
            self.access.streams.release(key.id)

    def _name(self, path: str) -> str:
        return path.removeprefix(self.base_path).lstrip("/").partition("/")[0]

    async def _key(self, scope: Scope, name: str) -> ApiKey:
        client = scope.get("client")
        address = client[0] if client else "unknown"
        text = _key_text(scope)
        if self.access.oauth is not None and name == "mcp" and _is_token(text, scope):
            return await self.access.oauth.caller(text or "", address)
        key = await self.access.verifier.verify(text, address)
        if not key.allows_endpoint(name):
            raise ForbiddenError("this key is not for this endpoint")
        return key

    async def _spend(self, key: ApiKey) -> Spent:
        spent = await self.access.budget.spend(key.id, key.per_minute)
        if not spent.fits:
            self.access.usage.refused[key.id] += 1
            raise _OverBudgetError(spent)
        self.access.usage.requests[key.id] += 1
        return spent

    async def _authorize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """204 for a good key; one with scopes is never served from a common cache."""
        headers = {"Cache-Control": "no-store"}
        if self.access.ring.required:
            client = scope.get("client")
            key = await self.access.verifier.verify(
                _key_text(scope), client[0] if client else "unknown"
            )
            headers["X-WADM-Private"] = "1" if key.scoped else ""
            left = await self.access.budget.left(key.id, key.per_minute)
            headers |= {name.decode(): value.decode() for name, value in left.headers()}
        await Response(status_code=204, headers=headers)(scope, receive, send)

    async def _pass(
        self, key: ApiKey, spent: Spent, scope: Scope, receive: Receive, send: Send
    ) -> None:
        streams = over = False

        async def limited(message: Message) -> None:
            nonlocal streams, over
            if message["type"] == "http.response.start":
                streams = _is_stream(message)
                message = {**message, "headers": [*message["headers"], *spent.headers()]}
            elif over:
                return
            elif streams and self._current(key.id) is None:
                # A stream is older than the end of its key: it ends here, nothing more is told.
                over, message = True, {"type": "http.response.body", "body": b""}
            await send(message)

        token = CALLER.set(lambda: self._current(key.id))
        changed = {**scope, KEY_ID: key.id}
        try:
            await self.app(changed, receive, limited)
        finally:
            CALLER.reset(token)

    def _current(self, key_id: str) -> ApiKey | None:
        key = self.access.ring.keys.get(key_id)
        if key is None and self.access.oauth is not None:
            key = self.access.oauth.known(key_id)
        return key if key is not None and key.active(wall_ms()) else None

    async def _refuse(
        self, name: str, error: RequestError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer = problem(error.status, error.code, str(error), error.retry_after_s)
        if name == "mcp":
            told = msgspec.json.decode(bytes(answer.body))
            failure = {"code": JSONRPC_REFUSED, "message": str(error), "data": told}
            number = await _request_id(receive)
            body = {"jsonrpc": "2.0", "id": number, "error": failure}
            answer = JSONResponse(body, error.status, _carried(answer))
        if isinstance(error, _OverBudgetError):
            fields = [f for f in error.spent.headers() if f[0] != b"retry-after"]
            answer.raw_headers.extend(fields)
        if isinstance(error, UnauthorizedError | ScopeError):
            answer.headers["WWW-Authenticate"] = self._challenge(name, error, scope)
        await answer(scope, receive, send)

    def _challenge(self, name: str, error: RequestError, scope: Scope) -> str:
        """Where tokens come from, when this server takes any here."""
        if self.access.oauth is None or name != "mcp":
            return "Bearer"
        if isinstance(error, ScopeError):
            return self.access.oauth.challenge("insufficient_scope")
        sent = _key_text(scope) is not None
        return self.access.oauth.challenge("invalid_token" if sent else None)


class _OverBudgetError(RateLimitError):
    """The budget of a good key is used up."""

    def __init__(self, spent: Spent) -> None:
        message = f"over {spent.most} requests a minute; ask again in {spent.reset_s} s"
        super().__init__(message, retry_after_s=spent.reset_s)
        self.spent = spent


def _is_stream(start: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start["headers"]
    )


def _carried(answer: Response) -> dict[str, str]:
    waits = answer.headers.get("retry-after")
    return {} if waits is None else {"Retry-After": waits}


def _no_key_in_query(scope: Scope) -> None:
    """A URL is kept in logs and histories all along its way."""
    if any(name in IN_QUERY for name in _query_names(scope["query_string"])):
        raise InvalidParameterError(
            "a key in the URL is never read: revoke it and send a new one in X-API-Key"
        )


def _query_names(query: bytes) -> set[str]:
    """Names of parameters in small letters; what is encoded goes the long way."""
    if b"%" in query or b"+" in query:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        return {name.lower() for name, _ in pairs}
    return {part.partition("=")[0] for part in query.decode("latin-1").lower().split("&")}


def _key_text(scope: Scope) -> str | None:
    """The one key of the request; two are none."""
    found: list[str] = []
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.append(value.decode("latin-1"))
        elif name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            found.append(rest.strip() if kind.lower() == "bearer" else "")
    return found[0] if len(set(found)) == 1 else None


def _is_token(text: str | None, scope: Scope) -> bool:
    """A bearer credential that has not the form of our keys."""
    given = any(name == b"x-api-key" for name, _ in scope["headers"])
    return bool(text) and not given and parse_key(text or "") is None


async def _request_id(receive: Receive) -> str | int | None:
    """The id in the body, when it is one small JSON-RPC request that comes in time."""
    body = b""
    with contextlib.suppress(TimeoutError, msgspec.DecodeError):
        async with asyncio.timeout(BODY_S):
            more = True
            while more and len(body) <= BODY_BYTES:
                message = await receive()
                body += message.get("body", b"")
                more = bool(message.get("more_body"))
        told = msgspec.json.decode(body[: BODY_BYTES + 1])
        number = told.get("id") if isinstance(told, dict) else None
        if isinstance(number, str | int) and not isinstance(number, bool):
            return number
    return None
