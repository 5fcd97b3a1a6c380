"""Answers of the server. Written by write_types.py from /openapi.json: do not edit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from wadm_client.report import Report


class BandReport(Report, frozen=True, kw_only=True):
    """VWAP plus and minus k sigma."""

    k: int
    lower: Decimal
    upper: Decimal


class BaseRatesReport(Report, frozen=True, kw_only=True):
    """How often, and what followed, as known at `as_of`; evidence, never advice."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    kind: str
    rule: str
    meaning: str
    timeframe: str
    side: str | None
    as_of: str | None
    since: str | None
    oldest: str | None
    count: int
    horizons: list[HorizonReport]
    method: str
    truncated: bool


class BreakerLine(Report, frozen=True, kw_only=True):
    """A breaker: closed, half_open or open; when it lets the next try pass."""

    name: str
    state: str
    failures: int
    opened: int
    retry_in_ms: int | None


class CardReport(Report, frozen=True, kw_only=True):
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


class ChangeReport(Report, frozen=True, kw_only=True):
    """One number that moved."""

    name: str
    before: Decimal | None
    now: Decimal | None
    change: Decimal | None


class ChangesReport(Report, frozen=True, kw_only=True):
    """What changed since a time: the window as it stood then against now."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str
    since: str
    now: str
    since_revision: int | None
    revision: int | None
    changed: bool
    changes: list[ChangeReport]
    unchanged: list[str]
    revised: list[str]
    new_events: int | None
    reasons: dict[str, str]
    quality: ShortQuality


class CompareReport(Report, frozen=True, kw_only=True):
    """Venues, markets and windows beside each other."""

    dropped: dict[str, int] | None = None
    symbol: str
    market: str
    source: str
    timeframe: str
    period_start: str
    period_end: str
    agree: bool | None
    dissenters: list[str]
    leader: str | None
    reference: str | None
    sides: list[SideReport]
    lead_lag: list[LeadReport]
    spot_perp: SpotPerpReport | None
    windows: WindowsReport | None
    reasons: dict[str, str]
    quality: ShortQuality


class Completeness(Report, frozen=True, kw_only=True):
    """How far the answer is proven."""

    state: str
    coverage: Decimal
    gaps: list[GapReport]
    delta_proven: bool


class ContextReport(Report, frozen=True, kw_only=True):
    """How unusual a window is, per instrument: never against another's or a later bar."""

    timeframe: str
    hours: str
    days: int
    least_n: int
    before: str
    window: str | None
    instruments: dict[str, InstrumentContext]
    reason: str | None = None


class CotReport(Report, frozen=True, kw_only=True):
    """Delta at the last touch of the window's high and low, and since; of one stream only."""

    at_high: Decimal | None
    at_low: Decimal | None
    since_high: Decimal | None
    since_low: Decimal | None
    reason: str | None = None


class DerivativeMinuteReport(Report, frozen=True, kw_only=True):
    """One minute; null means that the venue has not said it since the last interruption."""

    start: str
    whole: bool
    funding_rate: Decimal | None
    next_funding: str | None
    mark_price: Decimal | None
    index_price: Decimal | None
    open_interest: Decimal | None
    open_interest_at: str | None
    liquidated_longs: LiquidatedReport
    liquidated_shorts: LiquidatedReport


class DerivativesReport(Report, frozen=True, kw_only=True):
    """Context of a perpetual, per venue; never part of any trade number."""

    dropped: dict[str, int] | None = None
    symbol: str
    source: str
    instruments: dict[str, InstrumentDerivatives]


class ErrorReport(Report, frozen=True, kw_only=True):
    """Every error, over REST and MCP."""

    error: str
    message: str
    code: str
    retry_after: int | None = None
    request_id: str


class EventReport(Report, frozen=True, kw_only=True):
    """One claim with the numbers behind it."""

    id: str
    kind: str
    rule: str
    symbol: str
    instrument: str
    timeframe: str
    period_start: str
    period_end: str
    at: str
    side: str | None
    price: Decimal | None
    close: Decimal | None
    evidence: dict[str, Any]
    compared_since: str
    bars: list[SourceReport]
    state: str
    complete: bool
    status: str
    revision: int
    correction: str | None
    published_at: str
    changed_at: str
    outcomes: list[OutcomeReport] | None = None


