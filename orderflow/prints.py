"""The prints of an interval by size: a histogram of size classes and the largest ones.

A print is a trade as the venue delivers it (on Binance an aggregate: one taker order at one price).
Size class k holds prints worth [2^(k-1), 2^k) in quote currency, class 0 those below 1; classes are
absolute, so intervals, venues and markets of one quote currency add up exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from heapq import nlargest
from typing import NamedTuple, TypeAlias

import msgspec

MOST_LARGEST = 32
ONE_IN = 100
"""A minute keeps its largest prints by notional, one in a hundred: at least one, at most 32.

Longer bars keep the largest 32 of their minutes' prints. Of equal ones the earlier is kept.
"""

SizeCell: TypeAlias = tuple[int, int, int, int]
"""(buy_lots, sell_lots, buy prints, sell prints) of one size class."""

Sizes: TypeAlias = Mapping[int, SizeCell]


class Print(NamedTuple):
    """One large print; `side` is the aggressor (1 buy, 0 sell)."""

    event_ms: int
    price_ticks: int
    qty_lots: int
    side: int

    @property
    def rank(self) -> tuple[int, int, int, int, int]:
        """Orders prints by notional, then the earlier first; equal ranks are equal prints."""
        turnover = self.price_ticks * self.qty_lots
        return turnover, -self.event_ms, self.price_ticks, self.qty_lots, self.side


class QuoteUnit(msgspec.Struct, frozen=True):
    """Quote currency in tick x lot units: `turnover * times // per` is the whole notional."""

    times: int
    per: int

    def size_class(self, turnover: int) -> int:
        """Class of a print of `turnover` (price_ticks * qty_lots)."""
        return (turnover * self.times // self.per).bit_length()


def quote_unit(tick_size: Decimal, lot_size: Decimal) -> QuoteUnit:
    """The unit of an instrument with these steps."""
    times, per = (tick_size * lot_size).as_integer_ratio()
    return QuoteUnit(times, per)


def class_floor(size_class: int) -> int:
    """The least notional of a class, in quote currency."""
    return 0 if size_class == 0 else 1 << (size_class - 1)


def kept(prints: int) -> int:
    """How many of a minute's prints are kept."""
    return min(MOST_LARGEST, -(-prints // ONE_IN))


def sum_sizes(parts: Iterable[Sizes]) -> dict[int, SizeCell]:
    """Class-wise sum, in ascending order of the class."""
    total: dict[int, list[int]] = {}
    for sizes in parts:
        for number, cell in sizes.items():
            found = total.get(number)
            if found is None:
                total[number] = list(cell)
            else:
                for place, value in enumerate(cell):
                    found[place] += value
    return {number: (v[0], v[1], v[2], v[3]) for number, v in sorted(total.items())}


def largest(parts: Iterable[Iterable[Print]], most: int = MOST_LARGEST) -> tuple[Print, ...]:
    """The largest prints of several bars of one scale, largest first."""
    return tuple(nlargest(most, (item for part in parts for item in part), key=_rank))


def _rank(item: Print) -> tuple[int, int, int, int, int]:
    return item.rank
