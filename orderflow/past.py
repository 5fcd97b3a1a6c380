"""The past of a bar: earlier complete bars on its grid, and how its numbers compare to theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from orderflow.evidence import part_of
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar, Rows, sum_rows
from orderflow.grid import plain
from orderflow.quantile import Exact, quantile
from orderflow.series import with_current

WINDOW = 50
LEAST_BARS = 20

Measure = Callable[[FlowBar], Exact | None]


class Past(msgspec.Struct, frozen=True):
    """Earlier bars that traded, oldest first, on the grid of the current bar."""

    bars: tuple[FootprintBar, ...]
    least_bars: int = LEAST_BARS

    @property
    def enough(self) -> bool:
        """True when there are as many bars as a comparison needs."""
        return len(self.bars) >= self.least_bars

    def percentile(self, measure: Measure[Exact], pct: int) -> Exact | None:
        """Percentile of a measure over these bars; None when too few of them have it."""
        found = [value for bar in self.bars if (value := measure(bar.flow)) is not None]
        return quantile(found, pct) if len(found) >= self.least_bars else None

    def rows(self) -> Rows:
        """Volume at price of all of them; empty when there are too few."""
        return sum_rows(bar.rows for bar in self.bars) if self.enough else {}

    def ends_ticks(self) -> tuple[int, int] | tuple[None, None]:
        """(lowest, highest) price of all of them; None when there are too few."""
        if not self.enough:
            return None, None
        lows = (bar.flow.low_ticks or 0 for bar in self.bars)
        return min(lows), max(bar.flow.high_ticks or 0 for bar in self.bars)


def past(
    context: Sequence[FootprintBar],
    current: FootprintBar,
    *,
    window: int = WINDOW,
    least_bars: int = LEAST_BARS,
) -> tuple[Past, FootprintBar]:
    """The newest `window` bars of the context and the current bar, on one grid.

    MergeError when a bar of the context isn't earlier than the current one.
    """
    before, bar = with_current(context, current)
    traded = [old for old in before[-window:] if not old.flow.empty]
    return Past(tuple(traded), least_bars), bar


def volume(bar: FlowBar) -> int:
    """Lots traded."""
    return bar.volume_lots


def height(bar: FlowBar) -> int | None:
    """High minus low in ticks."""
    if bar.high_ticks is None or bar.low_ticks is None:
        return None
    return bar.high_ticks - bar.low_ticks


def move(bar: FlowBar) -> int | None:
    """Close minus open in ticks, without sign."""
    if bar.close_ticks is None or bar.open_ticks is None:
        return None
    return abs(bar.close_ticks - bar.open_ticks)


def abs_delta_pct(bar: FlowBar) -> Fraction | None:
    """Delta without sign in percent of the volume."""
    return part_of(abs(bar.delta_lots), bar.volume_lots)


def move_per_delta(bar: FlowBar) -> Fraction | None:
    """Ticks moved per lot of delta; None when delta is 0."""
    made = move(bar)
    return Fraction(made, abs(bar.delta_lots)) if made is not None and bar.delta_lots else None


def move_per_volume(bar: FlowBar) -> Fraction | None:
    """Ticks moved per lot traded; None when nothing traded."""
    made = move(bar)
    return Fraction(made, bar.volume_lots) if made is not None and bar.volume_lots else None


def close_position_pct(bar: FlowBar) -> Fraction | None:
    """Where the close lies between low (0) and high (100); None when nothing moved."""
    tall = height(bar)
    if not tall or bar.close_ticks is None or bar.low_ticks is None:
        return None
    return part_of(bar.close_ticks - bar.low_ticks, tall)


def row_ticks(bar: FootprintBar) -> int:
    """Ticks per row."""
    return whole_ratio(bar.row_size, bar.flow.tick_size)


def price_of(ticks: Decimal, tick_size: Decimal) -> Decimal:
    """A price of so many ticks, given as a decimal."""
    return plain(ticks * tick_size)


def scale_of(before: FootprintBar, after: FootprintBar) -> int:
    """How many ticks of the second make one tick of the first."""
    return whole_ratio(before.flow.tick_size, after.flow.tick_size)
