"""A short tape of two symbols on every simulated market."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

from simulator.tape import Tape
from simulator.tapes.build import Part, Steps, TrackBuilder
from simulator.tapes.convert import as_instrument

START_MS = 1_735_689_600_000
FIRST_ID = 5_000


Row = tuple[int, int, int, bool]
"""Event time in ms, price in ticks of 0.01, quantity in lots of 0.00001, whether the taker buys."""


def tape_of(rows: Sequence[Row], market: str = "spot", base: str = "BTC") -> Tape:
    """Raw trades of Binance; ids count from FIRST_ID."""
    steps = Steps("0.01", "0.00001", base, "USDT")
    builder = TrackBuilder(f"binance:{market}:{base}USDT", steps)
    builder.add(
        Part(
            event_ms=[row[0] for row in rows],
            price=[f"{row[1] * Decimal('0.01'):f}" for row in rows],
            qty=[f"{row[2] * Decimal('0.00001'):f}" for row in rows],
            buyer=[row[3] for row in rows],
            key=range(FIRST_ID, FIRST_ID + len(rows)),
        )
    )
    return Tape((builder.build(),), "made by a test")


def short_tape(market: str = "spot", base: str = "BTC", seed: int = 1, count: int = 400) -> Tape:
    """Raw trades in bursts: several of one millisecond, side and price among them."""
    draw = random.Random(seed)
    at, ticks = START_MS + 500, 4_228_358
    rows: list[Row] = []
    while len(rows) < count:
        at += draw.choice((0, 1, 7, 250, 400))
        buy = draw.random() < 0.5
        ticks += draw.randrange(-5, 6)
        rows += [(at, ticks, draw.randrange(1, 5_000), buy) for _ in range(draw.randrange(1, 4))]
    return tape_of(rows, market, base)


def short_tapes() -> list[Tape]:
    """Two symbols on Binance spot and USD-M and on Bybit spot and linear."""
    tapes = []
    for seed, base in ((1, "BTC"), (2, "ETH")):
        spot, perp = short_tape("spot", base, seed), short_tape("perp", base, seed + 10)
        tapes += [spot, perp]
        tapes.append(as_instrument(spot, f"bybit:spot:{base}USDT"))
        tapes.append(as_instrument(perp, f"bybit:perp:{base}USDT"))
    return tapes
