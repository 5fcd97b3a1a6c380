"""From parts of a window to a served answer. Pure: time comes with the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from orderflow import footprint, grid, proof, reports
from orderflow.completeness import Quality
from orderflow.content import bar_hash, flow_hash
from orderflow.fact_reports import Facts, Histogram, ShortQuality
from orderflow.facts import node_reports, profile_facts
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import order_flow, volume_profile, vpin
from orderflow.indicators.order_flow import ratio
from orderflow.parts import FlowPart, FootprintPart
from orderflow.proof import coverage
from orderflow.readings import steps_together, together
from orderflow.symbols import Selection
from orderflow.timeframe import CELL_MS, MINUTE_MS
from orderflow.wanted import Detail, Parts, Wanted, WindowKind, iso

__all__ = ["Detail", "Wanted", "WindowKind", "iso"]


def share(part: int, whole: int) -> Decimal | None:
    """part / whole in percent, to two places."""
    found = ratio(part * 100, whole)
    return None if found is None else found.quantize(Decimal("0.01"))


def volume_profile_report(
    selection: Selection, parts: Sequence[FootprintPart], wanted: Wanted
) -> reports.VolumeProfileReport:
    """The profile of one window over one or several streams."""
    bar = served(footprint.beside([part.bar for part in parts]), wanted)
    found = volume_profile.profile(bar.rows, method=wanted.va_method)
    total = bar.flow.volume_lots
    poc, vah, val = _levels(bar, found)
    inside = bar.flow.lot_size * (found.value_area_lots if found else 0)
    volume = bar.flow.lot_size * total
    tick = bar.flow.tick_size
    names = [part.instrument.name for part in parts]
    summary = reports.ProfileSummary(
        poc=poc,
        vah=vah,
        val=val,
        value_area_volume=inside,
        total_volume=volume,
        total_trades=bar.flow.trades,
        price_range=reports.PriceRange(
            high=_price(bar.flow, bar.flow.high_ticks), low=_price(bar.flow, bar.flow.low_ticks)
        ),
    )
    return reports.VolumeProfileReport(
        **_identity(selection, parts, wanted),
        timeframe=wanted.name,
        poc=poc,
        vah=vah,
        val=val,
        poc_high=None if poc is None else poc + bar.row_size - tick,
        vah_high=None if vah is None else vah + bar.row_size - tick,
        open=_price(bar.flow, bar.flow.open_ticks),
        close=_price(bar.flow, bar.flow.close_ticks),
        total_volume=volume,
        value_area_volume=inside,
        va_method=wanted.va_method,
        va_pct=share(found.value_area_lots, total) if found else None,
        row_size=bar.row_size,
        summary=summary if wanted.detail == "full" else None,
        **_rows(bar, total, wanted),
        facts=_facts(bar, found, parts, wanted),
        next_call=next_call("get_order_flow", selection, wanted),
        quality=_quality(
            parts,
            [part.bar.flow for part in parts],
            wanted,
            bar_hash(names, wanted.name, bar),
            volume_profile.CARD.algo,
            MINUTE_MS,
        ),
    )


def served(bar: FootprintBar, wanted: Wanted) -> FootprintBar:
    """On the asked row size, which must be a whole multiple of what is kept."""
    if wanted.row_size is None:
        return bar
    if wanted.row_size < bar.row_size and not wanted.history:
        grid.checked_row(wanted.row_size, bar.row_size)
    return bar.coarsened(grid.plain(max(wanted.row_size, bar.row_size)))


def _levels(
    bar: FootprintBar, found: volume_profile.Profile | None
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """(POC, VAH, VAL): the low price of their rows."""
    if found is None:
        return None, None, None
    size = bar.row_size
    prices = [grid.plain(row * size) for row in (found.poc_row, found.vah_row, found.val_row)]
    return prices[0], prices[1], prices[2]


def _kept_rows(bar: FootprintBar, wanted: Wanted) -> list[int]:
    """Rows in price order; with a limit the ones with the most volume are kept."""
    rows = sorted(bar.rows)
    limit = wanted.max_levels
    if limit is None or len(rows) <= limit:
        return rows
    return sorted(sorted(rows, key=lambda row: -sum(bar.rows[row][:2]))[:limit])


def _rows(bar: FootprintBar, total: int, wanted: Wanted) -> dict[str, Any]:
    """Levels at full detail, a histogram in columns at rows, and whether some were left out."""
    if wanted.detail == "summary":
        return {"levels_truncated": bool(bar.rows)}
    rows = _kept_rows(bar, wanted)
    found: dict[str, Any] = {"levels_truncated": len(rows) < len(bar.rows)}
    if wanted.detail == "rows":
        low = rows[0] if rows else 0
        found["histogram"] = Histogram(
            low=grid.plain(low * bar.row_size),
            step=bar.row_size,
            lot_size=bar.flow.lot_size,
            at=[row - low for row in rows],
            buy_lots=[bar.rows[row][0] for row in rows],
            sell_lots=[bar.rows[row][1] for row in rows],
        )
    else:
        kinds = {node.price: node.type for node in node_reports(bar)}
        found["levels"] = [_level(bar, row, total, kinds) for row in rows]
    return found


def _level(
    bar: FootprintBar, row: int, total: int, kinds: Mapping[Decimal, reports.NodeName]
) -> reports.Level:
    buy, sell, trades = bar.rows[row]
    lot = bar.flow.lot_size
    return reports.Level(
        price=grid.plain(row * bar.row_size),
        volume=(buy + sell) * lot,
        buy_volume=buy * lot,
        sell_volume=sell * lot,
        delta=(buy - sell) * lot,
        trades=trades,
        percentage=share(buy + sell, total) or Decimal(0),
        type=kinds.get(grid.plain(row * bar.row_size)),
    )


def order_flow_report(
    selection: Selection, parts: Sequence[FlowPart], wanted: Wanted
) -> reports.OrderFlowReport:
    """Order flow of one window over one or several streams."""
    bar = together(parts)
    lot = bar.lot_size
    least, most, resolution_ms = _extremes(bar, parts)
    spellings = order_flow.imbalance(bar.buy_lots, bar.sell_lots)
    cvd, anchor = _cumulative(parts)
    names = [part.instrument.name for part in parts]
    return reports.OrderFlowReport(
        **_identity(selection, parts, wanted),
        period=wanted.name,
        delta=bar.delta_lots * lot,
        delta_pct=share(bar.delta_lots, bar.volume_lots),
        cumulative_delta=cvd,
        cumulative_delta_anchor=anchor,
        buy_volume=bar.buy_lots * lot,
        sell_volume=bar.sell_lots * lot,
        total_volume=bar.volume_lots * lot,
        buy_quote_volume=bar.quote(bar.buy_quote),
        sell_quote_volume=bar.quote(bar.sell_quote),
        trades_count=reports.SideCounts(buy=bar.buy_trades, sell=bar.sell_trades),
        avg_trade_size=reports.SideSizes(
            buy=_mean(bar.buy_lots, bar.buy_trades, lot),
            sell=_mean(bar.sell_lots, bar.sell_trades, lot),
        ),
        imbalance_ratio=spellings.imbalance_ratio,
        buy_ratio=spellings.buy_ratio,
        imbalance=spellings.imbalance,
        min_delta=None if least is None else least * lot,
        max_delta=None if most is None else most * lot,
        resolution_ms=resolution_ms,
        open=_price(bar, bar.open_ticks),
        high=_price(bar, bar.high_ticks),
        low=_price(bar, bar.low_ticks),
        close=_price(bar, bar.close_ticks),
        bars=None if wanted.detail == "summary" else _bars(parts),
        vpin=_vpin(parts) if wanted.detail == "full" and not wanted.history else None,
        next_call=next_call("get_volume_profile", selection, wanted),
        quality=_quality(
            parts,
            [part.bar for part in parts],
            wanted,
            flow_hash(names, wanted.name, bar),
            order_flow.CARD.algo,
            CELL_MS,
        ),
    )


def _extremes(bar: FlowBar, parts: Sequence[FlowPart]) -> tuple[int | None, int | None, int | None]:
    """Delta extremes; of several streams only at the resolution of their 5 s bars."""
    if len(parts) == 1:
        return (*order_flow.served_extremes(bar), None)
    if any(part.step_ms != CELL_MS for part in parts):
        return None, None, None
    found = order_flow.combined_extremes([part.bars for part in parts])
    return (0, 0, CELL_MS) if found is None else (*found, CELL_MS)


def _cumulative(parts: Sequence[FlowPart]) -> tuple[Decimal | None, str | None]:
    """Sum of the streams' cumulative deltas; the anchor is the latest of theirs."""
    total = Decimal(0)
    anchor = 0
    for part in parts:
        if part.cvd_lots is None or part.cvd_anchor_ms is None:
            return None, None
        total += part.cvd_lots * part.instrument.lot_size
        anchor = max(anchor, part.cvd_anchor_ms)
    return total, iso(anchor)


