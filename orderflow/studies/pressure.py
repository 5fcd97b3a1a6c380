"""Studies of flow: VWAP, cumulative delta, sizes of prints, pace and divergences."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orderflow import footprint
from orderflow.footprint import FootprintBar
from orderflow.indicators.cot import cot
from orderflow.indicators.cvd import UTC_DAY, Anchor, candles, session_anchor
from orderflow.indicators.delta import delta
from orderflow.indicators.delta_divergence import delta_divergences
from orderflow.indicators.flow_ladder import flow_ladder
from orderflow.indicators.large_trades import WINDOW as LARGE_WINDOW
from orderflow.indicators.large_trades import large_trades
from orderflow.indicators.sessions import parse_session
from orderflow.indicators.size_class_cvd import size_class_cvd
from orderflow.indicators.size_distribution import size_distribution
from orderflow.indicators.sweeps import sweeps
from orderflow.indicators.trade_intensity import trade_intensity
from orderflow.indicators.vwap import BANDS, Vwap, anchored
from orderflow.studies.calendar import windows_of
from orderflow.studies.study import NO_BARS, NO_TRADES, Options, Row, Studied, scale_of
from orderflow.timeframe import DAY_MS, Window, floor_ms
from orderflow.wanted import iso

SUB_TICK = Decimal("1e-6")
"""Averages are given to a millionth of a tick."""
RATE = Decimal("1e-9")
FEW_PRINTS = "fewer than 1,000 prints in the 60 bars before"


def _ends(start_ms: int, end_ms: int) -> Row:
    return {"period_start": iso(start_ms), "period_end": iso(end_ms)}


def find_vwap(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """VWAP and its bands since the anchor after each bar; the newest as facts."""
    if not bars:
        return Studied(reason=NO_BARS)
    newest = bars[-1].flow.start_ms
    anchor = floor_ms(newest, DAY_MS) if options.anchor_ms is None else options.anchor_ms
    points = anchored([bar.flow for bar in bars], anchor)
    items = [{"at": iso(point.end_ms)} | _bands(point) for point in points]
    since = next((bar.flow.start_ms for bar in bars if bar.flow.start_ms >= anchor), None)
    facts: Row = {"anchor": iso(anchor), "since": None if since is None else iso(since)}
    if not points:
        return Studied(facts, [], NO_TRADES)
    volume = scale_of(bars[0]).size(points[-1].lots)
    return Studied(facts | {"volume": volume} | _bands(points[-1]), items)


def _bands(point: Vwap) -> Row:
    step = point.tick_size * SUB_TICK
    row: Row = {"vwap": point.price.quantize(step), "sigma": point.sigma.quantize(step)}
    for k in BANDS:
        lower, upper = point.band(k)
        row |= {f"lower_{k}": lower.quantize(step), f"upper_{k}": upper.quantize(step)}
    return row


def _anchor(bars: Sequence[FootprintBar], options: Options) -> Anchor:
    if options.anchor_ms is not None:
        return Anchor("custom", (options.anchor_ms,))
    if options.session == "day":
        return UTC_DAY
    span = Window(bars[0].flow.start_ms, bars[-1].flow.end_ms)
    if options.session == "week":
        starts = tuple(window.start_ms for window in windows_of("week", span))
        return Anchor("utc_week", starts)
    return session_anchor(parse_session(options.session), span)


def find_cvd(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Candles of cumulative delta, which begin again at the anchor: a session, or one moment."""
    if not bars:
        return Studied(reason=NO_BARS)
    anchor = _anchor(bars, options)
    size = scale_of(bars[0]).size
    items = [
        _ends(one.start_ms, one.end_ms)
        | {
            "anchor": iso(one.anchor_ms),
            "since": iso(one.since_ms),
            "open": size(one.open_lots),
            "high": size(one.high_lots),
            "low": size(one.low_lots),
            "close": size(one.close_lots),
        }
        for one in candles([bar.flow for bar in bars], anchor)
    ]
    return Studied({"anchor": anchor.name}, items, None if items else "the anchor is still to come")


