"""Served facts that save an agent a calculation: relations, readings and a short proof."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from orderflow.report import Report

Price = Decimal | None


class ShortQuality(Report):
    """The proof of a short answer; wadm://schema/quality describes every field."""

    state: str
    coverage: Decimal
    delta_proven: bool
    final: bool
    revision: int
    age_ms: int
    stale: bool
    next_update_at: str | None
    algo: str
    venues: dict[str, Decimal | None] = Field(description="share of the volume by instrument")


class Facts(Report):
    """Where the last price stands against the window's own value; null without trades."""

    price: Price
    place: Literal["above_value", "inside_value", "below_value"] | None
    to_poc: Decimal | None = Field(description="last price minus the POC's row; 0 inside it")
    to_poc_ticks: int | None
    to_poc_sigma: Decimal | None = Field(description="null when all volume has one price")
    vwap: Price = Field(description="to the nearest tick")
    sigma: Price = Field(description="deviation of price by volume, to the nearest tick")
    delta: Decimal
    delta_pct: Decimal | None
    venues_agree: bool | None = Field(description="signs of the venues' deltas; null for one")
    reason: str | None = Field(default=None, description="why numbers are null")


class NodeReport(Report):
    """A row with much more or much less volume than its neighbours."""

    type: Literal["HVN", "LVN"]
    price: Decimal
    volume: Decimal
    strength: Decimal = Field(description="prominence as a share of the largest row, 0 to 1")


class Histogram(Report):
    """Rows with volume in columns: row i begins at low + at[i] x step; volumes in lots."""

    low: Decimal
    step: Decimal
    lot_size: Decimal
    at: list[int]
    buy_lots: list[int]
    sell_lots: list[int]


class BandReport(Report):
    """VWAP plus and minus k sigma."""

    k: int
    lower: Decimal
    upper: Decimal


class MigrationReport(Report):
    """How the value area lies to that of the window before."""

    relation: str
    overlap: Decimal = Field(description="share of the newer area, 0 to 1")
    poc_shift: Decimal
    previous_poc: Decimal
    previous_start: str


class ProfileReading(Report):
    """What the histogram of a window looks like."""

    shape: str | None
    shapes: list[str] = Field(description="every shape whose rule holds")
    nodes: list[NodeReport]
    bands: list[BandReport]
    migration: MigrationReport | None
    migration_reason: str | None = Field(default=None, description="why there is no migration")


class LargeTradeReport(Report):
    """One of the largest prints of the window."""

    at: str
    instrument: str
    side: Literal["buy", "sell"]
    price: Decimal
    quantity: Decimal
    quote: Decimal


class SizeClassReport(Report):
    """Prints worth low <= notional < high in quote currency."""

    low_quote: Decimal
    high_quote: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    buy_prints: int
    sell_prints: int


class SweepsReport(Report):
    """Runs of prints of one aggressor in one millisecond through at least three prices."""

    count: int
    buy_volume: Decimal
    sell_volume: Decimal
    share_pct: Decimal | None


class CotReport(Report):
    """Delta at the last touch of the window's high and low, and since; of one stream only."""

    at_high: Decimal | None
    at_low: Decimal | None
    since_high: Decimal | None
    since_low: Decimal | None
    reason: str | None = None


class RungReport(Report):
    """One period of the flow ladder."""

    seconds: int
    delta: Decimal
    volume: Decimal
    delta_pct: Decimal | None


class MarketState(Report):
    """Words with a rule behind each: ask explain for flow_ladder, order_flow, absorption."""

    absorption_detected: bool | None = Field(description="an event of that kind in the window")
    momentum: str = Field(description="accelerating, steady, fading, flipping or quiet")
    side: Literal["buy", "sell"] | None
    strength: Decimal | None = Field(description="|buy - sell| / volume, 0 to 1")


class FlowReading(Report):
    """How the window's flow was made up."""

    cot: CotReport
    sweeps: SweepsReport
    ladder: list[RungReport]
    trades_per_s: Decimal | None = Field(description="mean of the window")
    size_classes: list[SizeClassReport] | None
    prints_reason: str | None = Field(default=None, description="why prints are null")
