"""Our minute against the venue's own closed candle: the proof that nothing is missing. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from orderflow.completeness import State
from orderflow.flow import FlowBar
from orderflow.trade import KlineClosed


def reconcile(bar: FlowBar, kline: KlineClosed, *, gapless: bool, exact_count: bool) -> State:
    """The state that this candle proves for a closed minute.

    VERIFIED: prices, volume, quote volume and taker-buy volume are equal (and the trade count
    where `exact_count`: perpetual venues leave some fills out of their aggregates but not out of
    their counts). VERIFIED_VOLUME: volume and quote volume are equal and the venue states no
    taker side. Otherwise VENUE_ADJUSTMENT when our ids are `gapless`, else PARTIAL.
    """
    if not _same_volume(bar, kline) or not _same_prices(bar, kline):
        return State.VENUE_ADJUSTMENT if gapless else State.PARTIAL
    if kline.taker_buy_lots is None:
        return State.VERIFIED_VOLUME
    if not _same_taker(bar, kline) or (exact_count and kline.trades != bar.trades):
        return State.VENUE_ADJUSTMENT if gapless else State.PARTIAL
    return State.VERIFIED


def _same_volume(bar: FlowBar, kline: KlineClosed) -> bool:
    quote = bar.quote(bar.buy_quote + bar.sell_quote)
    return bar.volume_lots == kline.volume_lots and same_amount(quote, kline.quote_volume)


def _same_prices(bar: FlowBar, kline: KlineClosed) -> bool:
    if bar.empty:
        return True
    ours = (bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
    return ours == (kline.open_ticks, kline.high_ticks, kline.low_ticks, kline.close_ticks)


def _same_taker(bar: FlowBar, kline: KlineClosed) -> bool:
    if bar.buy_lots != kline.taker_buy_lots:
        return False
    stated = kline.taker_buy_quote
    return stated is None or same_amount(bar.quote(bar.buy_quote), stated)


def same_amount(ours: Decimal, stated: Decimal) -> bool:
    """Equal to the places the venue states (it rounds or cuts off the rest)."""
    if ours == stated:
        return True
    places = Decimal(1).scaleb(int(stated.as_tuple().exponent))
    return ours.quantize(places, ROUND_HALF_UP) == stated or abs(ours - stated) < places