def _vpin(parts: Sequence[FlowPart]) -> dict[str, reports.VpinReport] | None:
    """Each stream's own: buckets of several venues can't be joined."""
    found = {}
    for part in parts:
        seen, lot = part.vpin, part.instrument.lot_size
        if seen is not None:
            found[part.instrument.name] = reports.VpinReport(
                value=seen.value,
                reason=seen.reason,
                bucket_volume=None if seen.bucket_lots is None else seen.bucket_lots * lot,
                buckets=seen.buckets,
                filled=seen.filled,
                through=iso(seen.through_ms) if seen.through_ms else None,
                algo=vpin.CARD.algo,
            )
    return found or None


def _bars(parts: Sequence[FlowPart]) -> list[reports.FlowBarReport]:
    """The steps of all streams together, in time order."""
    return [_bar(bar) for bar in steps_together(parts)]


def _bar(bar: FlowBar) -> reports.FlowBarReport:
    least, most = order_flow.served_extremes(bar)
    return reports.FlowBarReport(
        start=iso(bar.start_ms),
        delta=bar.delta_lots * bar.lot_size,
        min_delta=None if least is None else least * bar.lot_size,
        max_delta=None if most is None else most * bar.lot_size,
        volume=bar.volume_lots * bar.lot_size,
        close=_price(bar, bar.close_ticks),
    )


