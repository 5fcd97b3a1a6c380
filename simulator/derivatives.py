"""Mark price, funding, open interest and liquidations of a market, invented beside its trades.

Everything is a function of the market's name, the time and the trades sent so far, so that two
runs, and two ways to ask, give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulator.columns import EMIT, PRICE
from simulator.decimals import text_of
from simulator.tape import Track

FUNDING_MS = 8 * 3_600_000
SECOND_MS = 1_000
RATE_DIGITS = 8
LIQUIDATION_CHANCE = 0.1
"""Of one more liquidation in a second."""
OPEN_LOTS = 40_000_000


@dataclass(frozen=True, slots=True)
class Liquidated:
    """A closed position: when, which one, its size and price in the tape's integers."""

    at_ms: int
    is_long: bool
    price: int
    qty: int


class DerivativeSource:
    """What a venue says of a perpetual besides its trades; prices in the tape's integers."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self._name = track.instrument.name

    def _random(self, kind: str, place: int) -> Random:
        return Random(f"{self._name} {kind} {place}")

    def last(self, at_ms: int) -> int:
        """The last price sent; before the first trade, the first price."""
        columns = self.track.given
        place = max(columns.find(EMIT, at_ms + 1) - 1, columns.dropped)
        found = columns.column(PRICE, place, place + 1)
        return int(found[0]) if len(found) else self.track.tick_units

    def index(self, at_ms: int) -> int:
        """The index price: the last one a few ticks aside."""
        aside = self._random("index", at_ms // SECOND_MS).randrange(-5, 6)
        return max(1, self.last(at_ms) + aside * self.track.tick_units)

    def mark(self, at_ms: int) -> int:
        """The mark price: between index and last."""
        return (self.last(at_ms) + self.index(at_ms)) // 2

    def funding(self, at_ms: int) -> tuple[str, int]:
        """Funding rate as text, and when it is paid next."""
        period = at_ms // FUNDING_MS
        rate = self._random("funding", period).randrange(-20_000, 30_001)
        return text_of(rate, RATE_DIGITS, RATE_DIGITS), (period + 1) * FUNDING_MS

    def open_interest(self, at_ms: int) -> int:
        """Open interest in the integers of the QTY column; it changes every second."""
        slow = self._random("open", at_ms // FUNDING_MS).randrange(OPEN_LOTS)
        quick = self._random("open", at_ms // SECOND_MS).randrange(OPEN_LOTS // 1_000)
        return (OPEN_LOTS + slow + quick) * self.track.lot_units

    def liquidations(self, after_ms: int, until_ms: int) -> list[Liquidated]:
        """Liquidations with times in (after, until], in order."""
        found = []
        for second in range(after_ms // SECOND_MS, until_ms // SECOND_MS + 1):
            random = self._random("liquidation", second)
            while random.random() < LIQUIDATION_CHANCE:
                at_ms = second * SECOND_MS + random.randrange(SECOND_MS)
                is_long = random.random() < 0.5
                lots = 1 + int(random.paretovariate(1.2) * 50)
                if after_ms < at_ms <= until_ms:
                    price, qty = self.last(at_ms), lots * self.track.lot_units
                    found.append(Liquidated(at_ms, is_long, price, qty))
        return sorted(found, key=lambda closed: closed.at_ms)
