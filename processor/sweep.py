"""Sweeps: prints of one aggressor in one millisecond that walk through the book. Pure.

A burst is a run of neighbouring prints with one time and one aggressor whose price only goes the
aggressor's way; it is a sweep when it reached at least three prices. A burst at the edge of a run
of ids may go on in the neighbouring run, so a tally keeps its first and last burst apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

LEAST_LEVELS = 3


class Burst(msgspec.Struct):
    """Neighbouring prints at one time by one aggressor over `levels` prices."""

    event_ms: int
    side: int
    first_ticks: int
    last_ticks: int
    levels: int
    lots: int

    def joined(self, later: Burst) -> Burst | None:
        """Both as one burst, or None when the later one starts anew."""
        if (self.event_ms, self.side) != (later.event_ms, later.side):
            return None
        step = later.first_ticks - self.last_ticks
        if (step if self.side else -step) < 0:
            return None
        levels = self.levels + later.levels - (step == 0)
        return Burst(
            self.event_ms,
            self.side,
            self.first_ticks,
            later.last_ticks,
            levels,
            self.lots + later.lots,
        )

    def rescale(self, ticks: int, lots: int) -> None:
        """Count in finer steps."""
        self.first_ticks *= ticks
        self.last_ticks *= ticks
        self.lots *= lots


class Sweeps(msgspec.Struct):
    """Sweeps and their volume by side."""

    count: int = 0
    buy_lots: int = 0
    sell_lots: int = 0

    def add(self, burst: Burst) -> None:
        """Count a burst that is over, if it is a sweep."""
        if burst.levels >= LEAST_LEVELS:
            self.count += 1
            if burst.side:
                self.buy_lots += burst.lots
            else:
                self.sell_lots += burst.lots


class Edges(msgspec.Struct):
    """What the sweeps of an id run are made of.

    `follows`: no id is missing before it; `first` is None while its only burst is `last`.
    """

    follows: bool
    inside: Sweeps
    first: Burst | None
    last: Burst


def sweeps_of(runs: Iterable[Edges]) -> Sweeps:
    """All sweeps of id runs in order; bursts that go on over a border are one."""
    total = Sweeps()
    open_burst: Burst | None = None
    for run in runs:
        total.count += run.inside.count
        total.buy_lots += run.inside.buy_lots
        total.sell_lots += run.inside.sell_lots
        for number, burst in enumerate((run.first, run.last)):
            if burst is None:
                continue
            border = number == 0 or run.first is None
            both = open_burst.joined(burst) if open_burst and border and run.follows else None
            if both is None and open_burst is not None:
                total.add(open_burst)
            open_burst = both or burst
    if open_burst is not None:
        total.add(open_burst)
    return total