class EventsReport(Report, frozen=True, kw_only=True):
    """Events, newest first; `next_cursor` asks for the older ones."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    as_of: str | None
    since: str | None
    kinds: list[str]
    events: list[EventReport]
    next_cursor: str | None


class ExplainReport(Report, frozen=True, kw_only=True):
    """One rule card, or the list of what can be explained."""

    dropped: dict[str, int] | None = None
    name: str | None
    card: CardReport | None
    known: dict[str, list[str]]


class Facts(Report, frozen=True, kw_only=True):
    """Where the last price stands against the window's own value; null without trades."""

    price: Decimal | None
    place: str | None
    to_poc: Decimal | None
    to_poc_ticks: int | None
    to_poc_sigma: Decimal | None
    vwap: Decimal | None
    sigma: Decimal | None
    delta: Decimal
    delta_pct: Decimal | None
    venues_agree: bool | None
    reason: str | None = None


class FeedLine(Report, frozen=True, kw_only=True):
    """State of one connection."""

    connection: str
    state: str
    instruments: int
    connects: int
    frames: int
    trades: int
    dropped: int
    malformed: int
    rejected: dict[str, int]
    last_frame_age_ms: int | None
    error: str | None
    causes: dict[str, int]
    quiet: list[str]


class FlowBarReport(Report, frozen=True, kw_only=True):
    """One step of an order-flow answer."""

    start: str
    delta: Decimal
    min_delta: Decimal | None
    max_delta: Decimal | None
    volume: Decimal
    close: Decimal | None


class FlowHistory(Report, frozen=True, kw_only=True):
    """Aligned order flow, oldest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    period: str
    items: list[OrderFlowReport]


class FlowReading(Report, frozen=True, kw_only=True):
    """How the window's flow was made up."""

    cot: CotReport
    sweeps: SweepsReport
    ladder: list[RungReport]
    trades_per_s: Decimal | None
    size_classes: list[SizeClassReport] | None
    prints_reason: str | None = None


class FootprintBarReport(Report, frozen=True, kw_only=True):
    """One aligned bar, as the venue's candle has it, with delta and value area."""

    period_start: str
    period_end: str
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
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
    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None
    first_id: int | None
    last_id: int | None
    row_size: Decimal
    rows: list[tuple[Decimal, Decimal, Decimal, int]] | None = None
    final: bool
    revision: int
    state: str
    coverage: Decimal
    content_hash: str
    context: ContextReport | None = None


class FootprintReport(Report, frozen=True, kw_only=True):
    """Footprint bars, oldest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str
    bars: list[FootprintBarReport]


class GapReport(Report, frozen=True, kw_only=True):
    """A known hole in the trades of one instrument."""

    instrument: str
    start: str
    end: str
    reason: str
    missing: int | None


class HealthReport(Report, frozen=True, kw_only=True):
    """All that anybody without a key may know: `status` is ok, starting or stale."""

    status: str
    ready: bool


class Histogram(Report, frozen=True, kw_only=True):
    """Rows with volume in columns: row i begins at low + at[i] x step; volumes in lots."""

    low: Decimal
    step: Decimal
    lot_size: Decimal
    at: list[int]
    buy_lots: list[int]
    sell_lots: list[int]


class HorizonReport(Report, frozen=True, kw_only=True):
    """What followed after so many minutes, in the direction of the event."""

    minutes: int
    n: int
    hits: int
    hit_rate: Decimal | None
    hit_rate_low: Decimal | None
    hit_rate_high: Decimal | None
    mean_pct: Decimal | None
    quantiles_pct: dict[str, Decimal]


class IndicatorReport(Report, frozen=True, kw_only=True):
    """One indicator; `explain` of the same name says what every number means."""

    dropped: dict[str, int] | None = None
    name: str
    algo: str
    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str
    bars_used: int
    period_start: str
    period_end: str
    facts: dict[str, Any]
    items: list[dict[str, Any]]
    reason: str | None = None
    quality: ShortQuality


class InstrumentContext(Report, frozen=True, kw_only=True):
    """One instrument's numbers against its own history."""

    delta: RankReport
    volume: RankReport
    imbalance: RankReport
    range: RankReport
    intensity: RankReport


class InstrumentDerivatives(Report, frozen=True, kw_only=True):
    """One perpetual's minutes, oldest first."""

    liquidations: str
    age_ms: int | None
    minutes: list[DerivativeMinuteReport]
    reason: str | None = None


