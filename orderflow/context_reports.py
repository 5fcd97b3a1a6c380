"""Served answers about context: percentiles, events and base rates."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from orderflow.report import Answer, Report

Status = Literal["stands", "revised", "questioned", "withdrawn"]


class RankReport(Report):
    """Where a number stands among the instrument's own complete bars."""

    value: Decimal | None
    percentile: Decimal | None = Field(
        description="mean rank in percent; null with a reason below the least n"
    )
    at_least: Decimal | None = Field(description="lower bound of the exact percentile")
    at_most: Decimal | None = Field(description="upper bound of the exact percentile")
    magnitude_percentile: Decimal | None = Field(
        default=None, description="rank of the size without its sign; null for unsigned numbers"
    )
    n: int
    reason: str | None = Field(default=None, description="why there is no percentile")


class InstrumentContext(Report):
    """One instrument's numbers against its own history."""

    delta: RankReport
    volume: RankReport
    imbalance: RankReport
    range: RankReport
    intensity: RankReport = Field(description="trades per minute")


class ContextReport(Report):
    """How unusual a window is, per instrument: never against another's or a later bar."""

    timeframe: str
    hours: Literal["same", "all"] = Field(description="bars of the same UTC hour of day, or all")
    days: int = Field(description="so many days back")
    least_n: int
    before: str = Field(description="only bars that ended by then, published by now")
    window: str | None = Field(description="start of the whole window the values are of")
    instruments: dict[str, InstrumentContext]
    reason: str | None = Field(default=None, description="why there is no context")


class SourceReport(Report):
    """A bar behind an event; ask /footprint for it."""

    timeframe: str
    start: str
    revision: int
    content_hash: str


class OutcomeReport(Report):
    """What followed: null until it is due, and where a bar on the way is not complete."""

    minutes: int
    due_at: str
    close: Decimal | None
    change_pct: Decimal | None = Field(description="from the event's close, in percent")
    known_at: str | None


class EventReport(Report):
    """One claim with the numbers behind it."""

    id: str
    kind: str
    rule: str = Field(description="kind and version")
    symbol: str
    instrument: str
    timeframe: str
    period_start: str
    period_end: str
    at: str = Field(description="when it could be known: the end of its window")
    side: Literal["buy", "sell"] | None
    price: Decimal | None
    close: Decimal | None
    evidence: dict[str, Any]
    compared_since: str = Field(description="start of the oldest bar that was looked at")
    bars: list[SourceReport]
    state: str = Field(description="completeness of its bar")
    complete: bool
    status: Status
    revision: int
    correction: str | None = Field(description="id of the correction event that changed it")
    published_at: str
    changed_at: str
    outcomes: list[OutcomeReport] | None = None


class EventsReport(Answer):
    """Events, newest first; `next_cursor` asks for the older ones."""

    symbol: str
    exchange: str
    market: str
    source: str
    as_of: str | None = Field(description="the asked moment of publishing; null: now")
    since: str | None
    kinds: list[str]
    events: list[EventReport]
    next_cursor: str | None


class HorizonReport(Report):
    """What followed after so many minutes, in the direction of the event."""

    minutes: int
    n: int = Field(description="events whose outcome was known")
    hits: int = Field(description="positive returns; 0 is no hit")
    hit_rate: Decimal | None
    hit_rate_low: Decimal | None
    hit_rate_high: Decimal | None
    mean_pct: Decimal | None = Field(description="mean return in percent")
    quantiles_pct: dict[str, Decimal] = Field(description="order statistics in percent")


class BaseRatesReport(Answer):
    """How often, and what followed, as known at `as_of`; evidence, never advice."""

    symbol: str
    exchange: str
    market: str
    source: str
    kind: str
    rule: str
    meaning: str
    timeframe: str
    side: Literal["buy", "sell"] | None
    as_of: str | None = Field(description="the asked moment of publishing; null: now")
    since: str | None
    oldest: str | None = Field(description="the oldest event that was counted")
    count: int
    horizons: list[HorizonReport]
    method: str
    truncated: bool = Field(description="older events exist that were not read")
