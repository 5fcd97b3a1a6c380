"""What a reader asks the stream for: parameters into specs, checked as everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from mcp_server import parameters
from mcp_server.parameters import Question
from mcp_server.queries import Queries
from mcp_server.streaming.cursor import Cursor, parse_cursor
from mcp_server.streaming.topic import CHANNELS, Spec, canonical
from orderflow.errors import InvalidParameterError, ValidationError
from orderflow.timeframe import parse_period, parse_timeframe

STREAM = (
    "symbols",
    "channels",
    "exchange",
    "market",
    "timeframe",
    "period",
    "detail",
    "numbers",
    "cursor",
    "heartbeat_s",
)
DEFAULT_CHANNELS = ("bars", "order_flow", "status")
DEFAULT_TIMEFRAME, DEFAULT_PERIOD = "1m", "5m"
DEFAULT_HEARTBEAT_S, LONGEST_HEARTBEAT_S = 10, 60


class Subscription(NamedTuple):
    """Topics in the order asked for, the place to go on from, and the longest silence."""

    specs: tuple[Spec, ...]
    cursor: Cursor | None
    heartbeat_s: int

    @property
    def symbols(self) -> frozenset[str]:
        """What the caller's key must be for."""
        return frozenset(spec.question.symbol for spec in self.specs)


def subscription(
    pairs: Iterable[tuple[str, str]], last_event_id: str | None, queries: Queries
) -> Subscription:
    """A subscription from text; errors name the parameter and what it may be.

    `last_event_id` is newer than a `cursor` in the address, which a browser sends again unchanged.
    """
    values = parameters.single_values(pairs, STREAM)
    symbols = parameters.symbol_list(values.get("symbols"))
    channels = _channels(values.get("channels"))
    place = last_event_id or values.get("cursor")
    silence = parameters.number(values.get("heartbeat_s"), "heartbeat_s", LONGEST_HEARTBEAT_S)
    known = {k: values[k] for k in ("exchange", "market", "numbers") if k in values}
    short = known | {"detail": values.get("detail", "summary"), "context": "none"}
    if short["detail"] not in ("summary", "rows"):
        raise ValidationError("detail must be one of: summary, rows")
    timeframe = parse_timeframe(values.get("timeframe", DEFAULT_TIMEFRAME))
    period = parse_period(values.get("period", DEFAULT_PERIOD))
    names = {"bars": timeframe, "volume_profile": timeframe, "order_flow": period}
    specs: dict[str, Spec] = {}
    for symbol in symbols:
        for channel in channels:
            asked = parameters.question(symbol, short)
            spec = _made(channel, replace(asked, name=names.get(channel)), queries)
            specs.setdefault(spec.name, spec)
    cursor = None if not place else parse_cursor(place)
    return Subscription(tuple(specs.values()), cursor, silence or DEFAULT_HEARTBEAT_S)


def _made(channel: str, asked: Question, queries: Queries) -> Spec:
    """ForbiddenError where the caller's key is not for the symbol."""
    if channel == "status":
        asked = replace(asked, detail="summary", numbers="json")
    return canonical(Spec(channel, asked), queries.read.selection(asked))


def _channels(text: str | None) -> tuple[str, ...]:
    if text is None:
        return DEFAULT_CHANNELS
    named = tuple(dict.fromkeys(text.split(",")))
    if not set(named) <= set(CHANNELS):
        raise InvalidParameterError(f"channels must be by comma, of: {', '.join(CHANNELS)}")
    return named
