"""What bursts brought to one ladder and nobody has read yet, in columns. Pure.

A ladder's classes and largest prints are a few dozen small objects; to touch them for every burst
of a thousand instruments costs more than the trades. Arrays are added to instead, and become
objects when the ladder is read.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from orderflow.prints import MOST_LARGEST

Block: TypeAlias = NDArray[np.int64]

CLASSES = 64
MOST_PRINTS = 96
"""So many prints wait; then only the largest of them do."""
MOST_BURSTS = 500
"""Sums of one burst are below 2^53, so sums of this many are below 2^62."""


class Crowd:
    """`sizes`: by size class (rows) buy lots, sell lots, buy prints and sell prints (columns).

    `least`: a print of less turnover is not among the largest; -1 while all of them may be.
    """

    __slots__ = ("bursts", "least", "prints", "sizes", "waiting")

    def __init__(self) -> None:
        self.sizes: Block = np.zeros((CLASSES, 4), dtype=np.int64)
        self.bursts = 0
        self.prints: list[Block] = []
        self.waiting = 0
        self.least = -1

    def add_sizes(self, lowest: int, sizes: Block) -> bool:
        """Sums of one burst from a size class on; True when the crowd has to be settled before
        the next."""
        self.sizes[lowest : lowest + len(sizes)] += sizes
        self.bursts += 1
        return self.bursts >= MOST_BURSTS

    def offer(self, prints: Block) -> None:
        """Prints as rows of (turnover, -event_ms, price_ticks, qty_lots, side)."""
        self.prints.append(prints)
        self.waiting += len(prints)
        if self.waiting >= MOST_PRINTS:
            self._thin()

    def _thin(self) -> None:
        """Keep the largest; of equal turnovers those that rank higher."""
        prints = np.concatenate(self.prints)
        turnover = prints[:, 0]
        self.least = int(np.partition(turnover, -MOST_LARGEST)[-MOST_LARGEST])
        prints = prints[turnover >= self.least]
        if len(prints) > MOST_LARGEST:
            prints = prints[np.lexsort(prints.T[::-1])[-MOST_LARGEST:]]
        self.prints, self.waiting = [prints], len(prints)

    def classes(self) -> list[tuple[int, list[int]]]:
        """(size class, [buy_lots, sell_lots, buy prints, sell prints]) of classes that occur."""
        found = np.flatnonzero(self.sizes[:, 2] + self.sizes[:, 3])
        return list(zip(found.tolist(), self.sizes[found].tolist(), strict=True))

    def ranked(self) -> list[tuple[int, int, int, int, int]]:
        """Every print that may be among the largest."""
        if self.waiting > MOST_LARGEST:
            self._thin()
        rows = (part.T.tolist() for part in self.prints)
        return [row for columns in rows for row in zip(*columns, strict=True)]
