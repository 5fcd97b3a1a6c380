"""The tail of prints: what a high percentile of the notional can't exceed, from what bars keep.

Bars count all prints by class of size but keep only the largest. A print that wasn't kept is no
larger than the smallest one its minute kept, so kept prints bound how many others can be larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from orderflow.footprint import FootprintBar
from orderflow.prints import Print, class_floor, quote_unit
from orderflow.quantile import counted_quantile, rank
from orderflow.timeframe import MINUTE_MS


class Tail(msgspec.Struct, frozen=True):
    """The percentile is `quote` when `exact`, else at most that. `prints`: all of the bars."""

    quote: Decimal
    exact: bool
    prints: int


class Dropped(NamedTuple):
    """Prints of one class that a bar didn't keep; none of them exceeds `most` (None: unknown)."""

    prints: int
    most: int | None


def prints_of(bar: FootprintBar) -> Counter[int]:
    """Prints per class."""
    return Counter({k: buys + sells for k, (_, _, buys, sells) in bar.sizes.items()})


def turnover(item: Print) -> int:
    """Notional in tick x lot units."""
    return item.price_ticks * item.qty_lots


def most_dropped(bar: FootprintBar) -> int | None:
    """The turnover that no dropped print of the bar exceeds; None where nobody knows.

    Of a longer bar, or of streams side by side, nobody knows which part dropped what.
    """
    if sum(prints_of(bar).values()) == len(bar.largest):
        return 0
    one_minute = bar.flow.end_ms - bar.flow.start_ms == MINUTE_MS
    one_stream = bar.flow.min_delta_lots is not None
    if not (one_minute and one_stream and bar.largest):
        return None
    return min(map(turnover, bar.largest))


def tail(bars: Sequence[FootprintBar], pct: int) -> Tail | None:
    """The least number known not to be below the percentile; None without prints.

    Bars of one scale (`orderflow.series.footprints`).
    """
    counts: Counter[int] = Counter()
    for bar in bars:
        counts.update(prints_of(bar))
    number = counted_quantile(counts, pct)
    if number is None:
        return None
    total = sum(counts.values())
    larger = total - rank(total, pct)
    kept = sorted((turnover(item) for bar in bars for item in bar.largest), reverse=True)
    unit = quote_unit(bars[0].flow.tick_size, bars[0].flow.lot_size)
    dropped, above = _dropped(bars, number)
    best: int | None = None
    exact, greater = False, 0
    for place, value in enumerate(kept):
        if unit.size_class(value) != number:
            continue
        if value != kept[place - 1]:
            greater = place
        at_most = greater + above
        at_most += sum(one.prints for one in dropped if one.most is None or one.most > value)
        if at_most > larger:
            break
        best, exact = value, place + 1 + above > larger
    if best is None:
        return Tail(Decimal(class_floor(number + 1)), exact=False, prints=total)
    return Tail(bars[0].flow.quote(best), exact, total)


def _dropped(bars: Sequence[FootprintBar], number: int) -> tuple[list[Dropped], int]:
    """Dropped prints of this class by bar, and how many there are of all larger classes."""
    found, above = [], 0
    for bar in bars:
        unit = quote_unit(bar.flow.tick_size, bar.flow.lot_size)
        kept = Counter(unit.size_class(turnover(item)) for item in bar.largest)
        missing = prints_of(bar) - kept
        above += sum(count for k, count in missing.items() if k > number)
        if missing[number]:
            found.append(Dropped(missing[number], most_dropped(bar)))
    return found, above
