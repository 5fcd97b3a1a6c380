"""What a detector gets to see, what it may claim, and how it is registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec

from orderflow.event import Direction, Evidence
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar, Row, sum_rows
from orderflow.grid import plain

DEPTH = 60
"""So many earlier bars of its timeframe a detector may look at."""


class RangeRows(NamedTuple):
    """Volume at price of a time span."""

    row_size: Decimal
    lot_size: Decimal
    rows: dict[int, Row]


def _no_rows(start_ms: int, end_ms: int) -> RangeRows | None:
    """Where nothing keeps rows."""
    return None


class Markets(NamedTuple):
    """Minutes of two markets of one venue over the same time, all complete."""

    spot_name: str
    spot: Sequence[FlowBar]
    perp: Sequence[FlowBar]


def _no_markets(start_ms: int, end_ms: int) -> Markets | None:
    """Where only one market is known."""
    return None


class Look(msgspec.Struct, gc=False, frozen=True):
    """A closed bar, and the bars right before it: at most DEPTH, oldest first, complete, without
    a hole in between. Nothing later exists, so no rule can look ahead.

    The earlier bars come without rows, and with the single largest print of each. `rows_of` gives
    the rows of the time span of such bars, None where they are not all known; `markets` the closed
    minutes of the spot market and of this perpetual, None where either is not known.
    """

    timeframe: str
    bar: FootprintBar
    before: Sequence[FootprintBar]
    rows_of: Callable[[int, int], RangeRows | None] = _no_rows
    markets: Callable[[int, int], Markets | None] = _no_markets

    def range_before(self, window: int, *, halves: bool = False) -> list[FootprintBar] | None:
        """The newest `window` earlier bars, the rows of all of them in the first that traded.

        Their sum is exact, single bars have no rows of their own. `halves`: with this bar they are
        two halves, and the first of either holds its rows. None where rows are missing.
        """
        bars = list(self.before[-window:])
        traded = [place for place, bar in enumerate(bars) if not bar.flow.empty]
        if not traded:
            return None
        middle = (len(traded) + 1) // 2
        firsts = [0, *traded[middle : middle + 1]] if halves and middle else [0]
        return self.with_rows(bars, firsts)

    def with_rows(
        self, bars: Sequence[FootprintBar], firsts: Sequence[int]
    ) -> list[FootprintBar] | None:
        """The bars in groups that begin at these places, the rows of each group in the first of it
        that traded; None where rows are missing."""
        spans = [*firsts, len(bars)]
        found = list(bars)
        wholes = []
        for first, behind in pairwise(spans):
            whole = self.rows_of(bars[first].flow.start_ms, bars[behind - 1].flow.end_ms)
            if whole is None:
                return None
            wholes.append(whole)
        size = max(whole.row_size for whole in wholes)
        size = max(size, *(bar.row_size for bar in bars))
        found = [bar.coarsened(size) for bar in bars]
        for whole, (first, behind) in zip(wholes, pairwise(spans), strict=True):
            traded = next(k for k in range(first, behind) if not bars[k].flow.empty)
            bar = found[traded].rescaled(found[traded].flow.tick_size, whole.lot_size)
            rows = sum_rows([whole.rows], whole_ratio(size, whole.row_size))
            found[traded] = FootprintBar(bar.flow, size, rows, bar.sizes, bar.largest)
        return found

    def one_before(self) -> Look | None:
        """What could be seen one bar ago; None without that bar or its rows."""
        if not self.before:
            return None
        *before, bar = self.before
        whole = self.with_rows([bar], [0]) if not bar.flow.empty else [bar]
        if whole is None:
            return None
        return msgspec.structs.replace(self, bar=whole[0], before=before)

    def row_price(self, row: int) -> Decimal:
        """Low price of a row."""
        return plain(row * self.bar.row_size)

    def price(self, ticks: int | None) -> Decimal | None:
        """Price of a number of ticks."""
        return None if ticks is None else plain(ticks * self.bar.flow.tick_size)

    def size(self, lots: int) -> str:
        """A quantity as a decimal string."""
        return f"{plain(lots * self.bar.flow.lot_size):f}"


class Finding(msgspec.Struct, gc=False, frozen=True):
    """A claim about the bar: at most one per rule and side.

    `evidence`: numbers as decimal strings, each next to the threshold it met. `compared`: how many
    of the earlier bars entered; `pivots`: starts of single earlier bars the claim names.
    """

    side: Direction | None
    price: Decimal | None
    evidence: Evidence
    compared: int = 0
    pivots: tuple[int, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """One kind of event: its version, the timeframes it is run on, and what it means.

    `depth`: how many earlier bars it wants to see, at most DEPTH. `across`: it looks at two
    markets, is asked again when the other one closes, and says nothing while that is unknown.
    """

    kind: str
    version: int
    timeframes: tuple[str, ...]
    find: Callable[[Look], list[Finding]]
    meaning: str
    depth: int = 0
    across: bool = False

    @property
    def name(self) -> str:
        """Kind and version, as served in `rule`."""
        return f"{self.kind}/{self.version}"
