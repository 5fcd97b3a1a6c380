"""Parameters of a question: whole-string validation of everything that comes from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Literal, cast

from mcp_server.budget import HARD_CAP_TOKENS, LEAST_TOKENS
from orderflow.answers import Detail, WindowKind
from orderflow.errors import InvalidParameterError, ValidationError
from orderflow.indicators.volume_profile import METHODS, Method

LONGEST = 64
MOST_BARS = 1_000
MOST_FULL_BARS = 200
MOST_LEVELS = 2_000
MOST_SYMBOLS = 50
LISTS = frozenset({"symbols", "kinds"})
"""Parameters that hold several names by comma."""
NUMBER = re.compile(r"[0-9]{1,15}")
DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?")
Numbers = Literal["json", "string"]
ContextKind = Literal["same_hour", "all_hours", "none"]
CONTEXTS = ("same_hour", "all_hours", "none")


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one symbol; None means the default."""

    symbol: str
    name: str | None = None
    exchange: str | None = None
    market: str | None = None
    window: WindowKind | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int | None = None
    detail: Detail = "full"
    numbers: Numbers = "json"
    va_method: Method = "single"
    row_size: Decimal | None = None
    max_levels: int | None = None
    context: ContextKind | None = None
    as_of_ms: int | None = None
    max_tokens: int | None = None

    @property
    def history(self) -> bool:
        """True when several windows are asked for."""
        return any(
            value is not None for value in (self.start_ms, self.end_ms, self.limit, self.as_of_ms)
        )

    def with_symbol(self, symbol: str) -> Question:
        """The same question about another symbol."""
        return replace(self, symbol=symbol)


COMMON = (
    "exchange",
    "market",
    "window",
    "start",
    "end",
    "limit",
    "detail",
    "numbers",
    "max_tokens",
    "form",
)
PROFILE = (*COMMON, "as_of", "timeframe", "va_method", "row_size", "max_levels", "context")
FLOW = (*COMMON, "as_of", "period", "context")
FOOTPRINT = (*(name for name in COMMON if name != "window"), "timeframe", "as_of", "context")
SNAPSHOT = (
    "symbols",
    "exchange",
    "market",
    "timeframe",
    "period",
    "detail",
    "numbers",
    "max_tokens",
    "form",
)
SUMMARY = SNAPSHOT[1:-1]
FORMS = ("answers", "lines")
LEVELS = ("exchange", "market", "numbers", "max_tokens")
COMPARE = ("exchange", "market", "timeframe", "numbers", "max_tokens")
CHANGES = (*COMPARE, "since", "revision")
WAIT = ("exchange", "market", "condition", "value", "timeout_s", "since", "numbers")
BARE = ("numbers", "max_tokens")
SYMBOLS = (*BARE, "detail")


def single_values(pairs: Iterable[tuple[str, str]], allowed: Iterable[str]) -> dict[str, str]:
    """Parameters by name; an unknown or repeated one is refused with the allowed names."""
    names = tuple(allowed)
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            raise InvalidParameterError(f"unknown parameter; allowed: {', '.join(names)}")
        if name in values:
            raise InvalidParameterError(f"parameter {name} is given twice")
        if len(value) > LONGEST * (MOST_SYMBOLS if name in LISTS else 1):
            raise InvalidParameterError(f"parameter {name} is too long")
        values[name] = value
    return values


def question(symbol: str, values: Mapping[str, str], name_key: str = "timeframe") -> Question:
    """A question from text; every error names the parameter and what it may be."""
    full = choice(values, "detail", ("summary", "rows", "full"), "full")
    asked = Question(
        symbol=symbol,
        name=values.get(name_key),
        exchange=word(values, "exchange"),
        market=word(values, "market"),
        window=cast("WindowKind | None", choice(values, "window", ("rolling", "aligned"), None)),
        start_ms=moment(values.get("start"), "start"),
        end_ms=moment(values.get("end"), "end"),
        limit=number(values.get("limit"), "limit", MOST_BARS),
        detail=cast("Detail", full),
        numbers=cast("Numbers", choice(values, "numbers", ("json", "string"), "json")),
        va_method=cast("Method", choice(values, "va_method", METHODS, "single")),
        row_size=decimal(values.get("row_size"), "row_size"),
        max_levels=number(values.get("max_levels"), "max_levels", MOST_LEVELS),
        as_of_ms=moment(values.get("as_of"), "as_of"),
        max_tokens=tokens(values),
        context=cast("ContextKind | None", choice(values, "context", CONTEXTS, None)),
    )
    return checked(asked)


