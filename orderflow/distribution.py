"""Distributions: how large a symbol's own bars usually are, by hour of day.

A page holds the bars of one instrument and timeframe that begin in one UTC hour of one day (of a
longer timeframe: the one bar that begins there). Only complete bars enter: closed, and proven to
hold every trade as far as their venue allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from orderflow.completeness import Quality, State
from orderflow.flow import FlowBar
from orderflow.histogram import Histogram, Rank, decimal_bucket, merge, share_bucket
from orderflow.indicators.order_flow import ratio
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, Window, floor_ms

COMPLETE = frozenset(
    {State.VERIFIED, State.VENUE_ADJUSTMENT, State.VERIFIED_VOLUME, State.CONTIGUOUS}
)
"""States that say every trade is there; a contiguous bar that turns out otherwise is taken out."""
LEAST_N = 20
"""Fewer bars than this give no percentile."""
SAME_HOUR_DAYS = 90
ALL_HOURS_DAYS = 7


def is_complete(quality: Quality) -> bool:
    """True when a bar may enter percentiles, events' outcomes and base rates."""
    return quality.closed and quality.state in COMPLETE and quality.missing == 0


class Measure(msgspec.Struct, frozen=True):
    """One number of a bar with its bucket; `value` is None where it is not defined."""

    value: Decimal | None
    bucket: int | None


MEASURES: dict[str, str] = {
    "delta": "base units, buy minus sell; three leading digits",
    "volume": "base units; three leading digits",
    "imbalance": "delta / volume, -1 to 1; steps of 0.005; none without trades",
    "range": "price, high minus low; three leading digits",
    "intensity": "trades per minute; three leading digits",
}
"""What is counted, its unit and its buckets."""
SIGNED = frozenset({"delta", "imbalance"})


def measures(bar: FlowBar, length_ms: int) -> dict[str, Measure]:
    """Every measure of a bar of this length."""
    lot, tick = bar.lot_size, bar.tick_size
    low, high = bar.low_ticks or 0, bar.high_ticks or 0
    volume = bar.volume_lots
    return {
        "delta": _sized(bar.delta_lots * lot),
        "volume": _sized(volume * lot),
        "imbalance": Measure(
            ratio(bar.delta_lots, volume),
            share_bucket(bar.delta_lots, volume) if volume else None,
        ),
        "range": _sized((high - low) * tick),
        "intensity": _sized(Decimal(bar.trades * MINUTE_MS) / length_ms),
    }


def _sized(value: Decimal) -> Measure:
    return Measure(value, decimal_bucket(value))


def buckets(bar: FlowBar, length_ms: int) -> tuple[int | None, ...]:
    """The buckets of every measure, in the order of MEASURES."""
    return tuple(measure.bucket for measure in measures(bar, length_ms).values())


class Page(msgspec.Struct, frozen=True):
    """Complete bars of one hour: a histogram per measure. `bars` counts them."""

    start_ms: int
    bars: int
    counts: dict[str, dict[int, int]]

    def histogram(self, measure: str) -> Histogram:
        """One measure."""
        return Histogram(self.counts.get(measure))


def page_of(start_ms: int, bars: Iterable[Sequence[int | None]]) -> Page:
    """A page from the buckets of its bars."""
    found = list(bars)
    counts: dict[str, dict[int, int]] = {}
    for column, name in enumerate(MEASURES):
        histogram = Histogram()
        for row in found:
            bucket = row[column]
            if bucket is not None:
                histogram.add(bucket)
        counts[name] = dict(sorted(histogram.counts.items()))
    return Page(start_ms, len(found), counts)


def page_to_body(page: Page) -> dict[str, Any]:
    """Plain data: per measure the buckets and their counts as two columns."""
    return {
        "bars": page.bars,
        "counts": {name: [list(held), list(held.values())] for name, held in page.counts.items()},
    }


def page_from_body(start_ms: int, body: Mapping[str, Any]) -> Page:
    """The inverse of `page_to_body`."""
    counts = {
        name: dict(zip(columns[0], columns[1], strict=True))
        for name, columns in body["counts"].items()
    }
    return Page(start_ms, body["bars"], counts)


def page_start(start_ms: int, timeframe: str) -> int:
    """Start of the page that holds a bar of this timeframe."""
    return floor_ms(start_ms, max(HOUR_MS, TIMEFRAMES[timeframe]))


def page_end(start_ms: int, timeframe: str) -> int:
    """End of a page."""
    return start_ms + max(HOUR_MS, TIMEFRAMES[timeframe])


def series_name(timeframe: str, start_ms: int) -> str:
    """The series a page belongs to: its timeframe at its hour of day, for example `5m@13`."""
    return f"{timeframe}@{floor_ms(start_ms, HOUR_MS) % DAY_MS // HOUR_MS:02d}"


def hours_of(timeframe: str) -> list[int]:
    """Starts, within a day, of the pages of a timeframe."""
    return list(range(0, DAY_MS, max(HOUR_MS, TIMEFRAMES[timeframe])))


def matching_hour(window: Window, timeframe: str) -> int:
    """Start, within a day, of the page whose hour a window is like: that of its middle."""
    middle = (window.start_ms + window.end_ms - 1) // 2
    return page_start(middle, timeframe) % DAY_MS


def over_before(pages: Iterable[Page], timeframe: str, end_ms: int) -> list[Page]:
    """Pages whose time was over at `end_ms`: a window is never compared with its own future."""
    return [page for page in pages if page_end(page.start_ms, timeframe) <= end_ms]


def ranks(pages: Sequence[Page], found: Mapping[str, Measure]) -> dict[str, Rank | None]:
    """The rank of every measure among the pages; None where the measure is not defined."""
    result: dict[str, Rank | None] = {}
    for name, measure in found.items():
        if measure.bucket is None:
            result[name] = None
        else:
            result[name] = merge(page.histogram(name) for page in pages).rank(measure.bucket)
    return result