def find_delta(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Delta of each bar with its percentage and extremes."""
    items = []
    for bar in bars:
        found, size = delta(bar.flow), scale_of(bar).size
        items.append(
            _ends(bar.flow.start_ms, bar.flow.end_ms)
            | {
                "delta": size(found.delta_lots),
                "delta_pct": found.delta_pct,
                "min_delta": size(found.min_delta_lots),
                "max_delta": size(found.max_delta_lots),
                "buy_volume": size(found.buy_lots),
                "sell_volume": size(found.sell_lots),
            }
        )
    return Studied({}, items, None if items else NO_BARS)


def find_cot(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Delta at the last touch of the high and the low of each bar, and since."""
    items = []
    for bar in bars:
        found, size = cot(bar.flow), scale_of(bar).size
        items.append(
            _ends(bar.flow.start_ms, bar.flow.end_ms)
            | {
                "cot_high": size(found.cot_high_lots),
                "cot_low": size(found.cot_low_lots),
                "since_high": size(found.since_high_lots),
                "since_low": size(found.since_low_lots),
            }
        )
    return Studied({}, items, None if items else NO_BARS)


def find_sweeps(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Same-millisecond sweeps of each bar that had one."""
    items = []
    for bar in bars:
        found, size = sweeps(bar.flow), scale_of(bar).size
        if found.count:
            items.append(
                _ends(bar.flow.start_ms, bar.flow.end_ms)
                | {
                    "sweeps": found.count,
                    "buy_volume": size(found.buy_lots),
                    "sell_volume": size(found.sell_lots),
                    "share_pct": found.share_pct,
                }
            )
    facts: Row = {"bars": len(bars), "sweeps": sum(bar.flow.sweeps for bar in bars)}
    return Studied(facts, items, None if bars else NO_BARS)


def find_size_cvd(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Cumulative delta of small, middle and large prints, split by rolling quantiles."""
    if not bars:
        return Studied(reason=NO_BARS)
    size = scale_of(bars[0]).size
    items: list[Row] = [
        _ends(one.start_ms, one.end_ms)
        | {
            "since": iso(one.since_ms),
            "mid_from": one.mid_from_quote,
            "large_from": one.large_from_quote,
            "small_delta": size(one.small_delta_lots),
            "mid_delta": size(one.mid_delta_lots),
            "large_delta": size(one.large_delta_lots),
            "small_cvd": size(one.small_cvd_lots),
            "mid_cvd": size(one.mid_cvd_lots),
            "large_cvd": size(one.large_cvd_lots),
        }
        for one in size_class_cvd(bars)
    ]
    return Studied({}, items, None if items else FEW_PRINTS)


def find_sizes(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Prints of the whole stretch by notional, and percentiles of their size."""
    if not bars:
        return Studied(reason=NO_BARS)
    whole = footprint.then(bars)
    size, found = scale_of(whole).size, size_distribution(whole)
    items = [
        {
            "low_quote": one.low_quote,
            "high_quote": one.high_quote,
            "buy_volume": size(one.buy_lots),
            "sell_volume": size(one.sell_lots),
            "buy_prints": one.buy_prints,
            "sell_prints": one.sell_prints,
            "volume_pct": one.volume_pct,
            "prints_pct": one.prints_pct,
        }
        for one in found.classes
    ]
    facts: Row = {"prints": found.prints, "volume": size(found.volume_lots)}
    for one in found.percentiles:
        facts |= {f"p{one.pct}_from": one.low_quote, f"p{one.pct}_to": one.high_quote}
    return Studied(facts, items, None if items else NO_TRADES)


def find_large(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Large prints of every minute against the p99 of the 60 minutes before it."""
    items, known = [], 0
    for place, bar in enumerate(bars):
        earlier = bars[max(0, place - LARGE_WINDOW) : place]
        found = large_trades(bar, earlier)
        if found.threshold is None:
            continue
        known += 1
        scale = scale_of(bar)
        items += [
            {
                "at": iso(one.event_ms),
                "side": one.side,
                "price": scale.price(one.price_ticks),
                "quantity": scale.size(one.qty_lots),
                "quote": one.quote,
                "threshold": found.threshold.quote,
                "threshold_exact": found.threshold.exact,
                "complete": found.complete,
            }
            for one in found.trades
        ]
    return Studied({"bars": len(bars), "judged": known}, items, None if known else FEW_PRINTS)


def find_intensity(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Decayed trades per second by aggressor at the end of the stretch."""
    if not bars:
        return Studied(reason=NO_BARS)
    end = bars[-1].flow.end_ms
    found = trade_intensity([bar.flow for bar in bars], end)
    facts: Row = {
        "at": iso(end),
        "trades_per_s": _rate(found.per_s),
        "buys_per_s": _rate(found.buy_per_s),
        "sells_per_s": _rate(found.sell_per_s),
        "tau_s": found.tau_ms // 1_000,
        "resolution_ms": found.resolution_ms,
    }
    return Studied(facts)


def _rate(value: float) -> Decimal:
    return Decimal(value).quantize(RATE)


def find_divergences(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Pivots of price that cumulative delta did not follow, once confirmed."""
    items = []
    for one in delta_divergences([bar.flow for bar in bars]):
        scale = scale_of(bars[0])
        items.append(
            {
                "kind": one.kind,
                "first": iso(one.first_ms),
                "second": iso(one.second_ms),
                "confirmed": iso(one.confirmed_ms),
                "first_price": scale.price(one.first_ticks),
                "second_price": scale.price(one.second_ticks),
                "cvd_change": scale.size(one.cvd_change_lots),
            }
        )
    return Studied({"bars": len(bars)}, items, None if bars else NO_BARS)


def find_ladder(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Delta of growing periods that end now, and whether it accelerates."""
    if not bars:
        return Studied(reason=NO_BARS)
    found = flow_ladder([bar.flow for bar in bars], bars[-1].flow.end_ms)
    size = scale_of(bars[0]).size
    items = [
        _ends(rung.start_ms, rung.end_ms)
        | {
            "delta": size(rung.delta_lots),
            "volume": size(rung.volume_lots),
            "delta_pct": rung.delta_pct,
            "covered_ms": rung.covered_ms,
        }
        for rung in found.rungs
    ]
    return Studied({"shape": found.shape, "side": found.side}, items)
