"""Base rates: what followed events of one kind, as far as it was known at a time.

Returns are taken in the direction of the event (a sell event's return is negated), so a hit is a
positive return; 0 is no hit. Quantiles are order statistics (the smallest value at or below which
the share lies), the interval of the hit rate is Wilson's at 95 %. Events of one market overlap in
time, so the interval is narrower than the truth; it says how little a small n means, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from orderflow.event import HORIZONS_MIN, Event

Z = Decimal("1.959963984540054")
"""Normal quantile of 97.5 %."""
QUANTILES = (5, 25, 50, 75, 95)
PLACES = Decimal("0.0001")
METHOD = "Wilson score interval, 95 %, events taken as independent"


class Horizon(msgspec.Struct, gc=False, frozen=True):
    """What followed after `minutes`: `n` events with a known outcome, `hits` of them positive."""

    minutes: int
    n: int
    hits: int
    hit_rate: Decimal | None
    low: Decimal | None
    high: Decimal | None
    mean: Decimal | None
    quantiles: dict[str, Decimal]


class BaseRates(msgspec.Struct, gc=False, frozen=True):
    """`count` events stood and were complete at the time; without a side the sign is kept."""

    count: int
    oldest_ms: int | None
    horizons: list[Horizon]


def wilson(hits: int, n: int) -> tuple[Decimal, Decimal] | None:
    """Score interval of a proportion (Wilson 1927) to four places; None without observations."""
    if n == 0:
        return None
    p, size, z2 = Decimal(hits) / n, Decimal(n), Z * Z
    centre = (p + z2 / (2 * size)) / (1 + z2 / size)
    spread = Z * (p * (1 - p) / size + z2 / (4 * size * size)).sqrt() / (1 + z2 / size)
    low, high = max(Decimal(0), centre - spread), min(Decimal(1), centre + spread)
    return _places(low), _places(high)


def quantile(ordered: Sequence[Decimal], percent: int) -> Decimal:
    """The smallest of the ordered values at or below which `percent` of them lie."""
    place = max(1, -(-len(ordered) * percent // 100))
    return ordered[place - 1]


def base_rates(events: Iterable[Event], as_of_wall_ms: int) -> BaseRates:
    """Base rates from what was published by then: standing events, complete bars, due outcomes."""
    known = []
    for event in events:
        said = event.said_at(as_of_wall_ms)
        if said is not None and said.status != "withdrawn" and said.complete:
            known.append(event)
    oldest = min((event.at_ms for event in known), default=None)
    horizons = [_horizon(known, minutes, as_of_wall_ms) for minutes in HORIZONS_MIN]
    return BaseRates(len(known), oldest, horizons)


def _horizon(events: Sequence[Event], minutes: int, as_of_wall_ms: int) -> Horizon:
    returns = []
    for event in events:
        outcome = event.outcome_at(minutes, as_of_wall_ms)
        if outcome is not None:
            returns.append(-outcome.change if event.side == "sell" else outcome.change)
    returns.sort()
    n, hits = len(returns), sum(change > 0 for change in returns)
    interval = wilson(hits, n)
    return Horizon(
        minutes=minutes,
        n=n,
        hits=hits,
        hit_rate=_places(Decimal(hits) / n) if n else None,
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        mean=(sum(returns, Decimal(0)) / n).quantize(Decimal("1e-8")) if n else None,
        quantiles={f"p{q:02d}": quantile(returns, q) for q in QUANTILES} if n else {},
    )


def _places(value: Decimal) -> Decimal:
    return value.quantize(PLACES, ROUND_HALF_EVEN)
