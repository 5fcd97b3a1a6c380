"""OpenTelemetry, where its extra is installed: spans of requests reach a real OTLP/HTTP address."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from stream_support import Market, served

from mcp_server.tracing import Tracer
from orderflow.errors import ConfigError

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "wadm_secret_in_a_query"


class Sink:
    """An OTLP collector that keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


async def test_spans_of_requests(sink: Sink) -> None:
    """A span per request with route and status, in the caller's trace; queries are not told."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    async with served(Market(), otel_endpoint=sink.url) as house:
        parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = await house.client.get(f"{house.url}/symbols", headers=parent)
        assert answer.status_code == 200
        await house.client.get(f"{house.url}/symbols?a={SECRET}")
        await house.client.get(f"{house.url}/{SECRET}")
        async with house.events("symbols=AAAUSDT&channels=bars") as messages:
            await anext(messages)
    spans = [
        span
        for body in sink.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    found = {(span.name, _status(span)) for span in spans}
    assert found == {
        ("GET symbols", 200),
        ("GET symbols", 400),
        ("GET other", 404),
        ("GET stream", 200),
    }
    (child,) = (span for span in spans if span.trace_id.hex() == TRACE)
    assert child.parent_span_id.hex() == PARENT
    assert not any(SECRET.encode() in body for body in sink.bodies)


def _status(span: Any) -> int:
    values = {one.key: one.value.int_value for one in span.attributes}
    return int(values["http.response.status_code"])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for spans without the extra is told what to install; nobody else needs it."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="otel"):
        Tracer("http://127.0.0.1:1/v1/traces")
