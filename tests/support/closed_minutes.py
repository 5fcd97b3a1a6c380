"""A market of closed minutes with known stacks, as plain bars."""

from __future__ import annotations

import random
from decimal import Decimal

from orderflow.completeness import Quality, State
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS

START_MS = 1_735_689_600_000
NAME = "somewhere:spot:ABCUSDT"
TICK, LOT, ROW = Decimal("0.5"), Decimal("0.01"), Decimal(1)


def minute(number: int, draw: random.Random, *, stack: bool = False) -> FootprintBar:
    """A minute of some rows; with `stack` three neighbouring rows of buying only."""
    start = START_MS + number * MINUTE_MS
    low = 2 * draw.randrange(95, 105)
    rows = {
        row: (draw.randrange(1, 50), draw.randrange(1, 50), 2)
        for row in range(low // 2, low // 2 + 4)
    }
    if stack:
        rows = dict.fromkeys(range(low // 2, low // 2 + 4), (900, 0, 3))
    buy, sell = (sum(row[column] for row in rows.values()) for column in (0, 1))
    prices = [row * 2 for row in rows]
    flow = FlowBar(
        start,
        start + MINUTE_MS,
        TICK,
        LOT,
        buy_lots=buy,
        sell_lots=sell,
        buy_trades=len(rows),
        sell_trades=len(rows),
        records=2 * len(rows),
        open_ticks=draw.choice(prices),
        high_ticks=max(prices),
        low_ticks=min(prices),
        close_ticks=draw.choice(prices),
        min_delta_lots=min(0, buy - sell),
        max_delta_lots=max(0, buy - sell),
        first_ms=start,
        last_ms=start + 1,
    )
    return FootprintBar(flow, ROW, rows)


def empty(number: int) -> FootprintBar:
    start = START_MS + number * MINUTE_MS
    return FootprintBar(FlowBar(start, start + MINUTE_MS, TICK, LOT), ROW, {})


def quality(bar: FootprintBar, state: State = State.VERIFIED, revision: int = 0) -> Quality:
    return Quality(state, 1, 1, True, True, revision, bar.flow.end_ms)


def market(count: int, seed: int = 1) -> list[FootprintBar]:
    draw = random.Random(seed)
    return [empty(k) if k % 11 == 10 else minute(k, draw, stack=k % 7 == 3) for k in range(count)]
