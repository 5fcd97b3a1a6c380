"""Tally: the running flow of trades that follow each other without a hole. The hot path. Pure."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import msgspec

from orderflow.flow import LOT_FIELDS, FlowBar
from orderflow.instrument import Instrument
from orderflow.trade import TradeBatch
from processor.fold import WORTHWHILE, folded
from processor.ladder import Ladder
from processor.spans import SpanSums
from processor.sweep import LEAST_LEVELS, Burst, Sweeps


class Tally(msgspec.Struct):
    """Flow of consecutive trades first_key..last_key, in that order.

    `inside`: sweeps that are over on both sides; the first burst (`head`, None while it lasts) and
    the newest (`tail`) may go on in neighbouring tallies.
    """

    first_key: int
    last_key: int
    buy_lots: int = 0
    sell_lots: int = 0
    buy_trades: int = 0
    sell_trades: int = 0
    buy_quote: int = 0
    sell_quote: int = 0
    square_quote: int = 0
    records: int = 0
    open_ticks: int = 0
    high_ticks: int = 0
    low_ticks: int = 0
    close_ticks: int = 0
    min_delta_lots: int = 0
    max_delta_lots: int = 0
    cot_high_lots: int = 0
    cot_low_lots: int = 0
    first_ms: int = 0
    last_ms: int = 0
    first_id: int | None = None
    last_id: int | None = None
    inside: Sweeps = msgspec.field(default_factory=Sweeps)
    head: Burst | None = None
    tail: Burst = msgspec.field(default_factory=lambda: Burst(0, 0, 0, 0, 0, 0))

    def add(self, batch: TradeBatch, i: int, j: int, ladder: Ladder) -> None:
        """Apply trades i..j-1 of a batch in order, and give the ladder what needs no order."""
        if not self.records:
            price, lots = batch.price_ticks[i], batch.qty_lots[i]
            first_id = batch.first_trade_id[i] if batch.first_trade_id else None
            self.begin(batch.event_ms[i], price, lots if batch.side[i] else -lots, first_id)
        if j - i < WORTHWHILE or not folded(self, ladder, batch, i, j):
            self._add_each(batch, i, j, ladder)
        self.records += j - i
        self.close_ticks = batch.price_ticks[j - 1]
        self.last_key = batch.key[j - 1]
        self.last_ms = batch.event_ms[j - 1]
        if batch.last_trade_id:
            self.last_id = batch.last_trade_id[j - 1]

    def _add_each(  # noqa: PLR0915 (one loop without calls: it runs once per trade)
        self, batch: TradeBatch, i: int, j: int, ladder: Ladder
    ) -> None:
        """The same trade by trade: what `folded` does in columns."""
        rows, sizes = ladder.rows, ladder.sizes
        row_ticks, times, per = ladder.row_ticks, ladder.unit.times, ladder.unit.per
        kept = ladder.least_kept
        buy, sell, squares = self.buy_lots, self.sell_lots, self.square_quote
        buy_quote, sell_quote = self.buy_quote, self.sell_quote
        buy_trades, sell_trades = self.buy_trades, self.sell_trades
        high, low, at_high, at_low = (
            self.high_ticks,
            self.low_ticks,
            self.cot_high_lots,
            self.cot_low_lots,
        )
        least, most = self.min_delta_lots, self.max_delta_lots
        burst = self.tail
        at_ms, taker, first, last = burst.event_ms, burst.side, burst.first_ticks, burst.last_ticks
        levels, volume = burst.levels, burst.lots
        watched = 1 if self.head is None else LEAST_LEVELS
        for event_ms, price, quantity, side, trades in zip(
            batch.event_ms[i:j],
            batch.price_ticks[i:j],
            batch.qty_lots[i:j],
            batch.side[i:j],
            batch.n_trades[i:j] or repeat(1),
            strict=False,
        ):
            turnover = price * quantity
            squares += price * turnover
            number = price // row_ticks
            row = rows[number] if number in rows else rows.setdefault(number, [0, 0, 0])
            number = (turnover * times // per).bit_length()
            size = sizes[number] if number in sizes else sizes.setdefault(number, [0, 0, 0, 0])
            row[2] += trades
            if side:
                row[0] += quantity
                size[0] += quantity
                size[2] += 1
                buy += quantity
                buy_quote += turnover
                buy_trades += trades
                if buy - sell > most:
                    most = buy - sell
            else:
                row[1] += quantity
                size[1] += quantity
                size[3] += 1
                sell += quantity
                sell_quote += turnover
                sell_trades += trades
                if buy - sell < least:
                    least = buy - sell
            if price >= high:
                high, at_high = price, buy - sell
            if price <= low:
                low, at_low = price, buy - sell
            if turnover >= kept:
                kept = ladder.keep((turnover, -event_ms, price, quantity, side))
            if event_ms == at_ms and side == taker and (price >= last if side else price <= last):
                levels += price != last
                volume += quantity
            else:
                if levels >= watched:
                    watched = self.over(Burst(at_ms, taker, first, last, levels, volume))
                at_ms, taker, first, levels, volume = event_ms, side, price, 1, quantity
            last = price
        self.buy_lots, self.sell_lots, self.square_quote = buy, sell, squares
        self.buy_quote, self.sell_quote = buy_quote, sell_quote
        self.buy_trades, self.sell_trades = buy_trades, sell_trades
        self.high_ticks, self.low_ticks = high, low
        self.cot_high_lots, self.cot_low_lots = at_high, at_low
        self.min_delta_lots, self.max_delta_lots = least, most
        self.tail = Burst(at_ms, taker, first, last, levels, volume)

    def begin(self, event_ms: int, price: int, signed_lots: int, first_id: int | None) -> None:
        """The first trade: it opens, and every extreme is its own."""
        self.open_ticks = self.high_ticks = self.low_ticks = price
        self.min_delta_lots = self.max_delta_lots = signed_lots
        self.first_ms = event_ms
        self.first_id = first_id

    def take(self, sums: SpanSums) -> None:
        """Sums and extremes of the trades that follow, counted elsewhere.

        Sums of turnover times price are around the lowest price `base`; deltas begin at 0.
        """
        records, buy, lots, buy_quote, quote, buy_trades, trades, *rest = sums
        base, first_moment, second_moment, high, at_high, at_low, least, most = rest
        delta = self.buy_lots - self.sell_lots
        self.records += records
        self.buy_lots += buy
        self.sell_lots += lots - buy
        self.buy_quote += buy_quote
        self.sell_quote += quote - buy_quote
        self.buy_trades += buy_trades
        self.sell_trades += trades - buy_trades
        self.square_quote += base * (base * lots + 2 * first_moment) + second_moment
        if high >= self.high_ticks:
            self.high_ticks, self.cot_high_lots = high, delta + at_high
        if base <= self.low_ticks:
            self.low_ticks, self.cot_low_lots = base, delta + at_low
        if delta + least < self.min_delta_lots:
            self.min_delta_lots = delta + least
        if delta + most > self.max_delta_lots:
            self.max_delta_lots = delta + most

    def over(self, burst: Burst) -> int:
        """A burst ended inside this tally; returns from how many levels on the next one counts."""
        if self.head is None:
            self.head = burst
        else:
            self.inside.add(burst)
        return LEAST_LEVELS

    def bar(self, instrument: Instrument, start_ms: int, end_ms: int) -> FlowBar:
        """The same as a FlowBar of [start_ms, end_ms), without its sweeps."""
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
        for name in SHARED_LOTS:
            setattr(self, name, getattr(self, name) * lots)
        self.buy_quote *= ticks * lots
        self.sell_quote *= ticks * lots
        self.square_quote *= ticks * ticks * lots
        self.inside.buy_lots *= lots
        self.inside.sell_lots *= lots
        self.tail.rescale(ticks, lots)
        if self.head is not None:
            self.head.rescale(ticks, lots)


SHARED_FIELDS = tuple(
    name for name in Tally.__struct_fields__ if name in set(FlowBar.__struct_fields__)
)
SHARED_LOTS = tuple(name for name in LOT_FIELDS if name in SHARED_FIELDS)
