"""Candles of one tape, exact, made from what has been played."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from simulator.tape import Listing, Print

MINUTE_MS = 60_000


class Kline(msgspec.Struct):
    """One candle in whole ticks and lots; quote amounts in tick x lot units."""

    start_ms: int
    length_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int = 0
    quote: int = 0
    trades: int = 0
    buy_lots: int = 0
    buy_quote: int = 0
    first_id: int = -1
    last_id: int = -1

    @property
    def end_ms(self) -> int:
        """The last millisecond of the candle, as venues write it."""
        return self.start_ms + self.length_ms - 1

    def add(self, p: Print) -> None:
        """Count one print."""
        if self.trades == 0:
            self.open_ticks = self.high_ticks = self.low_ticks = p.ticks
            self.first_id = p.first_id
        self.high_ticks = max(self.high_ticks, p.ticks)
        self.low_ticks = min(self.low_ticks, p.ticks)
        self.close_ticks = p.ticks
        self.lots += p.lots
        self.quote += p.ticks * p.lots
        self.trades += p.last_id - p.first_id + 1
        if p.buy:
            self.buy_lots += p.lots
            self.buy_quote += p.ticks * p.lots
        self.last_id = p.last_id

    def join(self, other: Kline) -> None:
        """Count a later candle as well."""
        if other.trades == 0:
            return
        if self.trades == 0:
            self.open_ticks, self.high_ticks = other.open_ticks, other.high_ticks
            self.low_ticks, self.first_id = other.low_ticks, other.first_id
        self.high_ticks = max(self.high_ticks, other.high_ticks)
        self.low_ticks = min(self.low_ticks, other.low_ticks)
        self.close_ticks, self.last_id = other.close_ticks, other.last_id
        self.lots += other.lots
        self.quote += other.quote
        self.trades += other.trades
        self.buy_lots += other.buy_lots
        self.buy_quote += other.buy_quote


class KlineBook:
    """The closed minutes of a tape and the open one."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.closed: list[Kline] = []
        self.open: Kline | None = None

    def add(self, prints: list[Print]) -> list[Kline]:
        """Count prints in time order; the minutes they closed."""
        done: list[Kline] = []
        for p in prints:
            done += self.close_before(p.event_ms)
            if self.open is None:
                self.open = self._fresh(p.event_ms - p.event_ms % MINUTE_MS, p.ticks)
            self.open.add(p)
        return done

    def close_before(self, event_ms: int) -> list[Kline]:
        """Close every minute that ended before this time, empty ones as well."""
        done: list[Kline] = []
        while self.open is not None and self.open.start_ms + MINUTE_MS <= event_ms:
            done.append(self.open)
            self.closed.append(self.open)
            self.open = self._fresh(self.open.start_ms + MINUTE_MS, self.open.close_ticks)
        return done

    @staticmethod
    def _fresh(start_ms: int, ticks: int) -> Kline:
        return Kline(start_ms, MINUTE_MS, ticks, ticks, ticks, ticks)

    def candles(self, length_ms: int, start_ms: int, end_ms: int, limit: int) -> list[Kline]:
        """Candles with start in [start_ms, end_ms], oldest first, the open one included."""
        minutes = [*self.closed, *([self.open] if self.open is not None else [])]
        found: dict[int, Kline] = {}
        for minute in minutes:
            start = minute.start_ms - minute.start_ms % length_ms
            if not start_ms <= start <= end_ms:
                continue
            if start not in found:
                ticks = minute.open_ticks
                found[start] = Kline(start, length_ms, ticks, ticks, ticks, ticks)
            found[start].join(minute)
            if found[start].trades == 0:
                found[start].close_ticks = minute.close_ticks
        return [found[start] for start in sorted(found)][:limit]

    def price(self, ticks: int) -> str:
        """A price as the venue writes it."""
        return f"{ticks * self.listing.tick_size:f}"

    def qty(self, lots: int) -> str:
        """A quantity as the venue writes it."""
        return f"{lots * self.listing.lot_size:f}"

    def amount(self, ticks_lots: int) -> str:
        """A quote amount as the venue writes it."""
        return f"{Decimal(ticks_lots) * self.listing.tick_size * self.listing.lot_size:f}"
