"""A symbol's line in a snapshot."""

from __future__ import annotations

from orderflow.fact_reports import ShortQuality
from orderflow.reports import MarketLine, Quality, SnapshotLine, SummaryReport


def whole_line(both: SummaryReport) -> SnapshotLine:
    """Both answers as they are."""
    return SnapshotLine(symbol=both.symbol, profile=both.volume_profile, flow=both.order_flow)


def market_line(both: SummaryReport) -> SnapshotLine:
    """A few numbers of both."""
    profile, flow = both.volume_profile, both.order_flow
    facts, quality = profile.facts, profile.quality
    return SnapshotLine(
        symbol=both.symbol,
        line=MarketLine(
            price=profile.close,
            poc=profile.poc,
            vah=profile.vah,
            val=profile.val,
            place=None if facts is None else facts.place,
            to_poc_ticks=None if facts is None else facts.to_poc_ticks,
            to_poc_sigma=None if facts is None else facts.to_poc_sigma,
            delta=flow.delta,
            delta_pct=flow.delta_pct,
            cumulative_delta=flow.cumulative_delta,
            venues_agree=None if facts is None else facts.venues_agree,
            state=_state(quality),
            stale=quality.stale,
        ),
    )


def _state(quality: Quality | ShortQuality) -> str:
    return quality.state if isinstance(quality, ShortQuality) else quality.completeness.state
