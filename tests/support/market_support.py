"""A market of some hours with known events: quiet minutes, and stacks of buying and selling."""

from __future__ import annotations

import random
from decimal import Decimal

from sim_support import START_MS

from simulator.tape import Listing, Print, Tape, aggregated

MINUTE = 60_000
ROW_TICKS = 5
ROWS = "BTCUSDT=0.05"
STACK_EVERY = 7
"""Every seventh minute buys its way up through rows, three minutes later one sells down."""


def market_prints(minutes: int, seed: int = 5, first_id: int = 5_000) -> list[Print]:
    """Raw trades, at least six a minute, none at a minute's edge."""
    draw = random.Random(seed)
    ticks = 4_228_360
    prints: list[Print] = []

    def put(at: int, price: int, lots: int, *, buy: bool) -> None:
        key = first_id + len(prints)
        prints.append(
            Print(
                event_ms=at,
                price=f"{price * Decimal('0.01'):f}",
                qty=f"{lots * Decimal('0.00001'):f}",
                ticks=price,
                lots=lots,
                buy=buy,
                key=key,
                first_id=key,
                last_id=key,
            )
        )

    for minute in range(minutes):
        start = START_MS + minute * MINUTE
        stack = minute % STACK_EVERY
        for k in range(6):
            at = start + 1_000 + k * 9_000
            if stack == 0:
                put(at, ticks + k * ROW_TICKS, 5_000 + k, buy=True)
            elif stack == 3:
                put(at, ticks - k * ROW_TICKS, 5_000 + k, buy=False)
            else:
                put(at, ticks + draw.randrange(-2, 3), draw.randrange(1, 900), buy=k % 2 == 0)
        ticks = prints[-1].ticks
    return prints


def market_tape(minutes: int, market: str = "spot") -> Tape:
    """The same as a tape of Binance."""
    listing = Listing(
        "binance", market, "BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001")
    )
    raws = market_prints(minutes)
    return Tape(listing, aggregated(raws, listing.lot_size, first_key=900), raws)
