"""Which question a rule asks, and what its answer says about one window. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from alerts.fieldpath import Scalar, scalar, value_at
from alerts.rule import Kind, Rule
from orderflow.completeness import State

EVENT_SPAN_MS = 6 * 3_600_000
"""How far back events are read: what a detector saw late is still new."""
MOST_EVENTS = 100
NEWEST = 4
"""Windows asked for where only the newest final one is judged: the last ones may be open."""
WHOLE = frozenset({State.VERIFIED, State.VENUE_ADJUSTMENT, State.VERIFIED_VOLUME, State.CONTIGUOUS})
PROVEN = frozenset({State.VERIFIED, State.VENUE_ADJUSTMENT, State.VERIFIED_VOLUME})


class Source(NamedTuple):
    """An answer of the server: its path, its parameters, where a history has its windows."""

    path: str
    parameters: tuple[str, ...]
    windows: str = ""
    needs_symbol: bool = True


SOURCES: dict[str, Source] = {
    "order_flow": Source("/order_flow/{symbol}", ("period", "exchange", "market"), "items"),
    "volume_profile": Source(
        "/volume_profile/{symbol}",
        ("timeframe", "exchange", "market", "va_method", "row_size"),
        "items",
    ),
    "footprint": Source("/footprint/{symbol}", ("timeframe", "exchange", "market"), "bars"),
    "levels": Source("/levels/{symbol}", ("exchange", "market")),
    "compare": Source("/compare/{symbol}", ("timeframe", "exchange", "market")),
    "indicator": Source(
        "/indicators/{name}/{symbol}",
        ("name", "timeframe", "exchange", "market", "session", "windows", "anchor", "limit"),
    ),
    "derivatives": Source("/derivatives/{symbol}", ("instrument",)),
    "events": Source("/events", ("exchange", "market")),
    "status": Source("/status", (), needs_symbol=False),
}
ABOUT_NOW_ONLY = frozenset({"order_flow", "volume_profile"})
"""Their answers about now are one object, those about the past a list."""


class Question(NamedTuple):
    """A path and its parameters, sorted: equal questions are asked once."""

    path: str
    parameters: tuple[tuple[str, str], ...]


class Reading(NamedTuple):
    """One window of an answer; `quality` is None where the answer states none."""

    item: dict[str, Any]
    key: str
    told_ms: int | None
    """The venue's time of the answer."""
    at_ms: int
    closed: bool
    final: bool | None
    state: State | None
    coverage: str | None
    age_ms: int | None
    stale: bool
    source: str


def question(rule: Rule, symbol: str, now_ms: int) -> Question:
    """What to ask for one rule and symbol."""
    source = SOURCES[rule.answer]
    given = dict(rule.parameters)
    path = source.path.format(symbol=symbol, name=given.pop("name", ""))
    given.pop("instrument", None)
    asked = {"numbers": "string", **given}
    if rule.condition.kind is Kind.EVENT:
        asked |= {"symbol": symbol, "kinds": ",".join(rule.condition.events)}
        asked |= {"since": str(now_ms - EVENT_SPAN_MS), "limit": str(MOST_EVENTS)}
        if rule.condition.side:
            asked["side"] = rule.condition.side
    elif rule.answer == "footprint":
        asked |= {"limit": str(_count(rule)), "detail": "bars"}
    elif rule.answer == "derivatives":
        asked["limit"] = "1"
    elif rule.judges_windows and rule.answer in ABOUT_NOW_ONLY:
        # "none" is no detail of its own: percentiles of every row would cost more than the row.
        asked |= {"limit": str(_count(rule)), "detail": "full", "context": "none"}
    elif rule.answer in ABOUT_NOW_ONLY:
        asked["detail"] = "full"
    return Question(path, tuple(sorted(asked.items())))


def _count(rule: Rule) -> int:
    return NEWEST + rule.condition.windows


def readings(rule: Rule, answer: dict[str, Any]) -> list[Reading]:
    """The windows of an answer, oldest first; one for an answer about now."""
    if rule.answer == "derivatives":
        return _of_instrument(answer, dict(rule.parameters)["instrument"])
    source = SOURCES[rule.answer]
    listed = answer.get(source.windows) if source.windows else None
    items = listed if isinstance(listed, list) else [answer]
    return [_reading(item, answer) for item in items if isinstance(item, dict)]


def _reading(item: dict[str, Any], answer: dict[str, Any]) -> Reading:
    quality = item.get("quality")
    said = quality if isinstance(quality, dict) else item
    proof = said.get("completeness")
    proven = proof if isinstance(proof, dict) else said
    end = moment_ms(item.get("period_end"))
    told = moment_ms(said.get("applied_through")) or moment_ms(item.get("timestamp"))
    final = said.get("final")
    closed = final is True or (end is not None and told is not None and told >= end)
    age = scalar(said.get("age_ms"))
    return Reading(
        item=item,
        key=str(item.get("period_start") or ""),
        told_ms=moment_ms(item.get("timestamp")),
        at_ms=(end if closed else told) or told or end or 0,
        closed=closed,
        final=final if isinstance(final, bool) else None,
        state=_state(proven.get("state")) if "state" in proven else None,
        coverage=None if proven.get("coverage") is None else str(proven["coverage"]),
        age_ms=None if isinstance(age, str | bool | None) else int(age),
        stale=said.get("stale") is True,
        source=str(item.get("source") or answer.get("source") or "live"),
    )


def _of_instrument(answer: dict[str, Any], instrument: str) -> list[Reading]:
    """The newest minute of one perpetual; one that was interrupted is partial."""
    line = (answer.get("instruments") or {}).get(instrument)
    minutes = line.get("minutes") if isinstance(line, dict) else None
    if line is None or not minutes:
        return []
    item = minutes[-1]
    age = scalar(line.get("age_ms"))
    age_ms = None if isinstance(age, str | bool | None) else int(age)
    start = moment_ms(item.get("start")) or 0
    return [
        Reading(
            item=item,
            key=str(start),
            told_ms=None,
            at_ms=start + 60_000,
            closed=True,
            final=True,
            state=State.CONTIGUOUS if item.get("whole") is True else State.PARTIAL,
            coverage=None,
            age_ms=age_ms,
            stale=age_ms is None or age_ms > 2 * 60_000,
            source=str(answer.get("source") or "live"),
        )
    ]


def _state(text: object) -> State:
    return State(text) if isinstance(text, str) and text in set(State) else State.UNKNOWN


def moment_ms(text: object) -> int | None:
    """Milliseconds of a served time."""
    if not isinstance(text, str):
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000)
    except ValueError:
        return None


def value_of(rule: Rule, reading: Reading) -> Scalar:
    """The field the rule looks at."""
    return value_at(reading.item, rule.condition.path)
