"""Served answers of several windows at once: key levels, comparisons and changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from orderflow.fact_reports import NodeReport, ShortQuality
from orderflow.report import Answer, Report

Price = Decimal | None


class LevelReport(Report):
    """One price with its origin, and where the last price stands to it."""

    name: str = Field(description="for example previous_day_poc, us_high, vwap_upper_1")
    price: Decimal
    distance: Decimal = Field(description="last price minus level")
    distance_ticks: int
    side: Literal["above", "below", "at"] = Field(description="the level, seen from the price")
    since: str | None = Field(default=None, description="close of the session it comes from")


class MissingLevel(Report):
    """A group of levels that can't be said."""

    name: str
    reason: str


class KeyLevelsReport(Answer):
    """Prices that earlier sessions left behind, nearest first."""

    symbol: str
    exchange: str
    market: str
    source: str
    timestamp: str
    price: Price
    tick_size: Decimal
    levels: list[LevelReport]
    nodes: list[NodeReport] = Field(description="of the last 24 hours")
    missing: list[MissingLevel]
    quality: ShortQuality


class SideReport(Report):
    """One side of a comparison."""

    name: str
    delta_quote: Decimal
    volume_quote: Decimal
    delta_pct: Decimal | None
    share_pct: Decimal | None
    premium_bps: Decimal | None = Field(
        description="VWAP over that of the reference; null for the reference itself"
    )
    poc: Price
    last: Price
    state: str


class LeadReport(Report):
    """Who leads whom by correlation of price changes at lags."""

    first: str
    second: str
    leader: str | None
    ratio: Decimal | None
    pairs: int


class SpotPerpReport(Report):
    """Spot against perpetual over the same window."""

    state: str
    diverges: bool | None
    spot_cvd_quote: Decimal
    perp_cvd_quote: Decimal
    correlation: Decimal | None
    premium_bps: Decimal | None = Field(description="perpetual VWAP over spot VWAP")


class WindowsReport(Report):
    """This window against the one before it."""

    relation: str
    overlap: Decimal
    poc_shift: Decimal
    volume_ratio: Decimal | None = Field(description="this volume / that before")
    delta_before: Decimal
    delta_now: Decimal


class CompareReport(Answer):
    """Venues, markets and windows beside each other."""

    symbol: str
    market: str
    source: str
    timeframe: str
    period_start: str
    period_end: str
    agree: bool | None = Field(description="venues' deltas have one sign; null for one venue")
    dissenters: list[str]
    leader: str | None
    reference: str | None
    sides: list[SideReport]
    lead_lag: list[LeadReport]
    spot_perp: SpotPerpReport | None
    windows: WindowsReport | None
    reasons: dict[str, str] = Field(description="why a part is null")
    quality: ShortQuality


class ChangeReport(Report):
    """One number that moved."""

    name: str
    before: Decimal | str | None
    now: Decimal | str | None
    change: Decimal | None


class ChangesReport(Answer):
    """What changed since a time: the window as it stood then against now."""

    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str
    since: str
    now: str
    since_revision: int | None = Field(description="of the window that begins at `since`, if asked")
    revision: int | None = Field(description="the newest one of that window")
    changed: bool
    changes: list[ChangeReport]
    unchanged: list[str]
    revised: list[str] = Field(description="ids of corrections since; ask get_events for them")
    new_events: int | None
    reasons: dict[str, str]
    quality: ShortQuality


class ParameterCard(Report):
    """One choice of an indicator."""

    name: str
    default: str
    unit: str
    meaning: str


class CardReport(Report):
    """A rule card."""

    algo: str
    family: str
    summary: str
    formula: str
    units: str
    parameters: list[ParameterCard]
    ties: str
    edges: list[str]
    merging: str
    evidence: str
    not_evidence: str
    source: str


class ExplainReport(Answer):
    """One rule card, or the list of what can be explained."""

    name: str | None
    card: CardReport | None
    known: dict[str, list[str]] = Field(description="names by family; empty with a card")


class WaitReport(Answer):
    """How a wait ended."""

    met: bool
    condition: str
    symbol: str
    value: Decimal | str | None = Field(description="what was compared, when it ended")
    waited_ms: int
    at: str
    reason: str | None = Field(default=None, description="why it was not met")
    event_id: str | None = None
