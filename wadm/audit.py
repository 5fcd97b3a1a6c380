"""`wadm audit`: everything stored for a range, recomputed and compared with the venue's candles.

Per minute it says what is proven: the minute against the candle, its rows against its sums, and
every longer stored window against the merge of its minutes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import NamedTuple

import httpx2

from backbone.clock import monotonic_s, wall_ms
from backbone.settings import Settings
from backbone.store.base import FOOTPRINTS, Query, Store
from collectors.budget import Budget
from collectors.rest import RestClient
from collectors.venue import Candle, VenueMarket
from collectors.venues import VENUES
from orderflow import footprint
from orderflow.completeness import Quality, State
from orderflow.encoding import bar_from_body
from orderflow.errors import ConfigError, DomainError, NotFoundError
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument, Market
from orderflow.reconcile import reconcile
from orderflow.timeframe import MINUTE_MS, TIMEFRAMES

CHUNK = 500
REST_TIMEOUT_S = 10.0
NOT_STORED, NO_CANDLE, ROWS_DIFFER = "not stored", "no candle", "rows differ from sums"
OVERSTATED, WINDOW_DIFFERS = "stored state claims more", "longer window differs"
SUMS = ("buy_lots", "sell_lots", "buy_trades", "sell_trades", "open_ticks", "close_ticks")


class Finding(NamedTuple):
    """One minute: what was stored as its state, what the candle proves now, and what is wrong."""

    start_ms: int
    stored: str
    proven: str
    problem: str

    @property
    def good(self) -> bool:
        """The best state its venue allows, and nothing contradicts it."""
        return not self.problem


class Audit(NamedTuple):
    """Every minute of a range."""

    instrument: str
    minutes: list[Finding]
    windows: int

    @property
    def good(self) -> bool:
        """True when there is nothing to complain about."""
        return bool(self.minutes) and all(minute.good for minute in self.minutes)

    @property
    def counts(self) -> dict[str, int]:
        """Minutes by what is proven of them."""
        return dict(Counter(minute.proven for minute in self.minutes))


def market_of(name: str) -> tuple[VenueMarket, str]:
    """The market and symbol of a canonical name; ConfigError says what one looks like."""
    venue, _, rest = name.partition(":")
    market, _, symbol = rest.partition(":")
    if venue not in VENUES or market not in set(Market) or not symbol.isalnum():
        raise ConfigError("INSTRUMENT must look like binance:spot:BTCUSDT or bybit:perp:BTCUSDT")
    return VENUES[venue][Market(market)], symbol.upper()


async def audit(settings: Settings, store: Store, name: str, start_ms: int, end_ms: int) -> Audit:
    """Audit [start, end) of one instrument; ExchangeError when the venue does not answer."""
    market, symbol = market_of(name)
    bars = await stored(store, name, "1m", start_ms, end_ms)
    candles: dict[int, Candle] = {}
    async with httpx2.AsyncClient(timeout=REST_TIMEOUT_S) as http:
        rest = RestClient(
            getattr(settings, market.rest_setting),
            http,
            Budget(market.weight_per_minute),
            monotonic_s,
        )
        instrument = await _listed(rest, market, symbol)
        for at in range(start_ms, end_ms, CHUNK * MINUTE_MS):
            last = min(end_ms, at + CHUNK * MINUTE_MS) - 1
            call = market.candles_call(instrument, "1m", at, last)
            candles |= {c.start_ms: c for c in await rest.ask(call, market.parse_candles)}
    findings = {
        at: _minute(at, bars.get(at), candles.get(at), instrument)
        for at in range(start_ms, end_ms, MINUTE_MS)
    }
    windows = 0
    for timeframe, length in TIMEFRAMES.items():
        if length > MINUTE_MS:
            longer = await stored(store, name, timeframe, start_ms, end_ms)
            for at, (bar, _) in longer.items():
                if at + length <= end_ms:
                    windows += 1
                    _window(at, length, bar, bars, findings)
    return Audit(name, list(findings.values()), windows)


async def stored(
    store: Store, name: str, timeframe: str, start_ms: int, end_ms: int
) -> dict[int, tuple[FootprintBar, Quality]]:
    """The newest stored bars of a range by start."""
    step = CHUNK * TIMEFRAMES[timeframe]
    found = {}
    for at in range(start_ms, end_ms, step):
        until = min(end_ms, at + step)
        query = Query(FOOTPRINTS, name, timeframe, at, until, wall_ms(), CHUNK)
        for record in await store.query(query):
            found[record.start_ms] = bar_from_body(record.body)
    return found


async def _listed(rest: RestClient, market: VenueMarket, symbol: str) -> Instrument:
    cursor = ""
    while True:
        page = await rest.ask(market.instruments_call(cursor), market.parse_instruments)
        for item in page.instruments:
            if item.symbol == symbol:
                return item
        if not page.cursor or page.cursor == cursor:
            raise NotFoundError(f"{market.venue} {market.market} lists no {symbol}")
        cursor = page.cursor


def _minute(
    at: int,
    found: tuple[FootprintBar, Quality] | None,
    candle: Candle | None,
    instrument: Instrument,
) -> Finding:
    if found is None:
        return Finding(at, "", str(State.UNKNOWN), NOT_STORED)
    bar, quality = found
    said = str(quality.state)
    if candle is None:
        return Finding(at, said, said, NO_CANDLE)
    rows = sum(buy + sell for buy, sell, _ in bar.rows.values())
    if rows != bar.flow.volume_lots:
        return Finding(at, said, str(State.UNKNOWN), ROWS_DIFFER)
    counted = dataclasses.replace(
        instrument, tick_size=bar.flow.tick_size, lot_size=bar.flow.lot_size
    )
    try:
        kline = candle.counted(counted)
    except DomainError:
        return Finding(at, said, said, "candle is off the grid")
    spot = instrument.market is Market.SPOT
    excused = quality.state is State.VENUE_ADJUSTMENT
    proven = reconcile(bar.flow, kline, gapless=excused, exact_count=spot)
    if proven is State.PARTIAL:
        claims = quality.state in (State.VERIFIED, State.VERIFIED_VOLUME)
        return Finding(at, said, str(proven), OVERSTATED if claims else said)
    return Finding(at, said, str(proven), "")


def _window(
    at: int,
    length: int,
    bar: FootprintBar,
    bars: dict[int, tuple[FootprintBar, Quality]],
    findings: dict[int, Finding],
) -> None:
    """A longer stored window must be the merge of its minutes."""
    starts = range(at, at + length, MINUTE_MS)
    if any(start not in bars for start in starts):
        return
    merged = footprint.then([bars[start][0] for start in starts])
    scale = (merged.flow.tick_size, merged.flow.lot_size)
    if scale != (bar.flow.tick_size, bar.flow.lot_size):
        return
    if any(getattr(merged.flow, name) != getattr(bar.flow, name) for name in SUMS):
        for start in starts:
            if findings[start].good:
                findings[start] = findings[start]._replace(problem=WINDOW_DIFFERS)
