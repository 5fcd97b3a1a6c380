"""One error shape for every transport."""

from __future__ import annotations

import secrets

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope, Send

from orderflow.errors import RequestError, StoreError
from orderflow.reports import ErrorReport

log = structlog.get_logger()

CODES = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "DATA_NOT_FOUND", 413: "INVALID_PARAMETER"}

POLICY_VIOLATION = 1008
"""Of a WebSocket that is closed because it is not allowed."""


def problem(status: int, code: str, message: str, retry_after_s: int | None = None) -> JSONResponse:
    """The documented error body."""
    body = ErrorReport(
        error=code.lower(),
        message=message,
        code=code,
        retry_after=retry_after_s,
        request_id=secrets.token_hex(8),
    )
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JSONResponse(body.model_dump(exclude_none=True), status, headers)


async def refuse_handshake(answer: Response, scope: Scope, send: Send) -> None:
    """Answer a WebSocket handshake with an HTTP problem, where the server can."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": answer.status_code,
            "headers": answer.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})


async def on_request_error(request: Request, error: Exception) -> JSONResponse:
    """The caller's fault."""
    assert isinstance(error, RequestError)  # noqa: S101 (registered for this type)
    return problem(error.status, error.code, str(error), error.retry_after_s)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    code = CODES.get(error.status_code, "INVALID_PARAMETER")
    text = {
        404: "no such path; see /openapi.json",
        405: "only GET is allowed here",
    }.get(error.status_code, "the request can't be served")
    return problem(error.status_code, code, text)


async def on_store_error(request: Request, error: Exception) -> JSONResponse:
    """History is away; what is live still answers."""
    return problem(503, "NOT_READY", "history can't be read right now", 5)


async def on_any_error(request: Request, error: Exception) -> JSONResponse:
    """Our fault: logged with its trace, told without."""
    log.error("server.error", path=request.url.path, exc_info=error)
    return problem(500, "INTERNAL_ERROR", "internal error; it was logged under this id")


HANDLERS = {
    RequestError: on_request_error,
    HTTPException: on_http_error,
    StoreError: on_store_error,
    Exception: on_any_error,
}
