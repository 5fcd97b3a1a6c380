"""What a window's flow was made of: prints, sweeps, delta at extremes, pace. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orderflow import flow, footprint
from orderflow.fact_reports import (
    CotReport,
    FlowReading,
    LargeTradeReport,
    MarketState,
    RungReport,
    SizeClassReport,
    SweepsReport,
)
from orderflow.facts import HUNDREDTH, percent
from orderflow.flow import FlowBar
from orderflow.indicators import cot, size_distribution, sweeps
from orderflow.indicators.flow_ladder import Ladder, flow_ladder
from orderflow.indicators.order_flow import imbalance
from orderflow.parts import FlowPart, FootprintPart
from orderflow.wanted import iso

MOST_LARGE = 10
SEVERAL = "known for one stream only: name an exchange"
NO_TRADES = "no trades in the window"
SHORT = "prints are kept by minute: ask for a period of a minute or longer"


def steps_together(parts: Sequence[FlowPart]) -> list[FlowBar]:
    """The steps of all streams, concurrent ones as one, in time order."""
    steps: dict[int, FlowBar] = {}
    for part in parts:
        for bar in part.bars:
            known = steps.get(bar.start_ms)
            steps[bar.start_ms] = bar if known is None else flow.beside(known, bar)
    return [steps[start] for start in sorted(steps)]


def together(parts: Sequence[FlowPart]) -> FlowBar:
    """The flow of all streams of one window."""
    total = parts[0].bar
    for part in parts[1:]:
        total = flow.beside(total, part.bar)
    return total


def large_trades(parts: Sequence[FootprintPart]) -> list[LargeTradeReport]:
    """The largest prints that were kept, largest notional first."""
    found = [
        LargeTradeReport(
            at=iso(item.event_ms),
            instrument=part.instrument.name,
            side="buy" if item.side == 1 else "sell",
            price=item.price_ticks * part.bar.flow.tick_size,
            quantity=item.qty_lots * part.bar.flow.lot_size,
            quote=part.bar.flow.quote(item.price_ticks * item.qty_lots),
        )
        for part in parts
        for item in part.bar.largest
    ]
    return sorted(found, key=lambda item: (-item.quote, item.at, item.instrument))[:MOST_LARGE]


def ladder(recent: Sequence[FlowPart]) -> Ladder:
    """The flow ladder of all streams, ending where their window ends."""
    return flow_ladder(steps_together(recent), recent[0].window.end_ms)


def market_state(parts: Sequence[FlowPart], found: Ladder, absorbed: bool | None) -> MarketState:
    """The ladder's word, the size of the imbalance, and whether absorption was seen."""
    bar = together(parts)
    share = imbalance(bar.buy_lots, bar.sell_lots).imbalance
    return MarketState(
        absorption_detected=absorbed,
        momentum=found.shape,
        side=found.side,
        strength=None if share is None else abs(share),
    )


def flow_reading(
    parts: Sequence[FlowPart], prints: Sequence[FootprintPart], found: Ladder
) -> FlowReading:
    """Delta at extremes, sweeps, pace and the sizes of prints."""
    bar = together(parts)
    lot, seconds = bar.lot_size, Decimal(bar.end_ms - bar.start_ms) / 1_000
    swept = sweeps.sweeps(bar)
    return FlowReading(
        cot=_cot(bar, len(parts)),
        sweeps=SweepsReport(
            count=swept.count,
            buy_volume=swept.buy_lots * lot,
            sell_volume=swept.sell_lots * lot,
            share_pct=None if swept.share_pct is None else swept.share_pct.quantize(HUNDREDTH),
        ),
        ladder=[
            RungReport(
                seconds=(rung.end_ms - rung.start_ms) // 1_000,
                delta=rung.delta_lots * lot,
                volume=rung.volume_lots * lot,
                delta_pct=percent(rung.delta_lots, rung.volume_lots),
            )
            for rung in found.rungs
        ],
        trades_per_s=(bar.trades / seconds).quantize(HUNDREDTH),
        size_classes=_classes(prints) if prints else None,
        prints_reason=None if prints else SHORT,
    )


def _cot(bar: FlowBar, streams: int) -> CotReport:
    found, lot = cot.cot(bar), bar.lot_size
    reason = None
    if bar.empty:
        reason = NO_TRADES
    elif found.cot_high_lots is None and streams > 1:
        reason = SEVERAL
    return CotReport(
        at_high=_times(found.cot_high_lots, lot),
        at_low=_times(found.cot_low_lots, lot),
        since_high=_times(found.since_high_lots, lot),
        since_low=_times(found.since_low_lots, lot),
        reason=reason,
    )


def _classes(prints: Sequence[FootprintPart]) -> list[SizeClassReport]:
    bar = footprint.beside([part.bar for part in prints])
    lot = bar.flow.lot_size
    return [
        SizeClassReport(
            low_quote=one.low_quote,
            high_quote=one.high_quote,
            buy_volume=one.buy_lots * lot,
            sell_volume=one.sell_lots * lot,
            buy_prints=one.buy_prints,
            sell_prints=one.sell_prints,
        )
        for one in size_distribution.size_distribution(bar).classes
    ]


def _times(lots: int | None, lot_size: Decimal) -> Decimal | None:
    return None if lots is None else lots * lot_size
