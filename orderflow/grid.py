"""The row ladder: absolute row sizes 1 and 5 x 10^k, each a whole multiple of every smaller one.

Rows of one size therefore nest in rows of any larger size, across venues and across days.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orderflow.errors import DomainError, ValidationError
from orderflow.timeframe import HOUR_MS, TIMEFRAMES

BASE_ROWS_PER_HOUR = 250
"""A median hour spans at most this many base rows."""
SERVED_ROWS = 500
"""A window is served on at most about this many rows by default."""
RANGE_OF_PRICE = Decimal("0.009")
"""Assumed hourly range where the venue has no candles to measure it (BTC, 2022 to 2024)."""
SQUARE_ROOT_OF_TIME = {
    name: (Decimal(length) / HOUR_MS).sqrt().quantize(Decimal("0.01"))
    for name, length in TIMEFRAMES.items()
}
"""Ranges grow with the square root of time; measured days agree within a fifth."""


def step_at_least(size: Decimal) -> Decimal:
    """The smallest ladder step that is not below `size`."""
    if size <= 0:
        raise DomainError("a row size must be positive")
    power = size.adjusted()
    candidates = (Decimal(digit).scaleb(k) for k in (power, power + 1) for digit in (1, 5))
    return plain(min(step for step in candidates if step >= size))


def next_step(step: Decimal) -> Decimal:
    """The next wider ladder step."""
    return step_at_least(step * 2)


def plain(value: Decimal) -> Decimal:
    """The same value without an exponent above zero (5E+1 becomes 50)."""
    normal = value.normalize()
    return normal.quantize(Decimal(1)) if int(normal.as_tuple().exponent) > 0 else normal


def fits(row_size: Decimal, tick_sizes: Sequence[Decimal]) -> bool:
    """True when the row is a whole multiple of every tick."""
    return all(row_size % tick == 0 for tick in tick_sizes)


def smallest_row(tick_sizes: Sequence[Decimal], at_least: Decimal) -> Decimal:
    """The smallest ladder step >= `at_least` that every tick divides."""
    step = step_at_least(max([at_least, *tick_sizes]))
    for _ in range(40):
        if fits(step, tick_sizes):
            return step
        step = next_step(step)
    raise DomainError(f"no ladder row is a whole multiple of ticks {sorted(set(tick_sizes))}")


def median_range(hour_ranges: Sequence[Decimal], last_price: Decimal) -> Decimal:
    """Median of the hourly ranges, or the assumed share of the price where there are none."""
    known = sorted(value for value in hour_ranges if value > 0)
    return known[len(known) // 2] if known else last_price * RANGE_OF_PRICE


def base_row(tick_sizes: Sequence[Decimal], hour_range: Decimal) -> Decimal:
    """The base row of a symbol: a typical hour spans at most BASE_ROWS_PER_HOUR of it."""
    return smallest_row(tick_sizes, hour_range / BASE_ROWS_PER_HOUR)


def served_row(base: Decimal, hour_range: Decimal, timeframe: str) -> Decimal:
    """The default row of a timeframe: its typical range spans at most SERVED_ROWS of it."""
    expected = hour_range * SQUARE_ROOT_OF_TIME[timeframe]
    return max(base, step_at_least(max(expected / SERVED_ROWS, base)))


def allowed_rows(base: Decimal, count: int = 7) -> list[Decimal]:
    """The ladder from the base row upwards."""
    steps = [plain(base)]
    while len(steps) < count:
        steps.append(next_step(steps[-1]))
    return steps


def checked_row(asked: Decimal, base: Decimal) -> Decimal:
    """`asked` when it is a whole multiple of the base row; ValidationError names allowed ones."""
    if asked <= 0 or asked % base != 0:
        names = ", ".join(f"{row:f}" for row in allowed_rows(base))
        raise ValidationError(f"row_size must be a whole multiple of {base:f}; for example {names}")
    return plain(asked)