class KeyLevelsReport(Report, frozen=True, kw_only=True):
    """Prices that earlier sessions left behind, nearest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    timestamp: str
    price: Decimal | None
    tick_size: Decimal
    levels: list[LevelReport]
    nodes: list[NodeReport]
    missing: list[MissingLevel]
    quality: ShortQuality


class LargeTradeReport(Report, frozen=True, kw_only=True):
    """One of the largest prints of the window."""

    at: str
    instrument: str
    side: str
    price: Decimal
    quantity: Decimal
    quote: Decimal


class LeadReport(Report, frozen=True, kw_only=True):
    """Who leads whom by correlation of price changes at lags."""

    first: str
    second: str
    leader: str | None
    ratio: Decimal | None
    pairs: int


class Level(Report, frozen=True, kw_only=True):
    """One row: [price, price + row_size)."""

    price: Decimal
    volume: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    delta: Decimal
    trades: int
    percentage: Decimal
    type: str | None


class LevelReport(Report, frozen=True, kw_only=True):
    """One price with its origin, and where the last price stands to it."""

    name: str
    price: Decimal
    distance: Decimal
    distance_ticks: int
    side: str
    since: str | None = None


class LiquidatedReport(Report, frozen=True, kw_only=True):
    """Liquidated positions of one kind."""

    count: int
    quantity: Decimal


class MarketLine(Report, frozen=True, kw_only=True):
    """One symbol in a few numbers: profile of the timeframe, delta of the period."""

    price: Decimal | None
    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None
    place: str | None
    to_poc_ticks: int | None
    to_poc_sigma: Decimal | None
    delta: Decimal
    delta_pct: Decimal | None
    cumulative_delta: Decimal | None
    venues_agree: bool | None
    state: str
    stale: bool


class MarketState(Report, frozen=True, kw_only=True):
    """Words with a rule behind each: ask explain for flow_ladder, order_flow, absorption."""

    absorption_detected: bool | None
    momentum: str
    side: str | None
    strength: Decimal | None


class MigrationReport(Report, frozen=True, kw_only=True):
    """How the value area lies to that of the window before."""

    relation: str
    overlap: Decimal
    poc_shift: Decimal
    previous_poc: Decimal
    previous_start: str


class MissingLevel(Report, frozen=True, kw_only=True):
    """A group of levels that can't be said."""

    name: str
    reason: str


class NodeReport(Report, frozen=True, kw_only=True):
    """A row with much more or much less volume than its neighbours."""

    type: str
    price: Decimal
    volume: Decimal
    strength: Decimal


class OrderFlowReport(Report, frozen=True, kw_only=True):
    """Delta, cumulative delta, imbalance and volumes by aggressor."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    window: str
    period_start: str
    period_end: str
    timestamp: str
    period: str
    delta: Decimal
    delta_pct: Decimal | None
    cumulative_delta: Decimal | None
    cumulative_delta_anchor: str | None
    buy_volume: Decimal
    sell_volume: Decimal
    total_volume: Decimal
    buy_quote_volume: Decimal
    sell_quote_volume: Decimal
    trades_count: SideCounts
    avg_trade_size: SideSizes
    imbalance_ratio: Decimal | None
    buy_ratio: Decimal | None
    imbalance: Decimal | None
    min_delta: Decimal | None
    max_delta: Decimal | None
    resolution_ms: int | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    bars: list[FlowBarReport] | None = None
    vpin: dict[str, VpinReport] | None = None
    large_trades: list[LargeTradeReport] | None = None
    market_state: MarketState | None = None
    reading: FlowReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: Quality


class OutcomeReport(Report, frozen=True, kw_only=True):
    """What followed: null until it is due, and where a bar on the way is not complete."""

    minutes: int
    due_at: str
    close: Decimal | None
    change_pct: Decimal | None
    known_at: str | None


class ParameterCard(Report, frozen=True, kw_only=True):
    """One choice of an indicator."""

    name: str
    default: str
    unit: str
    meaning: str


class PriceRange(Report, frozen=True, kw_only=True):
    """Highest and lowest traded price."""

    high: Decimal | None
    low: Decimal | None


class ProfileHistory(Report, frozen=True, kw_only=True):
    """Aligned profiles, oldest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    timeframe: str
    items: list[VolumeProfileReport]


class ProfileReading(Report, frozen=True, kw_only=True):
    """What the histogram of a window looks like."""

    shape: str | None
    shapes: list[str]
    nodes: list[NodeReport]
    bands: list[BandReport]
    migration: MigrationReport | None
    migration_reason: str | None = None


class ProfileSummary(Report, frozen=True, kw_only=True):
    """The profile's headline numbers, as in the seed's schema."""

    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None
    value_area_volume: Decimal
    total_volume: Decimal
    total_trades: int
    price_range: PriceRange


class Quality(Report, frozen=True, kw_only=True):
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


class RankReport(Report, frozen=True, kw_only=True):
    """Where a number stands among the instrument's own complete bars."""

    value: Decimal | None
    percentile: Decimal | None
    at_least: Decimal | None
    at_most: Decimal | None
    magnitude_percentile: Decimal | None = None
    n: int
    reason: str | None = None