def checked(asked: Question) -> Question:
    """The same question, its parameters fitting each other."""
    if asked.window == "rolling" and asked.history:
        raise ValidationError("window=rolling is about now; history is window=aligned")
    if asked.start_ms is not None and asked.end_ms is not None and asked.start_ms >= asked.end_ms:
        raise ValidationError("start must be before end")
    if asked.detail != "summary" and (asked.limit or 0) > MOST_FULL_BARS:
        raise ValidationError(f"limit is at most {MOST_FULL_BARS} unless detail=summary")
    return asked


def choice(
    values: Mapping[str, str], name: str, allowed: tuple[str, ...], otherwise: str | None
) -> str | None:
    """One of the allowed words."""
    value = values.get(name)
    if value is None:
        return otherwise
    if value not in allowed:
        raise ValidationError(f"unknown {name}; allowed: {', '.join(allowed)}")
    return value


def number(text: str | None, name: str, most: int) -> int | None:
    """A whole number from 1 to `most`."""
    if text is None:
        return None
    if NUMBER.fullmatch(text) is None or not 1 <= int(text) <= most:
        raise ValidationError(f"{name} must be a whole number from 1 to {most}")
    return int(text)


def revision(text: str | None) -> int | None:
    """A revision, from 0."""
    if text is None:
        return None
    if NUMBER.fullmatch(text) is None:
        raise ValidationError("revision must be a whole number, as in quality.revision")
    return int(text)


def moment(text: str | None, name: str) -> int | None:
    """Epoch milliseconds or ISO-8601 (UTC unless it says otherwise)."""
    if text is None:
        return None
    if NUMBER.fullmatch(text) is not None:
        return int(text)
    message = f"{name} must be epoch milliseconds or ISO-8601, for example 2026-01-31T00:00:00Z"
    if MOMENT.fullmatch(text) is None:
        raise ValidationError(message)
    try:
        found = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        raise ValidationError(message) from None
    if found.tzinfo is None:
        found = datetime.fromisoformat(f"{text}Z")
    milliseconds = int(found.timestamp() * 1_000)
    if milliseconds < 0:
        raise ValidationError(message)
    return milliseconds


def tokens(values: Mapping[str, str]) -> int | None:
    """The budget of an answer."""
    found = number(values.get("max_tokens"), "max_tokens", HARD_CAP_TOKENS)
    if found is not None and found < LEAST_TOKENS:
        raise ValidationError(f"max_tokens must be {LEAST_TOKENS} to {HARD_CAP_TOKENS}")
    return found


def decimal(text: str | None, name: str) -> Decimal | None:
    """A positive decimal number."""
    if text is None:
        return None
    if DECIMAL.fullmatch(text) is None:
        raise ValidationError(f"{name} must be a positive decimal number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValidationError(f"{name} must be a positive decimal number") from None
    if value <= 0:
        raise ValidationError(f"{name} must be a positive decimal number")
    return value


def word(values: Mapping[str, str], name: str) -> str | None:
    """A lower-case word."""
    value = values.get(name)
    if value is None:
        return None
    if re.fullmatch(r"[a-z]{2,16}", value) is None:
        raise ValidationError(f"unknown {name}; see /symbols for the allowed ones")
    return value


def symbol_list(text: str | None) -> list[str]:
    """At most MOST_SYMBOLS symbols by comma."""
    names = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not 1 <= len(names) <= MOST_SYMBOLS:
        raise ValidationError(f"symbols must name 1 to {MOST_SYMBOLS} symbols by comma")
    return names
