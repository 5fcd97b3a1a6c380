"""A study: one indicator over a stretch of bars, as plain numbers for servers and notebooks. Pure.

A study reads bars only, so that a server over its store and `wadm compute` over a tape say the
same. Prices, quantities and shares are exact decimals, moments are ISO-8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import msgspec

from orderflow.errors import ValidationError
from orderflow.evidence import shown
from orderflow.flow import whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.grid import plain
from orderflow.timeframe import DAY_MS, MINUTE_MS, TIMEFRAMES, Window

Row: TypeAlias = dict[str, Any]
"""Name to Decimal, int, str, bool, None, or a list of such rows."""
Operation = Literal["compare", "merge", "subtract"]
OPERATIONS: tuple[Operation, ...] = ("compare", "merge", "subtract")
NO_BARS = "no bar of this time was collected"
NO_TRADES = "no trades in the window"


class Options(msgspec.Struct, frozen=True):
    """What a study may be asked beside its bars.

    `session`: day, week, asia, europe, us or `ZONE HH:MM-HH:MM`. `anchor_ms`: where sums begin.
    `windows`: how many sessions. `first`, `other`: the two windows of an operation; without
    `first` it is everything else (or everything, to subtract from). `bucket`: of VPIN, base units.
    """

    session: str = "day"
    anchor_ms: int | None = None
    windows: int = 5
    operation: Operation = "compare"
    first: Window | None = None
    other: Window | None = None
    bucket: Decimal | None = None


class Studied(msgspec.Struct, frozen=True):
    """What a study found: `facts` about the whole stretch, `items` in the study's own order.

    `reason` says why there are no numbers.
    """

    facts: Row = {}
    items: list[Row] = []
    reason: str | None = None


Find = Callable[[Sequence[FootprintBar], Options], Studied]


class Study(msgspec.Struct, frozen=True):
    """A registered study; its rule card has the same name.

    `timeframe`, `span_ms`: the bars it is asked over by default, ending now. `takes`: the options
    it reads. `finest`: longer bars would be refused or say too little. `closed_only`: a bar that
    is still open says nothing.
    """

    name: str
    find: Find
    says: str
    timeframe: str = "1m"
    span_ms: int = 60 * MINUTE_MS
    takes: tuple[str, ...] = ()
    finest: str = "1d"
    closed_only: bool = False

    def checked(self, timeframe: str | None) -> str:
        """The timeframe to use; ValidationError when it is too long for this study."""
        name = timeframe or self.timeframe
        if TIMEFRAMES[name] > TIMEFRAMES[self.finest]:
            raise ValidationError(f"{self.name} needs bars of {self.finest} or shorter")
        return name


LONG_SPAN_MS = 30 * DAY_MS


class Scale(msgspec.Struct, frozen=True):
    """From ticks, lots and rows to prices and quantities."""

    tick_size: Decimal
    lot_size: Decimal
    row_size: Decimal

    def price(self, ticks: int | None) -> Decimal | None:
        """A price of so many ticks."""
        return None if ticks is None else plain(ticks * self.tick_size)

    def row(self, row: int | None) -> Decimal | None:
        """Low price of a row."""
        return None if row is None else plain(row * self.row_size)

    def size(self, lots: int | None) -> Decimal | None:
        """A quantity of so many lots."""
        return None if lots is None else plain(lots * self.lot_size)

    @property
    def row_ticks(self) -> int:
        """Ticks per row."""
        return whole_ratio(self.row_size, self.tick_size)


def scale_of(bar: FootprintBar) -> Scale:
    """The steps a bar is counted in."""
    return Scale(bar.flow.tick_size, bar.flow.lot_size, bar.row_size)


def number(value: Fraction | Decimal | None) -> Decimal | None:
    """An exact share as a decimal of at most 12 digits."""
    found = shown(value)
    return None if found is None else plain(found)
