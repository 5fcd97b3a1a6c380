"""Waiting for a condition instead of asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, cast

from mcp_server import parameters
from mcp_server.events import KINDS, EventQueries, event_question
from mcp_server.parameters import Question
from mcp_server.queries.reading import Reading
from orderflow.answers import iso
from orderflow.errors import StoreError, ValidationError
from orderflow.indicators.order_flow import ratio
from orderflow.level_reports import WaitReport
from orderflow.readings import steps_together, together
from orderflow.series import series
from orderflow.symbols import Selection
from orderflow.timeframe import (
    HOUR_MS,
    MINUTE_MS,
    TIMEFRAMES,
    Window,
    aligned,
    floor_ms,
    parse_timeframe,
    rolling,
)

Condition = Literal["price_above", "price_below", "delta_z", "event", "bar_close"]
CONDITIONS = ("price_above", "price_below", "delta_z", "event", "bar_close")
LONGEST_S = 60
DEFAULT_S = 20
STEP_S = 0.25
EVENT_STEP_S = 2.0
MINUTES = 60
LEAST_MINUTES = 30
PLACES = Decimal("0.01")
NEEDS = {
    "price_above": "value is a price",
    "price_below": "value is a price",
    "delta_z": "value is how many deviations, for example 3",
    "event": f"value is a kind: {', '.join(KINDS)}",
    "bar_close": f"value is a timeframe: {', '.join(TIMEFRAMES)}",
}
Progress = Callable[[float, float, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WaitQuestion:
    """A condition of one symbol, and how long to wait for it."""

    about: Question
    condition: Condition
    value: str
    timeout_s: int


class Look(NamedTuple):
    """One look at the market: is it so, what was seen, and the event that says so."""

    met: bool
    value: Decimal | str | None
    event_id: str | None = None


def wait_question(symbol: str, values: Mapping[str, str]) -> WaitQuestion:
    """A question from text; every error names the parameter and what it may be."""
    condition = cast("Condition", parameters.choice(values, "condition", CONDITIONS, None))
    if condition is None:
        raise ValidationError(f"condition is missing; allowed: {', '.join(CONDITIONS)}")
    value = values.get("value")
    if value is None:
        raise ValidationError(f"value is missing; {NEEDS[condition]}")
    if condition == "event" and value not in KINDS:
        raise ValidationError(NEEDS[condition])
    if condition == "bar_close":
        value = parse_timeframe(value)
    elif condition != "event":
        parameters.decimal(value, "value")
    limit = parameters.number(values.get("timeout_s"), "timeout_s", LONGEST_S) or DEFAULT_S
    rest = {k: v for k, v in values.items() if k in {"exchange", "market", "numbers"}}
    return WaitQuestion(parameters.question(symbol, rest), condition, value, limit)


class WaitQueries:
    """Waits on the live view; it costs one look four times a second."""

    def __init__(self, read: Reading, events: EventQueries) -> None:
        self.read = read
        self.events = events

    async def wait(self, asked: WaitQuestion, progress: Progress | None = None) -> WaitReport:
        """Returns when the condition holds, or at the timeout with `met` false and the reason."""
        selection = self.read.selection(asked.about)
        loop = asyncio.get_running_loop()
        started, told = loop.time(), loop.time()
        begun = self.read.now_ms(selection)
        step = EVENT_STEP_S if asked.condition == "event" else STEP_S
        while True:
            look = await self._look(asked, selection, begun)
            waited = loop.time() - started
            if look.met or waited >= asked.timeout_s:
                return self._report(asked, selection, look, waited)
            if progress is not None and loop.time() - told >= 1:
                told = loop.time()
                await progress(waited, asked.timeout_s, f"{asked.condition}: {look.value}")
            await asyncio.sleep(min(step, asked.timeout_s - waited))

    def _report(
        self, asked: WaitQuestion, selection: Selection, look: Look, waited_s: float
    ) -> WaitReport:
        reason = None if look.met else f"not within {asked.timeout_s} s; ask again to go on waiting"
        return WaitReport(
            met=look.met,
            condition=f"{asked.condition} {asked.value}",
            symbol=selection.symbol,
            value=look.value,
            waited_ms=int(waited_s * 1_000),
            at=iso(self.read.now_ms(selection)),
            reason=reason,
            event_id=look.event_id,
        )

    async def _look(self, asked: WaitQuestion, selection: Selection, begun_ms: int) -> Look:
        if asked.condition == "event":
            return await self._event(asked, begun_ms)
        now = self.read.now_ms(selection)
        if asked.condition == "bar_close":
            end = aligned(begun_ms, TIMEFRAMES[asked.value]).end_ms
            return Look(self._closed(selection, end), iso(end))
        if asked.condition == "delta_z":
            score = self._score(selection, floor_ms(now, MINUTE_MS))
            return Look(score is not None and abs(score) >= Decimal(asked.value), score)
        bar = together(self.read.flows(selection, rolling(now, HOUR_MS)))
        price = None if bar.close_ticks is None else bar.close_ticks * bar.tick_size
        level = Decimal(asked.value)
        above = asked.condition == "price_above"
        met = price is not None and (price > level if above else price < level)
        return Look(met, price)

    def _closed(self, selection: Selection, end_ms: int) -> bool:
        marks = [self.read.live.stream(i.name).watermark_ms or 0 for i in selection.instruments]
        return min(marks) >= end_ms

    def _score(self, selection: Selection, minute_ms: int) -> Decimal | None:
        """Deviations of the last whole minute's delta from the mean of the hour before."""
        window = Window(minute_ms - (MINUTES + 1) * MINUTE_MS, minute_ms)
        bars = series(steps_together(self.read.flows(selection, window, MINUTE_MS)))
        last = [bar.delta_lots for bar in bars if bar.start_ms == minute_ms - MINUTE_MS]
        before = [bar.delta_lots for bar in bars if bar.start_ms < minute_ms - MINUTE_MS]
        count = len(before)
        if not last or count < LEAST_MINUTES:
            return None
        total, squares = sum(before), sum(delta * delta for delta in before)
        spread = count * squares - total * total
        share = ratio(count * last[0] - total, 1)
        if share is None or spread <= 0:
            return None
        return (share / Decimal(spread).sqrt()).quantize(PLACES)

    async def _event(self, asked: WaitQuestion, begun_ms: int) -> Look:
        about = asked.about
        values = {
            "symbol": about.symbol,
            "kinds": asked.value,
            "since": str(begun_ms),
            "limit": "1",
        }
        values |= {k: v for k in ("exchange", "market") if (v := getattr(about, k)) is not None}
        try:
            found = (await self.events.events(event_question(values))).events
        except StoreError:
            return Look(False, None)
        return Look(True, found[0].kind, found[0].id) if found else Look(False, None)
