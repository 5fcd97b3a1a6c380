"""REST routes: parameters in, the same reports as MCP out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server import parameters
from mcp_server.access.caller import sees_everything
from mcp_server.answer_cache import AnswerCache
from mcp_server.derivatives import DERIVATIVE_NAMES
from mcp_server.events import EVENT_NAMES, RATE_NAMES, EventQuestion, event_question
from mcp_server.freshness import freshness
from mcp_server.parameters import (
    BARE,
    CHANGES,
    COMPARE,
    FLOW,
    FOOTPRINT,
    FORMS,
    LEVELS,
    PROFILE,
    SNAPSHOT,
    SUMMARY,
    SYMBOLS,
    WAIT,
    Question,
)
from mcp_server.payload import encoded, etag, plain_data
from mcp_server.queries import Queries
from mcp_server.queries.explain import explain
from mcp_server.queries.indicators import INDICATOR, study_options
from mcp_server.queries.waits import wait_question
from orderflow.report import Report
from orderflow.status_reports import HealthReport
from orderflow.timeframe import MINUTE_MS

Metrics = Callable[[], tuple[bytes, str]]
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
JSON = "application/json"
CACHED = frozenset(
    {
        "/volume_profile/{symbol:path}",
        "/order_flow/{symbol:path}",
        "/footprint/{symbol:path}",
        "/indicators/summary/{symbol:path}",
        "/indicators/{name}/{symbol:path}",
        "/snapshot",
        "/events",
        "/events/base-rates/{kind}",
        "/derivatives/{symbol:path}",
        "/levels/{symbol:path}",
        "/compare/{symbol:path}",
        "/symbols",
        "/status",
    }
)
"""Routes whose answers are kept until the next update."""


class Http:
    """Handlers over one set of queries."""

    def __init__(self, queries: Queries, metrics: Metrics) -> None:
        self.queries = queries
        self.metrics = metrics
        self.cache = AnswerCache(lambda: queries.live.version)

    def routes(self, base_path: str) -> list[Route]:
        """Every route under the base path."""
        table = {
            "/volume_profile/{symbol:path}": self.volume_profile,
            "/order_flow/{symbol:path}": self.order_flow,
            "/footprint/{symbol:path}": self.footprint,
            "/indicators/summary/{symbol:path}": self.summary,
            "/indicators/{name}/{symbol:path}": self.indicator,
            "/snapshot": self.snapshot,
            "/events": self.events,
            "/events/base-rates/{kind}": self.base_rates,
            "/derivatives/{symbol:path}": self.derivatives,
            "/levels/{symbol:path}": self.levels,
            "/compare/{symbol:path}": self.compare,
            "/changes/{symbol:path}": self.changes,
            "/wait/{symbol:path}": self.wait,
            "/explain": self.explain,
            "/explain/{name}": self.explain,
            "/symbols": self.symbols,
            "/status": self.status,
            "/health": self.health,
            "/livez": self.livez,
            "/readyz": self.readyz,
            "/metrics": self.metrics_page,
            "/openapi.json": self.openapi,
        }
        return [
            Route(base_path + path, self.cache.wrapped(handler) if path in CACHED else handler)
            for path, handler in table.items()
        ]

    async def volume_profile(self, request: Request) -> Response:
        """POC, value area and levels."""
        asked = self._asked(request, PROFILE)
        return self._answer(request, await self.queries.volume_profile(asked), asked)

    async def order_flow(self, request: Request) -> Response:
        """Delta, CVD and imbalance."""
        asked = self._asked(request, FLOW, "period")
        return self._answer(request, await self.queries.order_flow(asked), asked)

    async def footprint(self, request: Request) -> Response:
        """Aligned bars; detail=bars (default) or rows."""
        pairs = [
            (name, "full" if name == "detail" and value == "bars" else value)
            for name, value in request.query_params.multi_items()
        ]
        values = parameters.single_values(pairs, FOOTPRINT)
        asked = parameters.question(request.path_params["symbol"], values)
        return self._answer(request, await self.queries.footprint(asked), asked)

    async def summary(self, request: Request) -> Response:
        """Profile and flow of one symbol."""
        asked, period = self._both(request, SUMMARY, request.path_params["symbol"])
        return self._answer(request, await self.queries.summary(asked, period), asked)

    async def indicator(self, request: Request) -> Response:
        """One indicator over a stretch of bars."""
        values = parameters.single_values(request.query_params.multi_items(), INDICATOR)
        asked = parameters.question(request.path_params["symbol"], values | {"detail": "summary"})
        about = self.queries.about_indicators
        report = await about.indicator(request.path_params["name"], asked, study_options(values))
        return self._answer(request, report, asked)

    async def snapshot(self, request: Request) -> Response:
        """Profile and flow of several symbols."""
        asked, period = self._both(request, SNAPSHOT, "")
        form = parameters.choice(dict(request.query_params), "form", FORMS, "answers")
        symbols = parameters.symbol_list(request.query_params.get("symbols"))
        report = await self.queries.snapshot(symbols, asked, period, form or "answers")
        return self._answer(request, report, asked)

    async def events(self, request: Request) -> Response:
        """What the rules saw, newest first."""
        asked = self._about_events(request, EVENT_NAMES)
        return self._answer(request, await self.queries.about_events.events(asked), asked)

    async def base_rates(self, request: Request) -> Response:
        """What followed events of one kind."""
        asked = self._about_events(request, RATE_NAMES)
        report = await self.queries.about_events.base_rates(request.path_params["kind"], asked)
        return self._answer(request, report, asked)

    async def derivatives(self, request: Request) -> Response:
        """Funding, open interest and liquidations by minute."""
        asked = self._asked(request, DERIVATIVE_NAMES)
        report = await self.queries.about_derivatives.derivatives(asked)
        return self._answer(request, report, asked)

    async def levels(self, request: Request) -> Response:
        """Key levels, nearest first."""
        asked = self._asked(request, LEVELS)
        return self._answer(request, await self.queries.about_levels.key_levels(asked), asked)

    async def compare(self, request: Request) -> Response:
        """Venues, markets and windows beside each other."""
        asked = self._asked(request, COMPARE)
        return self._answer(request, await self.queries.about_sides.compare(asked), asked)

    async def changes(self, request: Request) -> Response:
        """What changed since a time."""
        values = parameters.single_values(request.query_params.multi_items(), CHANGES)
        since = parameters.moment(values.pop("since", None), "since")
        revision = parameters.revision(values.pop("revision", None))
        asked = parameters.question(request.path_params["symbol"], values)
        report = await self.queries.about_sides.changes(asked, since, revision)
        return self._answer(request, report, asked)

    async def wait(self, request: Request) -> Response:
        """The answer comes when a condition holds, or at the timeout."""
        values = parameters.single_values(request.query_params.multi_items(), WAIT)
        asked = wait_question(request.path_params["symbol"], values)
        report = await self.queries.about_waits.wait(asked)
        return self._answer(request, report, asked.about)

    async def explain(self, request: Request) -> Response:
        """One rule card, or the names of all."""
        asked = self._bare(request)
        return self._answer(request, await explain(request.path_params.get("name")), asked)

    async def symbols(self, request: Request) -> Response:
        """What is collected."""
        asked = self._bare(request, SYMBOLS)
        return self._answer(request, await self.queries.symbols(asked.detail), asked)

    async def status(self, request: Request) -> Response:
        """Streams and connections."""
        return self._answer(request, await self.queries.status(), self._bare(request))

    async def health(self, request: Request) -> Response:
        """For everybody: 503 while there is nothing to serve, and no more than that."""
        report = await self.queries.status()
        stale = report.worst_lag_ms is not None and report.worst_lag_ms > 2 * MINUTE_MS
        status = "starting" if not report.ready else "stale" if stale else "ok"
        body = encoded(HealthReport(status=status, ready=report.ready), "json")
        return Response(body, 200 if status == "ok" else 503, HEADERS, JSON)

    async def livez(self, request: Request) -> Response:
        """The loop turns."""
        return Response(b'{"status":"ok"}', 200, HEADERS, JSON)

    async def readyz(self, request: Request) -> Response:
        """Restored, and trades flow."""
        ready = self.queries.live.ready
        body = b'{"status":"ready"}' if ready else b'{"status":"starting"}'
        return Response(body, 200 if ready else 503, HEADERS, JSON)

    async def metrics_page(self, request: Request) -> Response:
        """Prometheus text."""
        body, kind = self.metrics()
        return Response(body, 200, HEADERS, kind)

    async def openapi(self, request: Request) -> Response:
        """This API, described."""
        # Its schemas take a third of a second to import, for a document few ask for.
        from mcp_server.openapi import document

        return Response(document(), 200, HEADERS, JSON)

    # Shared

    def _asked(
        self, request: Request, allowed: Sequence[str], name_key: str = "timeframe"
    ) -> Question:
        values = parameters.single_values(request.query_params.multi_items(), allowed)
        return parameters.question(request.path_params["symbol"], values, name_key)

    def _bare(self, request: Request, allowed: Sequence[str] = BARE) -> Question:
        values = parameters.single_values(request.query_params.multi_items(), allowed)
        return parameters.question("", values)

    def _about_events(self, request: Request, allowed: Sequence[str]) -> EventQuestion:
        values = parameters.single_values(request.query_params.multi_items(), allowed)
        return event_question(values)

    def _both(
        self, request: Request, allowed: Sequence[str], symbol: str
    ) -> tuple[Question, str | None]:
        values = parameters.single_values(request.query_params.multi_items(), allowed)
        period = values.pop("period", None)
        return parameters.question(symbol, values), period

    def _answer(
        self, request: Request, report: Report, asked: Question | EventQuestion
    ) -> Response:
        """The report, or 304 when only its age has changed."""
        tag = etag(report, asked.numbers)
        headers = HEADERS | {"ETag": tag}
        if isinstance(asked, Question) and asked.end_ms is not None and sees_everything():
            headers |= freshness(plain_data(report), asked.end_ms)
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, headers)
        return Response(encoded(report, asked.numbers, asked.max_tokens), 200, headers, JSON)
