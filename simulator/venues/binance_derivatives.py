"""Binance's JSON of what a perpetual is besides its trades: mark price, liquidations, interest."""

from __future__ import annotations

from typing import Any

from simulator.derivatives import DerivativeSource
from simulator.venues.binance_frames import BinanceText

FORCE_ORDER_MS = 1_000
"""Only the newest liquidation of a symbol in this span is sent."""
MARK_PACES_MS = {"markPrice": 3_000, "markPrice@1s": 1_000}


def mark_event(text: BinanceText, source: DerivativeSource, at_ms: int) -> str:
    """A `markPriceUpdate` event."""
    rate, next_ms = source.funding(at_ms)
    index = text.price[source.index(at_ms)]
    return (
        f'{{"e":"markPriceUpdate","E":{at_ms},"s":"{text.symbol}",'
        f'"p":"{text.price[source.mark(at_ms)]}","ap":"{index}","i":"{index}","P":"{index}",'
        f'"r":"{rate}","T":{next_ms}}}'
    )


def force_event(text: BinanceText, source: DerivativeSource, at_ms: int) -> str | None:
    """A `forceOrder` event: the newest of its second, if any. A long is closed by a SELL."""
    found = source.liquidations(at_ms - FORCE_ORDER_MS, at_ms)
    if not found:
        return None
    newest = found[-1]
    side = "SELL" if newest.is_long else "BUY"
    price, qty = text.price[newest.price], text.qty[newest.qty]
    return (
        f'{{"e":"forceOrder","E":{at_ms},"o":{{"s":"{text.symbol}","S":"{side}","o":"LIMIT",'
        f'"f":"IOC","q":"{qty}","p":"{price}","ap":"{price}","X":"FILLED","l":"{qty}",'
        f'"z":"{qty}","T":{newest.at_ms}}}}}'
    )


def premium(text: BinanceText, source: DerivativeSource, at_ms: int) -> dict[str, Any]:
    """A row of REST `premiumIndex`."""
    rate, next_ms = source.funding(at_ms)
    index = text.price[source.index(at_ms)]
    return {
        "symbol": source.track.instrument.symbol,
        "markPrice": text.price[source.mark(at_ms)],
        "indexPrice": index,
        "estimatedSettlePrice": index,
        "lastFundingRate": rate,
        "interestRate": "0.00010000",
        "nextFundingTime": next_ms,
        "time": at_ms,
    }


def interest(text: BinanceText, source: DerivativeSource, at_ms: int) -> dict[str, Any]:
    """The answer of REST `openInterest`."""
    quantity = text.qty[source.open_interest(at_ms)]
    symbol = source.track.instrument.symbol
    return {"openInterest": quantity, "symbol": symbol, "time": at_ms}
