"""Tally: the running flow of trades that follow each other without a hole. The hot path. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from orderflow.flow import FlowBar
from orderflow.instrument import Instrument
from orderflow.trade import TradeBatch

OpenRows = dict[int, list[int]]
"""Row number to [buy_lots, sell_lots, trades]."""


class Tally(msgspec.Struct):
    """Flow of consecutive trades first_key..last_key, in that order."""

    first_key: int
    last_key: int
    buy_lots: int = 0
    sell_lots: int = 0
    buy_trades: int = 0
    sell_trades: int = 0
    buy_quote: int = 0
    sell_quote: int = 0
    records: int = 0
    open_ticks: int = 0
    high_ticks: int = 0
    low_ticks: int = 0
    close_ticks: int = 0
    min_delta_lots: int = 0
    max_delta_lots: int = 0
    first_ms: int = 0
    last_ms: int = 0
    first_id: int | None = None
    last_id: int | None = None

    def add(  # noqa: PLR0915 (one loop without calls: it runs once per trade)
        self, batch: TradeBatch, i: int, j: int, rows: OpenRows, row_ticks: int
    ) -> None:
        """Apply trades i..j-1 of a batch in order; `rows` takes their volume at price."""
        prices, lots, sides = batch.price_ticks, batch.qty_lots, batch.side
        counts = batch.n_trades
        buy, sell, buy_quote, sell_quote = (
            self.buy_lots,
            self.sell_lots,
            self.buy_quote,
            self.sell_quote,
        )
        high, low = self.high_ticks, self.low_ticks
        least, most = self.min_delta_lots, self.max_delta_lots
        buy_trades = sell_trades = 0
        if not self.records:
            high = low = self.open_ticks = prices[i]
            least = most = lots[i] if sides[i] else -lots[i]
            self.first_ms = batch.event_ms[i]
            self.first_id = batch.first_trade_id[i] if batch.first_trade_id else None
        for k in range(i, j):
            price = prices[k]
            quantity = lots[k]
            trades = counts[k] if counts else 1
            cell = rows.get(price // row_ticks)
            if cell is None:
                cell = rows[price // row_ticks] = [0, 0, 0]
            cell[2] += trades
            if sides[k]:
                cell[0] += quantity
                buy += quantity
                buy_quote += price * quantity
                buy_trades += trades
                if buy - sell > most:
                    most = buy - sell
            else:
                cell[1] += quantity
                sell += quantity
                sell_quote += price * quantity
                sell_trades += trades
                if buy - sell < least:
                    least = buy - sell
            if price > high:
                high = price
            elif price < low:
                low = price
        self.buy_lots, self.sell_lots = buy, sell
        self.buy_quote, self.sell_quote = buy_quote, sell_quote
        self.high_ticks, self.low_ticks = high, low
        self.min_delta_lots, self.max_delta_lots = least, most
        self.buy_trades += buy_trades
        self.sell_trades += sell_trades
        self.records += j - i
        self.close_ticks = prices[j - 1]
        self.last_key = batch.key[j - 1]
        self.last_ms = batch.event_ms[j - 1]
        if batch.last_trade_id:
            self.last_id = batch.last_trade_id[j - 1]

    def bar(self, instrument: Instrument, start_ms: int, end_ms: int) -> FlowBar:
        """The same as a FlowBar of [start_ms, end_ms)."""
        values: dict[str, Any] = {name: getattr(self, name) for name in SHARED_FIELDS}
        return FlowBar(
            start_ms=start_ms,
            end_ms=end_ms,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            first_name=instrument.name,
            last_name=instrument.name,
            **values,
        )

    def rescale(self, ticks: int, lots: int) -> None:
        """Count in finer steps: one old tick is `ticks` new ones, one old lot `lots`."""
        for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
            setattr(self, name, getattr(self, name) * ticks)
        for name in ("buy_lots", "sell_lots", "min_delta_lots", "max_delta_lots"):
            setattr(self, name, getattr(self, name) * lots)
        self.buy_quote *= ticks * lots
        self.sell_quote *= ticks * lots


SHARED_FIELDS = tuple(
    name for name in Tally.__struct_fields__ if name not in {"first_key", "last_key"}
)
