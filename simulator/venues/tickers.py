"""The last 24 hours of a market as the venues tell them, from what the tape has sent so far.

What a tape does not know (a book) is left out; so is what an endless tape has forgotten.
"""

from __future__ import annotations

from typing import Any

from simulator.candles import DAY_MS, Candle, candle_of
from simulator.columns import EMIT, EVENT
from simulator.tape import Track
from simulator.venues.binance_frames import BinanceText
from simulator.venues.bybit_frames import BybitText


def last_day(track: Track, now_ms: int) -> Candle:
    """The 24 hours before now as one candle; zeros where nothing was sent."""
    columns, start_ms = track.counted, now_ms - DAY_MS
    stop = columns.find(EMIT, now_ms + 1)
    start = min(columns.find(EVENT, start_ms), stop)
    found = candle_of(columns, start, stop, (start_ms, now_ms))
    return found or Candle(start_ms, now_ms, 0, 0, 0, 0)


def binance_ticker(track: Track, text: BinanceText, now_ms: int) -> dict[str, Any]:
    """A row of `ticker/24hr`."""
    day = last_day(track, now_ms)
    return {
        "symbol": track.instrument.symbol,
        "lastPrice": text.price[day.close],
        "openPrice": text.price[day.open],
        "highPrice": text.price[day.high],
        "lowPrice": text.price[day.low],
        "volume": text.qty[day.volume],
        "quoteVolume": text.quote(day.quote),
        "openTime": day.start_ms,
        "closeTime": day.end_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }


def bybit_ticker(track: Track, text: BybitText, now_ms: int) -> dict[str, Any]:
    """A row of `tickers`."""
    day = last_day(track, now_ms)
    return {
        "symbol": track.instrument.symbol,
        "lastPrice": text.price[day.close],
        "prevPrice24h": text.price[day.open],
        "highPrice24h": text.price[day.high],
        "lowPrice24h": text.price[day.low],
        "volume24h": text.qty[day.volume],
        "turnover24h": text.quote(day.quote),
    }
