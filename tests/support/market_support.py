"""A market of some hours with known events: quiet minutes, and stacks of buying and selling."""

from __future__ import annotations

import random

from sim_support import START_MS, Row, tape_of

from simulator.tape import Tape

MINUTE = 60_000
ROW_TICKS = 5
ROWS = "BTCUSDT=0.05"
STACK_EVERY = 7
"""Every seventh minute buys its way up through rows, three minutes later one sells down."""


def market_rows(minutes: int, seed: int = 5) -> list[Row]:
    """Raw trades, at least six a minute, none at a minute's edge."""
    draw = random.Random(seed)
    ticks = 4_228_360
    rows: list[Row] = []

    def put(at: int, price: int, lots: int, *, buy: bool) -> None:
        rows.append((at, price, lots, buy))

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
        ticks = rows[-1][1]
    return rows


def market_tape(minutes: int, market: str = "spot") -> Tape:
    """The same as a tape of Binance."""
    return tape_of(market_rows(minutes), market)
