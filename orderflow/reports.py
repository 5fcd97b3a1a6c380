"""The served answers: what the outside sees. Numbers are exact decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from orderflow.context_reports import ContextReport
from orderflow.fact_reports import (
    Facts,
    FlowReading,
    Histogram,
    LargeTradeReport,
    MarketState,
    ProfileReading,
    ShortQuality,
)
from orderflow.report import Answer, Report

Price = Decimal | None
NodeName = Literal["HVN", "LVN"]


class GapReport(Report):
    """A known hole in the trades of one instrument."""

    instrument: str
    start: str
    end: str
    reason: str
    missing: int | None = Field(description="missing trade ids; null where nobody can know")


class Completeness(Report):
    """How far the answer is proven."""

    state: str = Field(description="worst state of its parts, see docs/indicators.md")
    coverage: Decimal = Field(description="observed share of the window's time, 0 to 1")
    gaps: list[GapReport]
    delta_proven: bool = Field(description="the venue's own taker-buy volume was compared")


class VenueQuality(Report):
    """One instrument's part of an answer."""

    state: str
    share: Decimal | None = Field(description="share of the total volume")
    first_id: int | None = None
    last_id: int | None = None
    missing: int = 0
    missing_volume: Decimal = Field(
        default=Decimal(0), description="what the venue's own candles have more than we"
    )


class Quality(Report):
    """Age, finality and proof of an answer."""

    final: bool
    revision: int
    applied_through: str
    age_ms: int
    stale: bool
    next_update_at: str | None
    next_update_in_ms: int | None
    source: str
    content_hash: str
    algo: str
    completeness: Completeness
    venues: dict[str, VenueQuality]


class Identity(Answer):
    """What an answer is about."""

    symbol: str
    exchange: str = Field(description="a venue, or aggregated: all of `quality.venues`")
    market: str
    source: str = Field(description="live or simulated")
    window: Literal["rolling", "aligned"]
    period_start: str
    period_end: str
    timestamp: str = Field(description="venue time of the answer")


class PriceRange(Report):
    """Highest and lowest traded price."""

    high: Price
    low: Price


class ProfileSummary(Report):
    """The profile's headline numbers, as in the seed's schema."""

    poc: Price
    vah: Price
    val: Price
    value_area_volume: Decimal
    total_volume: Decimal
    total_trades: int
    price_range: PriceRange


class Level(Report):
    """One row: [price, price + row_size)."""

    price: Decimal
    volume: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    delta: Decimal
    trades: int
    percentage: Decimal = Field(description="share of the total volume in percent")
    type: NodeName | None = Field(description="null: neither; set at detail=full")


class VolumeProfileReport(Identity):
    """POC, value area and volume at price. Prices are the low price of their row."""

    timeframe: str
    poc: Price
    vah: Price
    val: Price
    poc_high: Price = Field(description="highest price of the POC's row")
    vah_high: Price = Field(description="highest price of the value area")
    open: Price
    close: Price
    total_volume: Decimal
    value_area_volume: Decimal
    va_method: Literal["single", "pair"]
    va_pct: Decimal | None = Field(description="share the value area really holds, in percent")
    row_size: Decimal
    summary: ProfileSummary | None = None
    levels: list[Level] | None = None
    histogram: Histogram | None = Field(default=None, description="at detail=rows")
    levels_truncated: bool
    facts: Facts | None = None
    reading: ProfileReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: Quality | ShortQuality


class SideCounts(Report):
    """A count of both sides."""

    buy: int
    sell: int


class SideSizes(Report):
    """A size of both sides; null without trades."""

    buy: Decimal | None
    sell: Decimal | None


class FlowBarReport(Report):
    """One step of an order-flow answer."""

    start: str
    delta: Decimal
    min_delta: Decimal | None
    max_delta: Decimal | None
    volume: Decimal
    close: Price


class VpinReport(Report):
    """Volume-synchronised order-flow imbalance of one instrument, whatever the answer's window."""

    value: Decimal | None = Field(description="0 to 1; null while invalid, see reason")
    reason: str | None
    bucket_volume: Decimal | None = Field(description="a fiftieth of the UTC day before's volume")
    buckets: int = Field(description="full buckets the value looks back on")
    filled: int = Field(description="buckets filled without a gap")
    through: str | None = Field(description="newest trade counted")
    algo: str