class RungReport(Report, frozen=True, kw_only=True):
    """One period of the flow ladder."""

    seconds: int
    delta: Decimal
    volume: Decimal
    delta_pct: Decimal | None


class ShortFlowHistory(Report, frozen=True, kw_only=True):
    """Short form: Aligned order flow, oldest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    period: str
    items: list[ShortOrderFlowReport]


class ShortOrderFlowReport(Report, frozen=True, kw_only=True):
    """Short form: Delta, cumulative delta, imbalance and volumes by aggressor."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    window: str
    period_start: str
    period_end: str
    timestamp: str
    period: str
    delta: Decimal
    delta_pct: Decimal | None
    cumulative_delta: Decimal | None
    cumulative_delta_anchor: str | None
    buy_volume: Decimal
    sell_volume: Decimal
    total_volume: Decimal
    buy_quote_volume: Decimal
    sell_quote_volume: Decimal
    trades_count: SideCounts
    avg_trade_size: SideSizes
    imbalance_ratio: Decimal | None
    buy_ratio: Decimal | None
    imbalance: Decimal | None
    min_delta: Decimal | None
    max_delta: Decimal | None
    resolution_ms: int | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    bars: list[FlowBarReport] | None = None
    vpin: dict[str, VpinReport] | None = None
    large_trades: list[LargeTradeReport] | None = None
    market_state: MarketState | None = None
    reading: FlowReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: ShortQuality


class ShortProfileHistory(Report, frozen=True, kw_only=True):
    """Short form: Aligned profiles, oldest first."""

    dropped: dict[str, int] | None = None
    symbol: str
    timeframe: str
    items: list[ShortVolumeProfileReport]


class ShortQuality(Report, frozen=True, kw_only=True):
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
    venues: dict[str, Decimal | None]


class ShortSnapshotLine(Report, frozen=True, kw_only=True):
    """Short form: One symbol in a snapshot: its profile and flow, or why there is none."""

    symbol: str
    line: MarketLine | None = None
    profile: ShortVolumeProfileReport | None = None
    flow: ShortOrderFlowReport | None = None
    error: str | None = None


class ShortSnapshotReport(Report, frozen=True, kw_only=True):
    """Short form: Several symbols in one answer."""

    dropped: dict[str, int] | None = None
    source: str
    timeframe: str
    period: str
    symbols: list[ShortSnapshotLine]


class ShortSummaryReport(Report, frozen=True, kw_only=True):
    """Short form: Profile and flow of one symbol together."""

    dropped: dict[str, int] | None = None
    symbol: str
    source: str
    volume_profile: ShortVolumeProfileReport
    order_flow: ShortOrderFlowReport


