"""A seeded synthetic market without end: bursts, fat-tailed sizes, a price that wanders.

Every draw comes from one generator per market, so the same seed and start give the same trades.
Ids grow with the start, so that a market started again goes on behind the one before.
"""

from __future__ import annotations

import math
import random
import uuid
from decimal import Decimal

from simulator.tape import BYBIT_SPOT_BASE, UUID_SPACE, Listing, Print, Tape

KEPT = 200_000
"""Played prints kept for REST; older ones are gone, as on a real venue."""

COINS: dict[str, tuple[str, str, str, float]] = {
    "BTC": ("64000", "0.01", "0.00001", 6.0),
    "ETH": ("2600", "0.01", "0.0001", 4.0),
    "SOL": ("150", "0.01", "0.001", 3.0),
    "XRP": ("0.55", "0.0001", "0.1", 2.0),
    "BNB": ("580", "0.01", "0.001", 1.5),
    "DOGE": ("0.12", "0.00001", "1", 2.0),
    "ADA": ("0.36", "0.0001", "0.1", 1.0),
    "LINK": ("11", "0.001", "0.01", 1.0),
    "SUI": ("1.8", "0.0001", "0.1", 1.5),
    "LTC": ("65", "0.01", "0.001", 1.0),
}
"""Coin to (price, tick, lot, aggregates a second)."""

MARKETS = (("binance", "spot"), ("binance", "perp"), ("bybit", "spot"), ("bybit", "perp"))


class SyntheticTape(Tape):
    """Trades made as they are played."""

    def __init__(self, listing: Listing, start_ms: int, seed: int, price: Decimal, rate: float):
        self.random = random.Random(f"{seed}/{listing.name}")
        self.first_key = start_ms // 10
        self.rate = rate
        self.excitement = 0.0
        self.ticks = int(price / listing.tick_size)
        self.bias = 0.0
        super().__init__(listing, [], None)
        self.made = 0
        self.at_ms = float(start_ms)
        self._make()

    @property
    def start_ms(self) -> int:
        """Time of the first print."""
        return self.prints[0].event_ms

    @property
    def end_ms(self) -> int | None:
        """It never ends."""
        return None

    def next_ms(self) -> int | None:
        """Time of the next print, which is made when asked for."""
        if self.played == len(self.prints):
            self._make()
        return self.prints[self.played].event_ms

    def play(self, until_ms: int) -> tuple[list[Print], list[Print]]:
        """Prints up to `until_ms`, made on the way."""
        while self.prints[-1].event_ms <= until_ms:
            self._make()
        found = super().play(until_ms)
        if self.played > 2 * KEPT:
            del self.prints[: self.played - KEPT]
            self.played = KEPT
        return found

    def _make(self) -> None:
        """One taker order: its fills sweep one or more prices in one millisecond."""
        draw = self.random
        self.excitement *= math.exp(-0.02)
        if draw.random() < 0.004:
            self.excitement += draw.uniform(3, 12)
            self.bias = draw.uniform(-0.35, 0.35)
        self.at_ms += draw.expovariate(self.rate * (1 + self.excitement)) * 1_000
        buy = draw.random() < 0.5 + self.bias * min(1.0, self.excitement / 4)
        self.bias *= 0.999
        step = max(1, round(self.ticks * 1.5e-5))
        self.ticks = max(step * 10, self.ticks + step * draw.choice((-2, -1, -1, 0, 0, 1, 1, 2)))
        levels = 1 if draw.random() < 0.9 else draw.randrange(2, 6)
        for level in range(levels):
            ticks = self.ticks + (level if buy else -level) * step
            self._fill(ticks, buy=buy)
        self.ticks += (levels - 1) * (step if buy else -step)

    def _fill(self, ticks: int, *, buy: bool) -> None:
        listing, draw = self.listing, self.random
        notional = 40 * draw.paretovariate(1.15)
        price = float(ticks * listing.tick_size)
        lots = max(1, min(10**7, round(min(notional, 5e5) / price / float(listing.lot_size))))
        key = self.first_key + self.made
        trades = 1 + min(9, int(draw.expovariate(1.2)))
        first = 10 * key
        self.made += 1
        self.prints.append(
            Print(
                event_ms=int(self.at_ms),
                price=f"{ticks * listing.tick_size:f}",
                qty=f"{lots * listing.lot_size:f}",
                ticks=ticks,
                lots=lots,
                buy=buy,
                key=key,
                first_id=first,
                last_id=first + trades - 1,
                tag=self._tag(key),
                seq=int(self.at_ms),
            )
        )

    def _tag(self, key: int) -> str:
        if self.listing.venue == "binance":
            return ""
        if self.listing.market == "spot":
            return str(BYBIT_SPOT_BASE + key)
        return str(uuid.uuid5(UUID_SPACE, f"{self.listing.name}/{key}"))


def synthetic_market(start_ms: int, seed: int = 1, rate: float = 1.0) -> list[Tape]:
    """Ten coins on four markets, `rate` times the usual number of trades."""
    tapes: list[Tape] = []
    for coin, (price, tick, lot, each) in COINS.items():
        for venue, market in MARKETS:
            ticks = Decimal(tick) * (10 if market == "perp" and coin in {"BTC"} else 1)
            listing = Listing(venue, market, f"{coin}USDT", coin, "USDT", ticks, Decimal(lot))
            tapes.append(SyntheticTape(listing, start_ms, seed, Decimal(price), each * rate))
    return tapes