class OrderFlowReport(Identity):
    """Delta, cumulative delta, imbalance and volumes by aggressor."""

    period: str
    delta: Decimal
    delta_pct: Decimal | None
    cumulative_delta: Decimal | None
    cumulative_delta_anchor: str | None = Field(description="the sum starts here")
    buy_volume: Decimal
    sell_volume: Decimal
    total_volume: Decimal
    buy_quote_volume: Decimal
    sell_quote_volume: Decimal
    trades_count: SideCounts
    avg_trade_size: SideSizes
    imbalance_ratio: Decimal | None = Field(description="buy / sell; null when sell is 0")
    buy_ratio: Decimal | None = Field(description="buy / volume, 0 to 1")
    imbalance: Decimal | None = Field(description="(buy - sell) / volume, -1 to 1")
    min_delta: Decimal | None
    max_delta: Decimal | None
    resolution_ms: int | None = Field(
        description="extremes are known at this step only, where several venues are combined"
    )
    open: Price
    high: Price
    low: Price
    close: Price
    bars: list[FlowBarReport] | None = None
    vpin: dict[str, VpinReport] | None = Field(
        default=None, description="by instrument; at detail=full, about now only"
    )
    large_trades: list[LargeTradeReport] | None = None
    market_state: MarketState | None = None
    reading: FlowReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: Quality | ShortQuality


class FootprintBarReport(Report):
    """One aligned bar, as the venue's candle has it, with delta and value area."""

    period_start: str
    period_end: str
    open: Price
    high: Price
    low: Price
    close: Price
    total_volume: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    quote_volume: Decimal
    buy_quote_volume: Decimal
    sell_quote_volume: Decimal
    total_trades: int
    buy_trades: int
    sell_trades: int
    delta: Decimal
    min_delta: Decimal | None
    max_delta: Decimal | None
    poc: Price
    vah: Price
    val: Price
    first_id: int | None
    last_id: int | None
    row_size: Decimal
    rows: list[tuple[Decimal, Decimal, Decimal, int]] | None = Field(
        default=None, description="price, buy volume, sell volume, trades"
    )
    final: bool
    revision: int
    state: str
    coverage: Decimal
    content_hash: str
    context: ContextReport | None = None


class FootprintReport(Answer):
    """Footprint bars, oldest first."""

    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str
    bars: list[FootprintBarReport]


class ProfileHistory(Answer):
    """Aligned profiles, oldest first."""

    symbol: str
    timeframe: str
    items: list[VolumeProfileReport]


class FlowHistory(Answer):
    """Aligned order flow, oldest first."""

    symbol: str
    period: str
    items: list[OrderFlowReport]


class MarketLine(Report):
    """One symbol in a few numbers: profile of the timeframe, delta of the period."""

    price: Price
    poc: Price
    vah: Price
    val: Price
    place: str | None
    to_poc_ticks: int | None
    to_poc_sigma: Decimal | None
    delta: Decimal
    delta_pct: Decimal | None
    cumulative_delta: Decimal | None
    venues_agree: bool | None
    state: str
    stale: bool


class SnapshotLine(Report):
    """One symbol in a snapshot: its profile and flow, or why there is none."""

    symbol: str
    line: MarketLine | None = None
    profile: VolumeProfileReport | None = None
    flow: OrderFlowReport | None = None
    error: str | None = None


class SnapshotReport(Answer):
    """Several symbols in one answer."""

    source: str
    timeframe: str
    period: str
    symbols: list[SnapshotLine]


class SummaryReport(Answer):
    """Profile and flow of one symbol together."""

    symbol: str
    source: str
    volume_profile: VolumeProfileReport
    order_flow: OrderFlowReport


class SymbolLine(Report):
    """One collected instrument."""

    symbol: str
    instrument: str
    exchange: str
    market: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    status: str
    row_sizes: dict[str, str]


class SymbolsReport(Answer):
    """Everything that is collected, and the allowed values of the other questions."""

    source: str
    symbols: list[SymbolLine]
    timeframes: list[str]
    periods: list[str]


class ErrorReport(Report):
    """Every error, over REST and MCP."""

    error: str
    message: str
    code: str
    retry_after: int | None = None
    request_id: str