def footprint_bar_report(
    names: Sequence[str], timeframe: str, bar: FootprintBar, quality: Quality, *, rows: bool
) -> reports.FootprintBarReport:
    """One bar as the venue's candle has it."""
    flow_bar, lot = bar.flow, bar.flow.lot_size
    found = volume_profile.profile(bar.rows)
    poc, vah, val = _levels(bar, found)
    least, most = order_flow.served_extremes(flow_bar)
    return reports.FootprintBarReport(
        period_start=iso(flow_bar.start_ms),
        period_end=iso(flow_bar.end_ms),
        open=_price(flow_bar, flow_bar.open_ticks),
        high=_price(flow_bar, flow_bar.high_ticks),
        low=_price(flow_bar, flow_bar.low_ticks),
        close=_price(flow_bar, flow_bar.close_ticks),
        total_volume=flow_bar.volume_lots * lot,
        buy_volume=flow_bar.buy_lots * lot,
        sell_volume=flow_bar.sell_lots * lot,
        quote_volume=flow_bar.quote(flow_bar.buy_quote + flow_bar.sell_quote),
        buy_quote_volume=flow_bar.quote(flow_bar.buy_quote),
        sell_quote_volume=flow_bar.quote(flow_bar.sell_quote),
        total_trades=flow_bar.trades,
        buy_trades=flow_bar.buy_trades,
        sell_trades=flow_bar.sell_trades,
        delta=flow_bar.delta_lots * lot,
        min_delta=None if least is None else least * lot,
        max_delta=None if most is None else most * lot,
        poc=poc,
        vah=vah,
        val=val,
        first_id=flow_bar.first_id,
        last_id=flow_bar.last_id,
        row_size=bar.row_size,
        rows=[_row(bar, row) for row in sorted(bar.rows)] if rows else None,
        final=quality.final,
        revision=quality.revision,
        state=str(quality.state),
        coverage=coverage(quality),
        content_hash=bar_hash(names, timeframe, bar),
    )


def _row(bar: FootprintBar, row: int) -> tuple[Decimal, Decimal, Decimal, int]:
    buy, sell, trades = bar.rows[row]
    lot = bar.flow.lot_size
    return grid.plain(row * bar.row_size), buy * lot, sell * lot, trades


def _price(bar: FlowBar, ticks: int | None) -> Decimal | None:
    return None if ticks is None else ticks * bar.tick_size


def _mean(lots: int, trades: int, lot_size: Decimal) -> Decimal | None:
    """Average size, to two places beyond the lot."""
    if trades == 0:
        return None
    return (lots * lot_size / trades).quantize(lot_size / 100)


def _identity(selection: Selection, parts: Parts, wanted: Wanted) -> dict[str, Any]:
    window = parts[0].window
    return {
        "symbol": selection.symbol,
        "exchange": selection.exchange,
        "market": selection.market,
        "source": wanted.source,
        "window": wanted.kind,
        "period_start": iso(window.start_ms),
        "period_end": iso(window.end_ms),
        "timestamp": iso(min(part.now_ms for part in parts)),
    }


def _facts(
    bar: FootprintBar,
    found: volume_profile.Profile | None,
    parts: Sequence[FootprintPart],
    wanted: Wanted,
) -> Facts | None:
    """Facts about now; a histogram and history go without."""
    if wanted.history or wanted.detail == "rows":
        return None
    return profile_facts(bar, found, parts)


def next_call(tool: str, selection: Selection, wanted: Wanted) -> str | None:
    """The question that usually follows a short answer about now."""
    if wanted.detail != "summary" or wanted.history:
        return None
    return f"{tool} symbol={selection.symbol}"


def _quality(
    parts: Parts,
    bars: Sequence[FlowBar],
    wanted: Wanted,
    content_hash: str,
    algo: str,
    cadence_ms: int,
) -> reports.Quality | ShortQuality:
    full = proof.quality(parts, bars, wanted, content_hash, algo, cadence_ms)
    return full if wanted.detail == "full" else proof.shortened(full)
