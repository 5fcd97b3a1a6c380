"""Events and their base rates, from the store; transport-free."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from backbone.clock import wall_ms
from backbone.live import LiveView
from backbone.store.base import EVENTS, Query, Store
from mcp_server import parameters
from mcp_server.parameters import Numbers
from mcp_server.selection import selected
from orderflow.answers import iso
from orderflow.base_rates import METHOD, Horizon, base_rates
from orderflow.context_reports import (
    BaseRatesReport,
    EventReport,
    EventsReport,
    HorizonReport,
    OutcomeReport,
    SourceReport,
)
from orderflow.detectors import DETECTORS
from orderflow.errors import NotFoundError, NotReadyError, StoreError, ValidationError
from orderflow.event import CORRECTION, EVENT_SERIES, HORIZONS_MIN, Event, events_from_body
from orderflow.symbols import Selection
from orderflow.timeframe import DAY_MS, MINUTE_MS, Window, parse_timeframe

KINDS = (*DETECTORS, CORRECTION)
COMMON = (
    "symbol",
    "exchange",
    "market",
    "timeframe",
    "side",
    "since",
    "as_of",
    "numbers",
    "max_tokens",
)
EVENT_NAMES = (*COMMON, "kinds", "limit", "cursor")
RATE_NAMES = COMMON
KEPT_DAYS = 30
DEFAULT_LIMIT = 50
MOST_EVENTS = 200
PAGES_PER_READ = 250
MOST_READS = 20
"""An answer reads at most so many pages x reads of every instrument."""
ABSORPTION = frozenset({"absorption", "absorption_at_extreme"})
CURSOR = re.compile(r"([0-9]{1,15})-([0-9a-f]{32})")
RETRY_S = 5
PERCENT_PLACES = Decimal("0.000001")
Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """One question about events; None means the default."""

    symbol: str
    exchange: str | None
    market: str | None
    kinds: tuple[str, ...]
    timeframe: str | None
    side: Side | None
    since_ms: int | None
    as_of_ms: int | None
    limit: int
    cursor: tuple[int, str] | None
    numbers: Numbers
    max_tokens: int | None = None


def event_question(values: Mapping[str, str]) -> EventQuestion:
    """A question from text; every error names the parameter and what it may be."""
    word = parameters.word
    name = values.get("timeframe")
    symbol = values.get("symbol")
    if not symbol:
        raise ValidationError("symbol is missing; see /symbols for the collected ones")
    return EventQuestion(
        symbol=symbol,
        exchange=word(values, "exchange"),
        market=word(values, "market"),
        kinds=_kinds(values.get("kinds")),
        timeframe=None if name is None else parse_timeframe(name),
        side=cast("Side | None", parameters.choice(values, "side", ("buy", "sell"), None)),
        since_ms=parameters.moment(values.get("since"), "since"),
        as_of_ms=parameters.moment(values.get("as_of"), "as_of"),
        limit=parameters.number(values.get("limit"), "limit", MOST_EVENTS) or DEFAULT_LIMIT,
        cursor=_cursor(values.get("cursor")),
        numbers=cast("Numbers", parameters.choice(values, "numbers", ("json", "string"), "json")),
        max_tokens=parameters.tokens(values),
    )


def _kinds(text: str | None) -> tuple[str, ...]:
    if text is None:
        return KINDS
    asked = tuple(part.strip() for part in text.split(","))
    if not asked or any(kind not in KINDS for kind in asked):
        raise ValidationError(f"unknown kinds; allowed, by comma: {', '.join(KINDS)}")
    return tuple(dict.fromkeys(asked))


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = CURSOR.fullmatch(text)
    if found is None:
        raise ValidationError("cursor must be a next_cursor of an earlier answer")
    return int(found[1]), found[2]


class EventQueries:
    """Answers about events."""

    def __init__(self, live: LiveView, store: Store) -> None:
        self.live = live
        self.store = store

    async def events(self, asked: EventQuestion) -> EventsReport:
        """Events of a symbol, newest first, at most `limit`."""
        selection, since, as_of = self._frame(asked)
        last = asked.cursor or (self._end(selection), "")
        found: list[Event] = []
        cursor: tuple[int, str] | None = None
        async for reached, events in self._backwards(selection, since, last[0] + MINUTE_MS):
            fitting = [e for e in events if _fits(e, asked, as_of) and (e.at_ms, e.id) < last]
            found += sorted(fitting, key=lambda e: (e.at_ms, e.id), reverse=True)
            if len(found) > asked.limit:
                found = found[: asked.limit]
                cursor = (found[-1].at_ms, found[-1].id)
                break
            cursor = (reached, "0" * 32) if reached > since else None
        return EventsReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.live.source,
            as_of=None if asked.as_of_ms is None else iso(asked.as_of_ms),
            since=None if asked.since_ms is None else iso(asked.since_ms),
            kinds=list(asked.kinds),
            events=[_report(event, as_of) for event in found],
            next_cursor=None if cursor is None else f"{cursor[0]}-{cursor[1]}",
        )

    async def absorbed(self, selection: Selection, window: Window) -> bool | None:
        """Whether absorption was seen in a window; None while the store is away."""
        try:
            async for _, events in self._backwards(selection, window.start_ms, window.end_ms):
                if any(event.kind in ABSORPTION for event in events):
                    return True
        except StoreError:
            return None
        return False

    async def base_rates(self, kind: str, asked: EventQuestion) -> BaseRatesReport:
        """Base rates of one kind of event on one timeframe."""
        rule = DETECTORS.get(kind)
        if rule is None:
            raise ValidationError(f"unknown kind; allowed: {', '.join(DETECTORS)}")
        timeframe = asked.timeframe or ("5m" if "5m" in rule.timeframes else rule.timeframes[0])
        if timeframe not in rule.timeframes:
            names = ", ".join(rule.timeframes)
            raise ValidationError(f"{kind} is looked for on these timeframes only: {names}")
        selection, since, as_of = self._frame(asked)
        known: list[Event] = []
        reached = self._end(selection)
        async for start, events in self._backwards(selection, since, reached):
            reached = start
            known += [
                event
                for event in events
                if (event.kind, event.rule, event.timeframe) == (kind, rule.name, timeframe)
                and asked.side in (None, event.side)
            ]
        rates = base_rates(known, as_of)
        return BaseRatesReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.live.source,
            kind=kind,
            rule=rule.name,
            meaning=rule.meaning,
            timeframe=timeframe,
            side=asked.side,
            as_of=None if asked.as_of_ms is None else iso(asked.as_of_ms),
            since=None if asked.since_ms is None else iso(asked.since_ms),
            oldest=None if rates.oldest_ms is None else iso(rates.oldest_ms),
            count=rates.count,
            horizons=[_horizon(horizon) for horizon in rates.horizons],
            method=METHOD,
            truncated=reached > since,
        )

    def _frame(self, asked: EventQuestion) -> tuple[Selection, int, int]:
        """(selection, oldest exchange time, newest publishing time)."""
        instruments = self.live.instruments()
        if not instruments:
            raise NotReadyError("nothing is collected yet; try again", retry_after_s=RETRY_S)
        selection = selected(asked.symbol, instruments, asked.exchange, asked.market)
        wall = wall_ms()
        as_of = wall if asked.as_of_ms is None else asked.as_of_ms
        if as_of < wall - KEPT_DAYS * DAY_MS:
            raise NotFoundError(f"events of that time have expired after {KEPT_DAYS} days")
        oldest = self._end(selection) - KEPT_DAYS * DAY_MS
        since = oldest if asked.since_ms is None else max(asked.since_ms, 0)
        return selection, since, as_of

    def _end(self, selection: Selection) -> int:
        return max(self.live.now_ms(i.name) for i in selection.instruments) + MINUTE_MS

    async def _backwards(
        self, selection: Selection, since: int, end: int
    ) -> AsyncIterator[tuple[int, list[Event]]]:
        """(reached, every event of [reached, end)), going back to `since` in bounded reads."""
        for _ in range(MOST_READS):
            if end <= since:
                return
            reached, pages = since, []
            for instrument in selection.instruments:
                records = await self.store.query(
                    Query(
                        EVENTS,
                        instrument.name,
                        EVENT_SERIES,
                        since,
                        end,
                        wall_ms(),
                        PAGES_PER_READ,
                    )
                )
                pages += records
                if len(records) == PAGES_PER_READ:
                    reached = max(reached, records[0].start_ms)
            events = [
                event
                for page in pages
                if page.start_ms >= reached
                for event in events_from_body(page.body)
            ]
            yield reached, events
            end = reached
            await asyncio.sleep(0)


def _fits(event: Event, asked: EventQuestion, as_of_ms: int) -> bool:
    return (
        event.kind in asked.kinds
        and asked.timeframe in (None, event.timeframe)
        and asked.side in (None, event.side)
        and event.said_at(as_of_ms) is not None
        and (asked.since_ms is None or event.at_ms >= asked.since_ms)
    )


def _report(event: Event, as_of_ms: int) -> EventReport:
    """An event as it was known then."""
    said = event.said_at(as_of_ms) or event.changes[0]
    return EventReport(
        id=event.id,
        kind=event.kind,
        rule=event.rule,
        symbol=event.instrument.rpartition(":")[2],
        instrument=event.instrument,
        timeframe=event.timeframe,
        period_start=iso(event.start_ms),
        period_end=iso(event.end_ms),
        at=iso(event.at_ms),
        side=event.side,
        price=event.price,
        close=event.close,
        evidence=event.evidence,
        compared_since=iso(event.since_ms),
        bars=[
            SourceReport(
                timeframe=source.timeframe,
                start=iso(source.start_ms),
                revision=source.revision,
                content_hash=source.content_hash,
            )
            for source in event.sources
        ],
        state=event.state,
        complete=said.complete,
        status=said.status,
        revision=event.changes.index(said),
        correction=said.correction,
        published_at=iso(event.published_wall_ms),
        changed_at=iso(said.wall_ms),
        outcomes=None if event.kind == CORRECTION else _outcomes(event, as_of_ms),
    )


def _outcomes(event: Event, as_of_ms: int) -> list[OutcomeReport]:
    found = []
    for minutes in HORIZONS_MIN:
        outcome = event.outcome_at(minutes, as_of_ms)
        found.append(
            OutcomeReport(
                minutes=minutes,
                due_at=iso(event.at_ms + minutes * MINUTE_MS),
                close=None if outcome is None else outcome.close,
                change_pct=None if outcome is None else _percent(outcome.change),
                known_at=None if outcome is None else iso(outcome.known_wall_ms),
            )
        )
    return found


def _percent(change: Decimal) -> Decimal:
    """A return of eight places in percent, without loss."""
    return (change * 100).quantize(PERCENT_PLACES)


def _horizon(horizon: Horizon) -> HorizonReport:
    return HorizonReport(
        minutes=horizon.minutes,
        n=horizon.n,
        hits=horizon.hits,
        hit_rate=horizon.hit_rate,
        hit_rate_low=horizon.low,
        hit_rate_high=horizon.high,
        mean_pct=None if horizon.mean is None else _percent(horizon.mean),
        quantiles_pct={name: _percent(value) for name, value in horizon.quantiles.items()},
    )
