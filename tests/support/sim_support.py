"""A short tape of two symbols on every simulated market, for tests of the simulator itself."""

from __future__ import annotations

import random
from decimal import Decimal

from simulator.tape import Listing, Print, Tape, aggregated, as_bybit

START_MS = 1_735_689_600_000


def raw_prints(seed: int, count: int = 400, first_id: int = 5_000) -> list[Print]:
    """Raw trades in bursts: several of one millisecond, side and price among them."""
    draw = random.Random(seed)
    at, ticks = START_MS + 500, 4_228_358
    prints: list[Print] = []
    while len(prints) < count:
        at += draw.choice((0, 1, 7, 250, 400))
        buy = draw.random() < 0.5
        ticks += draw.randrange(-5, 6)
        for _ in range(draw.randrange(1, 4)):
            lots = draw.randrange(1, 5_000)
            key = first_id + len(prints)
            prints.append(
                Print(
                    event_ms=at,
                    price=f"{ticks * Decimal('0.01'):f}",
                    qty=f"{lots * Decimal('0.00001'):f}",
                    ticks=ticks,
                    lots=lots,
                    buy=buy,
                    key=key,
                    first_id=key,
                    last_id=key,
                )
            )
    return prints


def short_tape(market: str = "spot", base: str = "BTC", seed: int = 1) -> Tape:
    """Raw trades and their aggregates."""
    listing = Listing(
        "binance", market, f"{base}USDT", base, "USDT", Decimal("0.01"), Decimal("0.00001")
    )
    raws = raw_prints(seed)
    return Tape(listing, aggregated(raws, listing.lot_size, first_key=900), raws)


def short_tapes() -> list[Tape]:
    """Two symbols on Binance spot and USD-M and on Bybit spot and linear."""
    tapes = []
    for seed, base in ((1, "BTC"), (2, "ETH")):
        spot, perp = short_tape("spot", base, seed), short_tape("perp", base, seed + 10)
        tapes += [spot, perp, as_bybit(spot, "spot"), as_bybit(perp, "perp")]
    return tapes
