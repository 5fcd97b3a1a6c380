"""Base rows of one instrument by UTC day: fixed for a day, changed only at 00:00 UTC. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from orderflow import grid
from orderflow.timeframe import DAY_MS, TIMEFRAMES, floor_ms

Ranges = Callable[[int], list[Decimal]]
"""Hourly ranges known before the start of a day, from our own closed bars."""

ENOUGH_HOURS = 20


class Grid(msgspec.Struct, gc=False, frozen=True):
    """Base row and the typical hourly range it was chosen for."""

    row_size: Decimal
    hour_range: Decimal

    def served(self) -> dict[str, str]:
        """Base and default served row size of every timeframe, as decimal strings."""
        rows = {name: grid.served_row(self.row_size, self.hour_range, name) for name in TIMEFRAMES}
        return {"base": f"{self.row_size:f}", **{name: f"{row:f}" for name, row in rows.items()}}


class Grids:
    """Grid by day; a new day follows our own hours when there are enough, else the day before."""

    def __init__(self, first: Grid | None, *, fixed: bool = False) -> None:
        self.first = first
        self.fixed = fixed
        self.days: dict[int, Grid] = {}

    def decide(self, price: Decimal, tick_size: Decimal) -> None:
        """Choose the first grid from a price, where no venue candle told the range."""
        if self.first is None:
            hour_range = grid.median_range([], price)
            self.first = Grid(grid.base_row([tick_size], hour_range), hour_range)

    def at(self, event_ms: int, tick_size: Decimal, ranges: Ranges) -> Grid:
        """The grid in force at that time."""
        day = floor_ms(event_ms, DAY_MS)
        found = self.days.get(day)
        if found is None:
            found = self._chosen(day, tick_size, ranges)
            if self.first is not None:
                self.days[day] = found
        return found

    def _chosen(self, day: int, tick_size: Decimal, ranges: Ranges) -> Grid:
        earlier = [known for known in self.days if known < day]
        before = self.days[max(earlier)] if earlier else self.first or Grid(tick_size, tick_size)
        known = ranges(day)
        if self.fixed or not earlier or len(known) < ENOUGH_HOURS:
            return before
        typical = grid.median_range(known, Decimal(0))
        if typical <= 0:
            return before
        return Grid(grid.base_row([tick_size], typical), typical)

    def forget_before(self, event_ms: int) -> None:
        """Drop days before the one that contains `event_ms`."""
        day = floor_ms(event_ms, DAY_MS)
        self.days = {known: value for known, value in self.days.items() if known >= day}
