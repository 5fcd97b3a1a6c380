"""Volume-weighted average price with deviation bands, of a window or from an anchor on.

The sums are whole numbers (up to 80 bits and more), the root is taken of a whole number, so the
result does not depend on order or grouping. Agrees with wickra 2.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import isqrt

import msgspec

from orderflow import flow
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard

BANDS = (1, 2)
ROOT_DIGITS = 12

CARD = RuleCard(
    name="vwap",
    version=2,
    family="profile",
    summary="Volume-weighted average price, its deviation and bands, also from an anchor on.",
    formula=(
        "VWAP = sum(p q) / sum(q); sigma^2 = sum(p^2 q) / sum(q) - VWAP^2; bands = VWAP +- "
        "k sigma. Anchored: all sums start at the anchor."
    ),
    units="price; sums in ticks and lots exact, sigma to 12 decimal digits of a tick (cut)",
    parameters=(
        Parameter("k", "1, 2", "multiples of sigma", "the bands"),
        Parameter("anchor", "start of the window", "ms UTC", "where the sums begin"),
    ),
    ties="population variance, weighted by quantity; none without volume",
    edges=(
        "One price has sigma 0.",
        "Without volume there is no VWAP; an empty bar leaves it where it was.",
        "The bands may lie outside the traded range.",
        "A bar that reaches over the anchor is refused.",
    ),
    merging="Exact: the three sums add, over time and over venues.",
    evidence="The average price paid in the window, and how far volume lay from it.",
    not_evidence="A fair value; that price returns to it is not shown.",
    source="wickra 2.0 (bands), checked on its outputs after every trade",
    example=Example(
        "The six trades in one minute; anchored: one trade a minute, from the third on.",
        (
            ("vwap", "101.269231"),
            ("sigma", "0.901183"),
            ("upper 1", "102.170413"),
            ("lower 1", "100.368048"),
            ("anchored vwap", "101.916667"),
        ),
    ),
)


class Vwap(msgspec.Struct, gc=False, frozen=True):
    """Exact sums of a window: lots, ticks x lots, ticks^2 x lots; at least one lot."""

    end_ms: int
    tick_size: Decimal
    lots: int
    amount: int
    squares: int

    @property
    def mean_ticks(self) -> Fraction:
        """VWAP in ticks, exact."""
        return Fraction(self.amount, self.lots)

    @property
    def variance_ticks(self) -> Fraction:
        """Variance in squared ticks, exact."""
        return Fraction(self.squares * self.lots - self.amount * self.amount, self.lots**2)

    @property
    def price(self) -> Decimal:
        """VWAP as a price, to 28 digits."""
        return Decimal(self.amount) * self.tick_size / Decimal(self.lots)

    @property
    def sigma(self) -> Decimal:
        """Deviation as a price, cut at ROOT_DIGITS decimal digits of a tick."""
        spread = self.squares * self.lots - self.amount * self.amount
        root = isqrt(spread * 10 ** (2 * ROOT_DIGITS) // self.lots**2)
        return Decimal(root).scaleb(-ROOT_DIGITS) * self.tick_size

    def band(self, k: int | Decimal) -> tuple[Decimal, Decimal]:
        """(lower, upper) band at k deviations."""
        return self.price - k * self.sigma, self.price + k * self.sigma


def vwap(bar: FlowBar) -> Vwap | None:
    """VWAP of a bar of any length; None without volume."""
    if bar.volume_lots == 0:
        return None
    amount = bar.buy_quote + bar.sell_quote
    return Vwap(bar.end_ms, bar.tick_size, bar.volume_lots, amount, bar.square_quote)


def anchored(bars: Sequence[FlowBar], anchor_ms: int) -> list[Vwap]:
    """VWAP since the anchor after each bar that starts at or after it, from the first trade on.

    Bars in time order. MergeError when a bar reaches over the anchor.
    """
    total: FlowBar | None = None
    points: list[Vwap] = []
    for bar in _since(bars, anchor_ms):
        total = bar if total is None else flow.then(total, bar)
        point = vwap(total)
        if point is not None:
            points.append(point)
    return points


def _since(bars: Iterable[FlowBar], anchor_ms: int) -> Iterable[FlowBar]:
    for bar in bars:
        if bar.start_ms >= anchor_ms:
            yield bar
        elif bar.end_ms > anchor_ms:
            raise MergeError("a bar reaches over the anchor; use finer bars")