class ShortVolumeProfileReport(Report, frozen=True, kw_only=True):
    """Short form: POC, value area and volume at price. Prices are the low price of their row."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    window: str
    period_start: str
    period_end: str
    timestamp: str
    timeframe: str
    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None
    poc_high: Decimal | None
    vah_high: Decimal | None
    open: Decimal | None
    close: Decimal | None
    total_volume: Decimal
    value_area_volume: Decimal
    va_method: str
    va_pct: Decimal | None
    row_size: Decimal
    summary: ProfileSummary | None = None
    levels: list[Level] | None = None
    histogram: Histogram | None = None
    levels_truncated: bool
    facts: Facts | None = None
    reading: ProfileReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: ShortQuality


class SideCounts(Report, frozen=True, kw_only=True):
    """A count of both sides."""

    buy: int
    sell: int


class SideReport(Report, frozen=True, kw_only=True):
    """One side of a comparison."""

    name: str
    delta_quote: Decimal
    volume_quote: Decimal
    delta_pct: Decimal | None
    share_pct: Decimal | None
    premium_bps: Decimal | None
    poc: Decimal | None
    last: Decimal | None
    state: str


class SideSizes(Report, frozen=True, kw_only=True):
    """A size of both sides; null without trades."""

    buy: Decimal | None
    sell: Decimal | None


class SizeClassReport(Report, frozen=True, kw_only=True):
    """Prints worth low <= notional < high in quote currency."""

    low_quote: Decimal
    high_quote: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    buy_prints: int
    sell_prints: int


class SnapshotLine(Report, frozen=True, kw_only=True):
    """One symbol in a snapshot: its profile and flow, or why there is none."""

    symbol: str
    line: MarketLine | None = None
    profile: VolumeProfileReport | None = None
    flow: OrderFlowReport | None = None
    error: str | None = None


class SnapshotReport(Report, frozen=True, kw_only=True):
    """Several symbols in one answer."""

    dropped: dict[str, int] | None = None
    source: str
    timeframe: str
    period: str
    symbols: list[SnapshotLine]


class SourceReport(Report, frozen=True, kw_only=True):
    """A bar behind an event; ask /footprint for it."""

    timeframe: str
    start: str
    revision: int
    content_hash: str


class SpotPerpReport(Report, frozen=True, kw_only=True):
    """Spot against perpetual over the same window."""

    state: str
    diverges: bool | None
    spot_cvd_quote: Decimal
    perp_cvd_quote: Decimal
    correlation: Decimal | None
    premium_bps: Decimal | None


class StatusReport(Report, frozen=True, kw_only=True):
    """Streams and connections; `worst_lag_ms` is the largest, never a mean."""

    dropped: dict[str, int] | None = None
    source: str
    ready: bool
    version: str
    worst_lag_ms: int | None
    streams: list[StreamLine]
    feeds: list[FeedLine]
    breakers: list[BreakerLine]
    rest: dict[str, dict[str, int]]


class StreamLine(Report, frozen=True, kw_only=True):
    """State of one trade stream."""

    instrument: str
    state: str
    last_event: str | None
    watermark: str | None
    lag_ms: int | None
    received: int
    applied: int
    duplicates: int
    quarantined: int
    rejected: dict[str, int]
    gaps_open: int
    gaps_filled: int
    gaps_lost: int
    reconnects: int
    dropped: int
    minutes_verified: int
    minutes_unverified: int
    held: int
    epoch: int
    last_ingested_timestamp: str | None
    last_ingested_at: str | None
    ingestion_mode: str
    status: str
    error_message: str | None
    latency_ms: int | None
    clock_offset_ms: int | None
    errors: int
    candles_processed: int
    queue_size: int


class SummaryReport(Report, frozen=True, kw_only=True):
    """Profile and flow of one symbol together."""

    dropped: dict[str, int] | None = None
    symbol: str
    source: str
    volume_profile: VolumeProfileReport
    order_flow: OrderFlowReport


class SweepsReport(Report, frozen=True, kw_only=True):
    """Runs of prints of one aggressor in one millisecond through at least three prices."""

    count: int
    buy_volume: Decimal
    sell_volume: Decimal
    share_pct: Decimal | None


class SymbolLine(Report, frozen=True, kw_only=True):
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


class SymbolsReport(Report, frozen=True, kw_only=True):
    """Everything that is collected, and the allowed values of the other questions."""

    dropped: dict[str, int] | None = None
    source: str
    symbols: list[SymbolLine]
    timeframes: list[str]
    periods: list[str]


class VenueQuality(Report, frozen=True, kw_only=True):
    """One instrument's part of an answer."""

    state: str
    share: Decimal | None
    first_id: int | None = None
    last_id: int | None = None
    missing: int = 0
    missing_volume: Decimal = Decimal("0")


class VolumeProfileReport(Report, frozen=True, kw_only=True):
    """POC, value area and volume at price. Prices are the low price of their row."""

    dropped: dict[str, int] | None = None
    symbol: str
    exchange: str
    market: str
    source: str
    window: str
    period_start: str
    period_end: str
    timestamp: str
    timeframe: str
    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None
    poc_high: Decimal | None
    vah_high: Decimal | None
    open: Decimal | None
    close: Decimal | None
    total_volume: Decimal
    value_area_volume: Decimal
    va_method: str
    va_pct: Decimal | None
    row_size: Decimal
    summary: ProfileSummary | None = None
    levels: list[Level] | None = None
    histogram: Histogram | None = None
    levels_truncated: bool
    facts: Facts | None = None
    reading: ProfileReading | None = None
    context: ContextReport | None = None
    next_call: str | None = None
    quality: Quality


class VpinReport(Report, frozen=True, kw_only=True):
    """Volume-synchronised order-flow imbalance of one instrument, whatever the answer's window."""

    value: Decimal | None
    reason: str | None
    bucket_volume: Decimal | None
    buckets: int
    filled: int
    through: str | None
    algo: str


class WaitReport(Report, frozen=True, kw_only=True):
    """How a wait ended."""

    dropped: dict[str, int] | None = None
    met: bool
    condition: str
    symbol: str
    value: Decimal | None
    waited_ms: int
    at: str
    reason: str | None = None
    event_id: str | None = None


class WindowsReport(Report, frozen=True, kw_only=True):
    """This window against the one before it."""

    relation: str
    overlap: Decimal
    poc_shift: Decimal
    volume_ratio: Decimal | None
    delta_before: Decimal
    delta_now: Decimal
