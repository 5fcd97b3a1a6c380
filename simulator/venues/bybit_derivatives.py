"""Bybit's JSON of what a linear contract is besides its trades: tickers and liquidations."""

from __future__ import annotations

import json

from simulator.derivatives import DerivativeSource
from simulator.venues.bybit_frames import BybitText

TICKER_MS = 1_000
LIQUIDATION_MS = 500


class Ticker:
    """One symbol's ticker: a snapshot for whoever comes, then only what changed."""

    def __init__(self, text: BybitText, source: DerivativeSource) -> None:
        self.text = text
        self.source = source
        self._said: dict[str, str] = {}

    def _fields(self, at_ms: int) -> dict[str, str]:
        source, price = self.source, self.text.price
        rate, next_ms = source.funding(at_ms)
        interest = source.open_interest(at_ms)
        digits = source.track.instrument.price_digits + source.track.instrument.qty_digits
        value = source.mark(at_ms) * interest / 10**digits
        return {
            "lastPrice": price[source.last(at_ms)],
            "markPrice": price[source.mark(at_ms)],
            "indexPrice": price[source.index(at_ms)],
            "openInterest": self.text.qty[interest],
            "openInterestValue": f"{value:.2f}",
            "nextFundingTime": str(next_ms),
            "fundingRate": rate,
        }

    def snapshot(self, at_ms: int) -> str:
        """All fields."""
        return self._frame("snapshot", self._fields(at_ms), at_ms)

    def delta(self, at_ms: int) -> str | None:
        """The fields that changed since the last delta; None if none did."""
        fields = self._fields(at_ms)
        changed = {name: value for name, value in fields.items() if self._said.get(name) != value}
        self._said = fields
        return self._frame("delta", changed, at_ms) if changed else None

    def _frame(self, kind: str, fields: dict[str, str], at_ms: int) -> str:
        data = json.dumps({"symbol": self.source.track.instrument.symbol} | fields)
        topic = f"tickers.{self.text.symbol}"
        return f'{{"topic":"{topic}","type":"{kind}","data":{data},"cs":{at_ms},"ts":{at_ms}}}'


def liquidation_message(text: BybitText, source: DerivativeSource, at_ms: int) -> str | None:
    """An `allLiquidation` message: every one since the last; S is the side of the position."""
    found = source.liquidations(at_ms - LIQUIDATION_MS, at_ms)
    if not found:
        return None
    rows = ",".join(
        f'{{"T":{closed.at_ms},"s":"{text.symbol}","S":"{"Buy" if closed.is_long else "Sell"}",'
        f'"v":"{text.qty[closed.qty]}","p":"{text.price[closed.price]}"}}'
        for closed in found
    )
    topic = f"allLiquidation.{text.symbol}"
    return f'{{"topic":"{topic}","type":"snapshot","ts":{at_ms},"data":[{rows}]}}'
