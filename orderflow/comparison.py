"""Streams and windows beside each other, as served. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from orderflow import flow, grid
from orderflow.facts import HUNDREDTH, profile_reading
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import volume_profile
from orderflow.indicators.cross_venue import Disagreement, disagreement
from orderflow.indicators.order_flow import ratio
from orderflow.indicators.premium import premium
from orderflow.indicators.spot_perp import spot_perp
from orderflow.instrument import Market
from orderflow.level_reports import LeadReport, SideReport, SpotPerpReport, WindowsReport
from orderflow.parts import FlowPart, FootprintPart
from orderflow.readings import steps_together, together

ONE_MARKET = "only one market of this symbol is collected"


def venues(parts: Sequence[FlowPart]) -> Disagreement:
    """How the streams stand to each other."""
    return disagreement({part.instrument.name: list(part.bars) for part in parts})


def sides(found: Disagreement, prints: Mapping[str, FootprintPart]) -> list[SideReport]:
    """One line per stream."""
    lines = []
    for venue in found.venues:
        part = prints[venue.name]
        bar = part.bar
        profile = volume_profile.profile(bar.rows)
        close = bar.flow.close_ticks
        lines.append(
            SideReport(
                name=venue.name,
                delta_quote=venue.delta_quote,
                volume_quote=venue.volume_quote,
                delta_pct=_two(venue.delta_pct),
                share_pct=_two(venue.share_pct),
                premium_bps=None if venue.premium is None else venue.premium.vwap_bps,
                poc=None if profile is None else grid.plain(profile.poc_row * bar.row_size),
                last=None if close is None else close * bar.flow.tick_size,
                state=str(part.quality.state),
            )
        )
    return lines


def leads(found: Disagreement) -> list[LeadReport]:
    """Every pair."""
    return [
        LeadReport(
            first=one,
            second=two,
            leader={"first": one, "second": two}.get(lead.leader or ""),
            ratio=lead.ratio,
            pairs=lead.pairs,
        )
        for one, two, lead in found.lead_lags
    ]


def markets(parts: Sequence[FlowPart]) -> SpotPerpReport | None:
    """Spot against perpetual; None unless both are there."""
    split = {
        market: [part for part in parts if part.instrument.market is market] for market in Market
    }
    spot, perp = split[Market.SPOT], split[Market.PERP]
    if not spot or not perp:
        return None
    found = spot_perp(steps_together(spot), steps_together(perp))
    return SpotPerpReport(
        state=found.state,
        diverges=found.diverges,
        spot_cvd_quote=found.spot.cvd_quote,
        perp_cvd_quote=found.perp.cvd_quote,
        correlation=found.correlation,
        premium_bps=premium(together(perp), together(spot)).vwap_bps,
    )


def windows(now: FootprintBar, before: FootprintBar | None) -> WindowsReport | None:
    """This window against the one before; None without both."""
    moved = profile_reading(now, volume_profile.profile(now.rows), before).migration
    if moved is None or before is None:
        return None
    newer, older = flow.on_one_scale(now.flow, before.flow)
    return WindowsReport(
        relation=moved.relation,
        overlap=moved.overlap,
        poc_shift=moved.poc_shift,
        volume_ratio=_two(ratio(newer.volume_lots, older.volume_lots)),
        delta_before=_delta(before.flow),
        delta_now=_delta(now.flow),
    )


def _delta(bar: FlowBar) -> Decimal:
    return bar.delta_lots * bar.lot_size


def _two(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(HUNDREDTH)
