"""What a detector gets to see, what it may claim, and how it is registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from orderflow.event import Direction, Evidence
from orderflow.footprint import FootprintBar
from orderflow.grid import plain

DEPTH = 60
"""So many earlier bars of its timeframe a detector may look at."""


class Look(msgspec.Struct, gc=False, frozen=True):
    """A closed bar, and the bars right before it: at most DEPTH, oldest first, complete, without
    a hole in between. Nothing later exists, so no rule can look ahead.

    The earlier bars come without rows, and with the single largest print of each.
    """

    timeframe: str
    bar: FootprintBar
    before: Sequence[FootprintBar]

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

    `depth`: how many earlier bars it wants to see, at most DEPTH.
    """

    kind: str
    version: int
    timeframes: tuple[str, ...]
    find: Callable[[Look], list[Finding]]
    meaning: str
    depth: int = 0

    @property
    def name(self) -> str:
        """Kind and version, as served in `rule`."""
        return f"{self.kind}/{self.version}"
