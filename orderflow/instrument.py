"""What is traded where: venue, market, steps, and every spelling of a symbol."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Literal

from orderflow.errors import DomainError, OffGridError

Sequence = Literal["consecutive", "unordered"]
"""How a venue numbers its trades: without holes, or with ids that say nothing about order."""

Status = Literal["trading", "halted", "delisted", "renamed"]


class Market(StrEnum):
    """Spot, or the perpetual contract settled in the quote currency."""

    SPOT = "spot"
    PERP = "perp"


@dataclass(frozen=True, slots=True)
class Step:
    """A price or quantity step (tick or lot size) and exact arithmetic in whole steps.

    `decimals` and `units` write the step as `units * 10**-decimals`.
    """

    size: Decimal
    decimals: int = field(init=False)
    units: int = field(init=False)
    factor: float = field(init=False)

    def __post_init__(self) -> None:
        if not self.size.is_finite() or self.size <= 0:
            raise DomainError(f"a step must be a positive number, got {self.size}")
        normal = self.size.normalize()
        exponent = int(normal.as_tuple().exponent)
        decimals = max(0, -exponent)
        object.__setattr__(self, "decimals", decimals)
        object.__setattr__(self, "units", int(normal.scaleb(decimals)))
        object.__setattr__(self, "factor", float(10**decimals))

    def steps(self, text: str | Decimal) -> int:
        """Whole steps in a decimal string; OffGridError when it is no multiple of the step."""
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise OffGridError("not a decimal number") from None
        if not value.is_finite():
            raise OffGridError("not a finite number")
        scaled = value.scaleb(self.decimals)
        whole = int(scaled)
        if scaled != whole or whole % self.units:
            raise OffGridError(f"{value} is no multiple of {self.size}")
        return whole // self.units

    def steps_of_float(self, value: float) -> int:
        """Whole steps in the double nearest to a decimal string, or OffGridError.

        Exact while the decimal has at most 15 significant digits: then both the double and
        `whole / factor` are the correctly rounded value of one decimal, so equality of the
        doubles is equality of the decimals (tests/orderflow/test_instrument.py proves it).
        """
        whole = round(value * self.factor)
        if whole / self.factor != value or whole % self.units:
            raise OffGridError(f"{value!r} is no multiple of {self.size}")
        return whole // self.units

    def value(self, steps: int) -> Decimal:
        """The decimal of a number of whole steps, with the step's own decimals."""
        return Decimal(steps * self.units).scaleb(-self.decimals)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One order book of one venue. `multiplier` is base units per contract quantity."""

    venue: str
    market: Market
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    sequence: Sequence = "consecutive"
    status: Status = "trading"
    multiplier: Decimal = Decimal(1)
    tick: Step = field(init=False, compare=False, repr=False)
    lot: Step = field(init=False, compare=False, repr=False)
    name: str = field(init=False, compare=False, repr=False)
    """Canonical name, for example `binance:perp:BTCUSDT`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.venue}:{self.market}:{self.symbol}")
        object.__setattr__(self, "tick", Step(self.tick_size))
        object.__setattr__(self, "lot", Step(self.lot_size))

    def price_ticks(self, text: str) -> int:
        """Whole ticks in a price string; OffGridError otherwise."""
        return self.tick.steps(text)

    def qty_lots(self, text: str) -> int:
        """Whole lots in a quantity string; OffGridError otherwise."""
        return self.lot.steps(text)

    def price(self, ticks: int) -> Decimal:
        """Price of a number of ticks."""
        return self.tick.value(ticks)

    def qty(self, lots: int) -> Decimal:
        """Quantity of a number of lots."""
        return self.lot.value(lots)


def common_step(sizes: list[Decimal]) -> Decimal:
    """The largest step of which every given step is a whole multiple (their exact gcd)."""
    return _common(tuple(dict.fromkeys(sizes)))


@functools.lru_cache(maxsize=1_024)
def _common(sizes: tuple[Decimal, ...]) -> Decimal:
    """Kept, because bars that are merged nearly always have one and the same step."""
    decimals = max(Step(size).decimals for size in sizes)
    result = 0
    for size in sizes:
        whole, other = int(size.scaleb(decimals)), result
        while other:
            whole, other = other, whole % other
        result = whole
    return Decimal(result).scaleb(-decimals)
