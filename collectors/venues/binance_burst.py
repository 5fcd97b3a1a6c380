"""A burst of Binance aggregates of many symbols as one set of columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from collectors.reading import EXACT_BELOW
from collectors.venue import FUTURE_TOLERANCE_MS
from collectors.venues.binance_rows import Aggregate
from orderflow.instrument import Instrument
from orderflow.mixed import Column, MixedTrades, grouped

BURST = 256
"""Fewer rows are faster symbol by symbol."""

Defined = Mapping[str, tuple[Instrument, int]]


def burst_of(
    rows: Sequence[Aggregate[float]], defined: Defined, received_ns: int
) -> MixedTrades | None:
    """Rows as columns grouped by symbol; None when any row needs a judgement of its own."""
    symbols, times = [row.s for row in rows], [row.T for row in rows]
    if max(times) > min([row.E for row in rows]) + FUTURE_TOLERANCE_MS:
        return None
    places = {symbol: place for place, symbol in enumerate(dict.fromkeys(symbols))}
    if not places.keys() <= defined.keys():
        return None
    found = [defined[symbol] for symbol in places]
    number = _column([places[symbol] for symbol in symbols])
    try:
        first, last = _column([row.f for row in rows]), _column([row.l for row in rows])
    except OverflowError:
        return None
    price, quantity = np.array([row.p for row in rows]), np.array([row.q for row in rows])
    ticks = _steps(price, number, [item.tick.factor for item, _ in found])
    lots = _steps(quantity, number, [item.lot.factor for item, _ in found])
    if ticks is None or lots is None or bool((last < first).any()):
        return None
    ticks = _whole(ticks, number, [item.tick.units for item, _ in found])
    lots = _whole(lots, number, [item.lot.units for item, _ in found])
    if ticks is None or lots is None:
        return None
    columns = [
        _column([row.a for row in rows]),
        _column(times),
        ticks,
        lots,
        1 - _column([row.m for row in rows]),
        last - first + 1,
        first,
        last,
    ]
    order, edges, sorted_columns = grouped(number, columns)
    names = [found[place][0].name for place in order]
    scales = [found[place][1] for place in order]
    burst = MixedTrades(names, scales, edges, *sorted_columns)  # type: ignore[arg-type]
    burst.received_ns = received_ns
    return burst


def _column(values: Sequence[int]) -> Column:
    return np.fromiter(values, np.int64, len(values))


def _steps(values: np.ndarray, number: Column, factors: Sequence[float]) -> Column | None:
    """`EXACT_BELOW`'s rule in columns: whole multiples of 1/factor, or None."""
    factor = np.array(factors)[number]
    with np.errstate(all="ignore"):
        scaled = np.floor(values * factor + 0.5)
        exact = (scaled / factor == values) & (scaled > 0) & (scaled < EXACT_BELOW)
    return scaled.astype(np.int64) if bool(exact.all()) else None


def _whole(steps: Column, number: Column, units: Sequence[int]) -> Column | None:
    """Divided by the units of each step; None when one is no multiple."""
    if all(unit == 1 for unit in units):
        return steps
    whole, rest = np.divmod(steps, np.array(units, dtype=np.int64)[number])
    return None if bool(rest.any()) else whole
