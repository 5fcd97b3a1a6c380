"""The day in columns, and its sums, straight from the exchange's own file.

Nothing here comes from the server's code: rows of the archive are integers of the smallest units,
and every figure is a sum, a maximum or a count over a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_704_067_200_000
COLUMNS = ("key", "price", "qty", "first", "last", "ms", "maker", "best")
TICKS, LOTS = 100, 100_000
"""Per unit of price, and per coin."""


class Bar(NamedTuple):
    """One window: prices in ticks, volumes in lots, quote in ticks times lots."""

    start: int
    open: int
    high: int
    low: int
    close: int
    buy: int
    sell: int
    buys: int
    sells: int
    first: int
    quote: int
    low_delta: int
    high_delta: int

    @property
    def volume(self) -> int:
        return self.buy + self.sell

    @property
    def delta(self) -> int:
        return self.buy - self.sell

    @property
    def trades(self) -> int:
        return self.buys + self.sells


class Day:
    """Every aggregate trade of the day."""

    def __init__(self, tape: Path) -> None:
        frame = pd.read_csv(tape, header=None, names=list(COLUMNS))
        self.ms: Any = frame["ms"].to_numpy()
        self.ticks: Any = np.rint(frame["price"].to_numpy() * TICKS).astype(np.int64)
        self.lots: Any = np.rint(frame["qty"].to_numpy() * LOTS).astype(np.int64)
        self.first: Any = frame["first"].to_numpy()
        self.count: Any = frame["last"].to_numpy() - self.first + 1
        self.buyer: Any = ~frame["maker"].to_numpy().astype(bool)

    def at(self, clock: str) -> int:
        """Milliseconds of a time of the day, as 13:05."""
        hour, minute = clock.split(":")
        return START + int(hour) * HOUR + int(minute) * MINUTE

    def span(self, start: int, end: int) -> slice:
        """Places of the trades of [start, end); they are in time order."""
        found = np.searchsorted(self.ms, [start, end])
        return slice(int(found[0]), int(found[1]))

    def bar(self, start: int, length: int) -> Bar:
        """One window."""
        part = self.span(start, start + length)
        ticks, lots, buyer = self.ticks[part], self.lots[part], self.buyer[part]
        count = self.count[part]
        running = np.cumsum(np.where(buyer, lots, -lots))
        return Bar(
            start,
            int(ticks[0]),
            int(ticks.max()),
            int(ticks.min()),
            int(ticks[-1]),
            int(lots[buyer].sum()),
            int(lots[~buyer].sum()),
            int(count[buyer].sum()),
            int(count[~buyer].sum()),
            int(self.first[part][0]),
            sum(int(a) * int(b) for a, b in zip(ticks, lots, strict=True)),
            min(0, int(running.min())),
            max(0, int(running.max())),
        )

    def bars(self, length: int, start: int = START, end: int = START + DAY) -> list[Bar]:
        """Windows one after another."""
        return [self.bar(at, length) for at in range(start, end, length)]

    def rows(self, start: int, end: int, size: int) -> dict[int, list[int]]:
        """Row price in whole units: lots bought and sold there."""
        part = self.span(start, end)
        row = self.ticks[part] // (size * TICKS) * size
        found: dict[int, list[int]] = {}
        for side, place in ((True, 0), (False, 1)):
            mask = self.buyer[part] == side
            prices, inverse = np.unique(row[mask], return_inverse=True)
            sums = np.zeros(len(prices), dtype=np.int64)
            np.add.at(sums, inverse, self.lots[part][mask])
            for price, lots in zip(prices, sums, strict=True):
                found.setdefault(int(price), [0, 0])[place] = int(lots)
        return found

    def value(self, start: int, end: int, size: int) -> tuple[int, int, int]:
        """(POC, VAH, VAL) as low prices of rows: single rows added to 70 %, ties upwards; rows
        without volume are stepped over."""
        rows = {price: sum(both) for price, both in sorted(self.rows(start, end, size).items())}
        prices, volumes = list(rows), list(rows.values())
        most = max(volumes)
        middle = (prices[0] + prices[-1]) / 2
        poc = min((p for p in prices if rows[p] == most), key=lambda p: (abs(p - middle), p))
        low = high = prices.index(poc)
        inside, total = rows[poc], sum(volumes)
        while 100 * inside < 70 * total:
            below = volumes[low - 1] if low else -1
            above = volumes[high + 1] if high + 1 < len(volumes) else -1
            if above >= below:
                high, inside = high + 1, inside + above
            else:
                low, inside = low - 1, inside + below
        return poc, prices[high], prices[low]

    def large(self) -> Iterator[tuple[int, int]]:
        """(minute, place) of every minute whose largest print by notional beats all of the up to
        60 minutes before, once there were 20."""
        worth = self.ticks * self.lots
        largest: list[int] = []
        for minute in range(START, START + DAY, MINUTE):
            part = self.span(minute, minute + MINUTE)
            place = part.start + int(np.argmax(worth[part]))
            before = largest[-60:]
            if len(before) >= 20 and worth[place] > max(before):
                yield minute, place
            largest.append(int(worth[place]))


def price(ticks: int) -> str:
    """Ticks as a price."""
    return f"{Decimal(ticks) / TICKS:f}"


def coins(lots: int) -> str:
    """Lots as coins."""
    return f"{Decimal(lots) / LOTS:f}"


def clock(ms: int) -> str:
    """A time of the day as 13:05."""
    return f"{(ms - START) // HOUR:02d}:{(ms - START) % HOUR // MINUTE:02d}"
