"""What a part without answers of its own serves: whether it lives, is ready, and its numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Metrics = Callable[[], tuple[bytes, str]]
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
JSON = "application/json"


class QuietServer(uvicorn.Server):
    """uvicorn without signal handlers: they belong to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the signals alone."""
        yield


def health_server(
    host: str, port: int, report: Callable[[], dict[str, Any]], metrics: Metrics
) -> QuietServer:
    """`report` gives the body of /health; its `ready` decides the status code."""

    def answer(status: int, body: Any) -> Response:
        return Response(msgspec.json.encode(body), status, HEADERS, JSON)

    async def health(request: Request) -> Response:
        found = report()
        return answer(200 if found["ready"] else 503, found)

    async def readyz(request: Request) -> Response:
        ready = report()["ready"]
        return answer(200 if ready else 503, {"status": "ready" if ready else "starting"})

    async def livez(request: Request) -> Response:
        return answer(200, {"status": "ok"})

    async def page(request: Request) -> Response:
        body, kind = metrics()
        return Response(body, 200, HEADERS, kind)

    routes = {"/health": health, "/readyz": readyz, "/livez": livez, "/metrics": page}
    app = Starlette(routes=[Route(path, handler) for path, handler in routes.items()])
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
    )
    return QuietServer(config)
