"""Many trades at once into a tally and its ladder: `Tally.add` in columns. Pure.

Exact: every sum is of 64-bit integers whose bound is checked first, or of doubles below 2^53.
Where a bound does not hold `folded` declines and the trades are added one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orderflow.prints import MOST_LARGEST
from orderflow.trade import TradeBatch
from processor.ladder import Ladder
from processor.sweep import LEAST_LEVELS, Burst

if TYPE_CHECKING:
    from processor.tally import Tally

WORTHWHILE = 160
"""Fewer trades are faster one by one."""

SAFE = 2**62
EXACT_DOUBLES = 2**53
MOST_ROWS = 4_096
POWERS = np.array([1 << k for k in range(62)], dtype=np.int64)
Column: TypeAlias = NDArray[np.int64]


def folded(tally: Tally, ladder: Ladder, batch: TradeBatch, i: int, j: int) -> bool:
    """Apply trades i..j-1; False (and nothing done) where the numbers are too large for it."""
    columns = _columns(ladder, batch, i, j)
    if columns is None:
        return False
    price, quantity, side, times, trades = columns
    bought = quantity * side
    _sum(tally, price, quantity, price * quantity, bought, side, trades)
    _extremes(tally, price, 2 * bought - quantity)
    tally.buy_lots += int(bought.sum())
    tally.sell_lots += int((quantity - bought).sum())
    _pile(ladder, columns)
    _bursts(tally, times, price, quantity, side)
    return True


def piled(ladder: Ladder, batch: TradeBatch, i: int, j: int) -> bool:
    """The same for the ladder alone: what needs no order."""
    columns = _columns(ladder, batch, i, j)
    if columns is not None:
        _pile(ladder, columns)
    return columns is not None


def _columns(ladder: Ladder, batch: TradeBatch, i: int, j: int) -> tuple[Column, ...] | None:
    """Price, quantity, side, time and venue trades; None where the numbers are too large."""
    prices, quantities = batch.price_ticks[i:j], batch.qty_lots[i:j]
    least, highest, most = min(prices), max(prices), max(quantities)
    unit, spread = ladder.unit, highest - least
    if most * (j - i) * max(highest * unit.times, spread * spread) >= SAFE:
        return None
    if highest // ladder.row_ticks - least // ladder.row_ticks >= MOST_ROWS:
        return None
    if sum(quantities) >= EXACT_DOUBLES:
        return None
    counts = batch.n_trades[i:j] or [1] * (j - i)
    found = (prices, quantities, batch.side[i:j], batch.event_ms[i:j], counts)
    return tuple(np.array(column, dtype=np.int64) for column in found)


def _pile(ladder: Ladder, columns: tuple[Column, ...]) -> None:
    """Volume at price, size classes and largest prints."""
    price, quantity, side, times, trades = columns
    turnover, bought = price * quantity, quantity * side
    _rows(ladder, price // ladder.row_ticks, quantity, bought, trades)
    notional = turnover * ladder.unit.times // ladder.unit.per
    _sizes(ladder, notional, quantity, bought, side)
    _largest(ladder, turnover, times, price, quantity, side)


def _sum(
    tally: Tally,
    price: Column,
    quantity: Column,
    turnover: Column,
    bought: Column,
    side: Column,
    trades: Column,
) -> None:
    """Sums that know no order; squares around the lowest price stay below 64 bits."""
    base = int(price.min())
    above = price - base
    lots, first = int(quantity.sum()), int((above * quantity).sum())
    second = int((above * above * quantity).sum())
    tally.square_quote += base * base * lots + 2 * base * first + second
    buy_quote, buy_trades = int((turnover * side).sum()), int((trades * side).sum())
    tally.buy_quote += buy_quote
    tally.sell_quote += int(turnover.sum()) - buy_quote
    tally.buy_trades += buy_trades
    tally.sell_trades += int(trades.sum()) - buy_trades


def _extremes(tally: Tally, price: Column, signed: Column) -> None:
    """Extremes of the running delta, and the delta at the last touch of those of the price."""
    running = signed.cumsum() + (tally.buy_lots - tally.sell_lots)
    tally.min_delta_lots = min(tally.min_delta_lots, int(running.min()))
    tally.max_delta_lots = max(tally.max_delta_lots, int(running.max()))
    high, low = int(price.max()), int(price.min())
    if high >= tally.high_ticks:
        tally.high_ticks = high
        tally.cot_high_lots = int(running[np.flatnonzero(price == high)[-1]])
    if low <= tally.low_ticks:
        tally.low_ticks = low
        tally.cot_low_lots = int(running[np.flatnonzero(price == low)[-1]])


def _rows(ladder: Ladder, number: Column, quantity: Column, bought: Column, trades: Column) -> None:
    """Volume at price; double sums of integers below 2^53 are exact."""
    lowest = int(number.min())
    place = number - lowest
    total = np.bincount(place, quantity)
    buys = np.bincount(place, bought)
    records = np.bincount(place, trades)
    found = np.flatnonzero(records)
    columns = (found, buys[found], total[found], records[found])
    for offset, buy, volume, count in zip(*(c.tolist() for c in columns), strict=True):
        row = ladder.rows.setdefault(lowest + offset, [0, 0, 0])
        row[0] += int(buy)
        row[1] += int(volume) - int(buy)
        row[2] += int(count)


def _sizes(
    ladder: Ladder, notional: Column, quantity: Column, bought: Column, side: Column
) -> None:
    """Volume and prints by size class: the bit length of the whole notional."""
    number = np.searchsorted(POWERS, notional, side="right")
    total, buys = np.bincount(number, quantity), np.bincount(number, bought)
    prints, buy_prints = np.bincount(number), np.bincount(number, side)
    for found in np.flatnonzero(prints).tolist():
        size = ladder.sizes.setdefault(found, [0, 0, 0, 0])
        size[0] += int(buys[found])
        size[1] += int(total[found]) - int(buys[found])
        size[2] += int(buy_prints[found])
        size[3] += int(prints[found]) - int(buy_prints[found])


def _largest(
    ladder: Ladder,
    turnover: Column,
    times: Column,
    price: Column,
    quantity: Column,
    side: Column,
) -> None:
    """Offer the prints that can be among the largest."""
    floor = max(ladder.least_kept, int(np.partition(turnover, -MOST_LARGEST)[-MOST_LARGEST]))
    for k in np.flatnonzero(turnover >= floor).tolist():
        ladder.keep(
            (int(turnover[k]), -int(times[k]), int(price[k]), int(quantity[k]), int(side[k]))
        )


def _bursts(tally: Tally, times: Column, price: Column, quantity: Column, side: Column) -> None:
    """Cut the prints into bursts; the first may go on from the tally's newest one."""
    step = price[1:] - price[:-1]
    onward = np.where(side[1:] == 1, step >= 0, step <= 0)
    goes_on = (times[1:] == times[:-1]) & (side[1:] == side[:-1]) & onward
    starts = np.concatenate(([0], np.flatnonzero(~goes_on) + 1))
    ends = np.concatenate((starts[1:], [len(price)])) - 1
    moved = np.concatenate(([0], (step != 0) & goes_on)).astype(np.int64)
    levels = np.add.reduceat(moved, starts) + 1
    volume = np.add.reduceat(quantity, starts)

    def burst(number: int) -> Burst:
        k, end = int(starts[number]), int(ends[number])
        return Burst(
            int(times[k]),
            int(side[k]),
            int(price[k]),
            int(price[end]),
            int(levels[number]),
            int(volume[number]),
        )

    last = len(starts) - 1
    first = burst(0)
    both = tally.tail.joined(first) if tally.tail.levels else None
    if both is None and tally.tail.levels:
        tally.over(tally.tail)
    tally.tail = both or first
    if last == 0:
        return
    tally.over(tally.tail)
    for number in np.flatnonzero(levels[1:last] >= LEAST_LEVELS).tolist():
        tally.over(burst(number + 1))
    tally.tail = burst(last)
