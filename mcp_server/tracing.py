"""Tracing: a span per request over OpenTelemetry, for those who installed the extra `otel`.

A span says method, route, status and how long; no query, no key and no address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backbone.measures import OTHER, ROUTES
from mcp_server.measuring import route_name
from orderflow.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

LAST_MS = 2_000
"""Spans that wait are sent for so long when the server ends."""
SERVER_ERROR = 500


class Tracer:
    """Sends spans to one OTLP/HTTP address; what can't be sent is dropped, never waited for."""

    def __init__(self, endpoint: str) -> None:
        """ConfigError where the extra is missing."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise ConfigError(
                "WADM_OTEL_ENDPOINT needs the extra otel: pip install 'wadm[otel]'"
            ) from None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = Resource.create({"service.name": "wadm", "service.version": version("wadm")})
        self.provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self.tracer = self.provider.get_tracer("wadm")
        self.propagator = TraceContextTextMapPropagator()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what is left at the end."""
        try:
            yield
        finally:
            await asyncio.to_thread(self.provider.force_flush, LAST_MS)
            await asyncio.to_thread(self.provider.shutdown)

    def begin(self, scope: Scope, base_path: str) -> Span:
        """A span that goes on from the caller's trace, if it named one."""
        from opentelemetry.trace import SpanKind

        name = route_name(scope, base_path)
        route = name if name in ROUTES else OTHER
        sent = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        method = scope.get("method", "GET")
        return self.tracer.start_span(
            f"{method} {route}",
            context=self.propagator.extract(sent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )


class Tracing:
    """The ASGI middleware; a stream's span ends when its answer has begun."""

    def __init__(self, app: ASGIApp, tracer: Tracer, base_path: str) -> None:
        self.app = app
        self.tracer = tracer
        self.base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on between the two ends of a span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        span = self.tracer.begin(scope, self.base_path)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= SERVER_ERROR:
                    _failed(span)
                span.end()
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            if span.is_recording():
                span.end()


def _failed(span: Span) -> None:
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)
