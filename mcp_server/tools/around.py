"""Tools about what lies around now: levels, events, comparison, changes, waiting, status, rules."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from mcp_server import parameters
from mcp_server.derivatives import DERIVATIVE_NAMES
from mcp_server.events import EVENT_NAMES, RATE_NAMES
from mcp_server.parameters import CHANGES, COMPARE, LEVELS, Numbers
from mcp_server.queries import Queries
from mcp_server.queries.explain import explain as explain_card
from mcp_server.queries.indicators import INDICATOR, STUDY_NAMES, study_options
from mcp_server.queries.waits import WaitQuestion, wait_question
from mcp_server.tools.answering import (
    READ_ONLY,
    AnyTimeframe,
    AsOf,
    EventSide,
    Exchange,
    MarketName,
    MaxTokens,
    Moment,
    Result,
    Symbol,
    about_events,
    answered,
    question,
    refused,
    values_of,
)
from orderflow.context_reports import BaseRatesReport, EventsReport
from orderflow.derivative_reports import DerivativesReport
from orderflow.errors import RequestError
from orderflow.level_reports import (
    ChangesReport,
    CompareReport,
    ExplainReport,
    KeyLevelsReport,
    WaitReport,
)
from orderflow.report import Report
from orderflow.status_reports import StatusReport
from orderflow.study_reports import IndicatorReport

REPORTS: dict[str, tuple[type[Report], ...]] = {
    "get_key_levels": (KeyLevelsReport,),
    "get_indicator": (IndicatorReport,),
    "get_derivatives": (DerivativesReport,),
    "get_events": (EventsReport,),
    "get_base_rates": (BaseRatesReport,),
    "compare": (CompareReport,),
    "get_changes": (ChangesReport,),
    "wait_for": (WaitReport,),
    "get_status": (StatusReport,),
    "explain": (ExplainReport,),
}
WAIT_NAMES = ("exchange", "market", "condition", "value", "timeout_s")


def add_past_tools(mcp: MCPServer, queries: Queries) -> None:
    """Levels, events and their base rates."""

    @mcp.tool(title="Key levels", annotations=READ_ONLY)
    async def get_key_levels(
        symbol: Symbol,
        exchange: Exchange = None,
        market: MarketName = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Prices left behind, nearest first, with distance in ticks: naked POCs, previous day and
        week, sessions, initial balance, VWAP bands, HVN/LVN. `missing` says what can't be said."""
        asked = question({**locals()}, LEVELS, "timeframe")
        return await answered(queries.about_levels.key_levels(asked), numbers, max_tokens)

    @mcp.tool(title="Events", annotations=READ_ONLY)
    async def get_events(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        kinds: Annotated[str | None, Field(description="by comma; see explain")] = None,
        since: Moment = None,
        limit: Annotated[int, Field(description="at most 200")] = 5,
        cursor: Annotated[str | None, Field(description="next_cursor: older ones")] = None,
        timeframe: Annotated[str | None, Field(description="1m 5m 15m 1h")] = None,
        side: EventSide | None = None,
        exchange: Exchange = None,
        market: MarketName = None,
        as_of: AsOf = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """What happened, newest first: absorption, sweeps, climaxes, corrections; each with id,
        evidence, bars behind it, returns after 5-240 min. For how often it worked use
        get_base_rates."""
        asked = about_events({**locals()}, EVENT_NAMES)
        return await answered(queries.about_events.events(asked), numbers, max_tokens)

    @mcp.tool(title="Base rates", annotations=READ_ONLY)
    async def get_base_rates(  # noqa: PLR0913 (each is a parameter of the question)
        kind: Annotated[str, Field(description="a kind of event")],
        symbol: Symbol,
        timeframe: Annotated[str | None, Field(description="1m 5m 15m 1h")] = None,
        side: EventSide | None = None,
        since: Moment = None,
        exchange: Exchange = None,
        market: MarketName = None,
        as_of: AsOf = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """What followed earlier events of one kind: n, returns in percent, hit rate with interval.
        Call before reading anything into an event."""
        asked = about_events({**locals()}, RATE_NAMES)
        return await answered(queries.about_events.base_rates(kind, asked), numbers, max_tokens)


def add_study_tools(mcp: MCPServer, queries: Queries) -> None:
    """Single indicators, and what perpetuals say beside their trades."""

    @mcp.tool(title="One indicator", annotations=READ_ONLY)
    async def get_indicator(  # noqa: PLR0913 (each is a parameter of the question)
        name: Annotated[str, Field(description="see explain")],
        symbol: Symbol,
        timeframe: str | None = None,
        start: Moment = None,
        end: str | None = None,
        limit: Annotated[int | None, Field(description="newest bars")] = None,
        session: Annotated[
            str | None, Field(description="day week asia europe us, or ZONE HH:MM-HH:MM")
        ] = None,
        anchor: Moment = None,
        windows: Annotated[int | None, Field(description="sessions, default 5")] = None,
        operation: Literal["compare", "merge", "subtract"] | None = None,
        other: Annotated[str | None, Field(description="second window START/END")] = None,
        exchange: Exchange = None,
        market: MarketName = None,
        as_of: AsOf = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Any rule card as numbers: sessions, composite, naked_levels, market_profile, anchored
        vwap, cvd candles, kyle, wyckoff_*, profile_algebra."""
        given = {**locals()}
        asked = question(
            given | {"detail": "summary"},
            [*(n for n in INDICATOR if n not in STUDY_NAMES), "detail"],
            "timeframe",
        )
        try:
            options = study_options(values_of(given, STUDY_NAMES))
        except RequestError as error:
            raise refused(error) from error
        report = queries.about_indicators.indicator(name, asked, options)
        return await answered(report, numbers, max_tokens)

    @mcp.tool(title="Derivatives", annotations=READ_ONLY)
    async def get_derivatives(
        symbol: Symbol,
        exchange: Exchange = None,
        limit: Annotated[int, Field(description="newest minutes")] = 5,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Funding, open interest, liquidations of perpetuals by minute; not part of trade
        numbers."""
        asked = question({**locals()}, DERIVATIVE_NAMES, "timeframe")
        return await answered(queries.about_derivatives.derivatives(asked), numbers, max_tokens)


def add_side_tools(mcp: MCPServer, queries: Queries) -> None:
    """Comparison, changes and waiting."""

    @mcp.tool(title="Compare", annotations=READ_ONLY)
    async def compare(
        symbol: Symbol,
        timeframe: AnyTimeframe = "1h",
        exchange: Exchange = None,
        market: MarketName = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Sides of one symbol: venues (sign agreement, who leads, premium in bps), spot against
        perp CVD in quote currency, this window against the one before."""
        asked = question({**locals()}, COMPARE, "timeframe")
        return await answered(queries.about_sides.compare(asked), numbers, max_tokens)

    @mcp.tool(title="Changes", annotations=READ_ONLY)
    async def get_changes(  # noqa: PLR0913 (each is a parameter of the question)
        symbol: Symbol,
        since: Annotated[str, Field(description="ISO-8601 or epoch ms, at most 26 h ago")],
        timeframe: AnyTimeframe = "1h",
        revision: Annotated[int | None, Field(description="since is then its period_start")] = None,
        exchange: Exchange = None,
        market: MarketName = None,
        numbers: Numbers = "string",
        max_tokens: MaxTokens = None,
    ) -> Result:
        """What moved since an earlier answer (its period_end or timestamp), or since a revision of
        an aligned window: price, POC, value, delta, corrections, new events. Cheaper than asking
        everything again."""
        values = {**locals()}
        values_of(values, CHANGES)
        named = [name for name in CHANGES if name not in {"since", "revision"}]
        asked = question(values, named, "timeframe")
        try:
            moment = parameters.moment(since, "since")
            number = parameters.revision(None if revision is None else str(revision))
        except RequestError as error:
            raise refused(error) from error
        found = queries.about_sides.changes(asked, moment, number)
        return await answered(found, numbers, max_tokens)

    @mcp.tool(title="Wait for", annotations=READ_ONLY)
    async def wait_for(
        symbol: Symbol,
        condition: Literal["price_above", "price_below", "delta_z", "event", "bar_close"],
        value: Annotated[str, Field(description="price, |z| of 1m delta, kind, or timeframe")],
        ctx: Context,
        timeout_s: Annotated[int, Field(description="1-60")] = 20,
        exchange: Exchange = None,
        market: MarketName = None,
    ) -> Result:
        """Sleeps until a condition holds or the timeout; use it instead of polling. met=false is
        not an error: call again to go on."""
        asked = _waiting(symbol, values_of({**locals()}, WAIT_NAMES))
        return await answered(queries.about_waits.wait(asked, ctx.report_progress))


def add_service_tools(mcp: MCPServer, queries: Queries) -> None:
    """Status and rule cards."""

    @mcp.tool(title="Data status", annotations=READ_ONLY)
    async def get_status(max_tokens: MaxTokens = None) -> Result:
        """State of every stream: lag, gaps, repairs, verified minutes. Call when quality is in
        doubt."""
        return await answered(queries.status(), "string", max_tokens)

    @mcp.tool(title="Explain", annotations=READ_ONLY)
    async def explain(
        name: Annotated[str | None, Field(description="without it: all names")] = None,
        max_tokens: MaxTokens = None,
    ) -> Result:
        """Rule card of an indicator: formula, units, ties, what it is not evidence of."""
        return await answered(explain_card(name), "string", max_tokens)


def _waiting(symbol: str, values: dict[str, str]) -> WaitQuestion:
    try:
        return wait_question(symbol, values)
    except RequestError as error:
        raise refused(error) from error
