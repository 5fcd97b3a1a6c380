"""Closed minutes of one instrument in memory, and exact merges of them. Pure.

A window is whole hours, which are merged once and kept, and the minutes around them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from orderflow import footprint
from orderflow.completeness import Quality, merge_qualities
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar, Row
from orderflow.prints import Print, SizeCell
from orderflow.timeframe import HOUR_MS, MINUTE_MS, Window

KEPT_MS = 26 * HOUR_MS
CELLS_KEPT_MS = 2 * HOUR_MS


class ClosedMinute(msgspec.Struct, gc=False):
    """One closed minute; `packed`: rows as (row, buy, sell, trades) quadruples."""

    flow: FlowBar
    row_size: Decimal
    packed: array[int]
    sizes: tuple[tuple[int, SizeCell], ...]
    largest: tuple[Print, ...]
    quality: Quality
    cells: tuple[FlowBar, ...] = ()

    @property
    def bar(self) -> FootprintBar:
        """The minute as a footprint bar."""
        values = self.packed
        rows: dict[int, Row] = {
            values[i]: (values[i + 1], values[i + 2], values[i + 3])
            for i in range(0, len(values), 4)
        }
        return FootprintBar(self.flow, self.row_size, rows, dict(self.sizes), self.largest)


def pack(bar: FootprintBar) -> array[int]:
    """Rows as one array of quadruples, a twentieth of the dict's size."""
    return array("q", (v for row in sorted(bar.rows) for v in (row, *bar.rows[row])))


class Hour(msgspec.Struct, gc=False, frozen=True):
    """A whole hour, merged."""

    bar: FootprintBar
    quality: Quality
    minutes: int

    @property
    def empty(self) -> bool:
        """True when nothing traded in it."""
        return self.bar.flow.empty


class MinuteHistory:
    """Closed minutes by start, and their hours."""

    def __init__(self) -> None:
        self.minutes: dict[int, ClosedMinute] = {}
        self.hours: dict[int, Hour] = {}

    def put(self, bar: FootprintBar, quality: Quality, cells: Sequence[FlowBar] = ()) -> None:
        """Add or replace a minute."""
        start = bar.flow.start_ms
        self.minutes[start] = ClosedMinute(
            bar.flow,
            bar.row_size,
            pack(bar),
            tuple(bar.sizes.items()),
            bar.largest,
            quality,
            tuple(cells),
        )
        self.hours.pop(start - start % HOUR_MS, None)

    def forget_before(self, start_ms: int) -> None:
        """Drop minutes, and their cells two hours old; minutes are kept in time order."""
        for start in [start for start in self.minutes if start < start_ms]:
            del self.minutes[start]
            self.hours.pop(start - start % HOUR_MS, None)
        newest = max(self.minutes, default=0)
        for start, minute in self.minutes.items():
            if minute.cells and start < newest - CELLS_KEPT_MS:
                minute.cells = ()

    def hour_ranges(self, before_ms: int) -> list[Decimal]:
        """High-low of the 24 whole hours that ended an hour before `before_ms`."""
        ranges = []
        for start in range(before_ms - 25 * HOUR_MS, before_ms - HOUR_MS, HOUR_MS):
            hour = self._hour(start)
            if hour is not None and hour.minutes == HOUR_MS // MINUTE_MS and not hour.empty:
                flow = hour.bar.flow
                ranges.append(((flow.high_ticks or 0) - (flow.low_ticks or 0)) * flow.tick_size)
        return ranges

    def pieces(self, window: Window) -> Iterator[tuple[FootprintBar, Quality]]:
        """The closed minutes of a window in time order, whole hours already merged."""
        start = window.start_ms
        while start < window.end_ms:
            if start % HOUR_MS == 0 and start + HOUR_MS <= window.end_ms:
                if (hour := self._hour(start)) is not None:
                    yield hour.bar, hour.quality
                start += HOUR_MS
                continue
            if (minute := self.minutes.get(start)) is not None:
                yield minute.bar, minute.quality
            start += MINUTE_MS

    def _hour(self, start: int) -> Hour | None:
        """The merge of an hour's minutes, kept while none of them changes."""
        found = self.hours.get(start)
        if found is not None:
            return found
        minutes = [
            self.minutes[at]
            for at in range(start, start + HOUR_MS, MINUTE_MS)
            if at in self.minutes
        ]
        if not minutes:
            return None
        bar = footprint.then([minute.bar for minute in minutes])
        quality = merge_qualities([minute.quality for minute in minutes], in_time=True)
        merged = Hour(bar, quality, len(minutes))
        if len(minutes) * MINUTE_MS == HOUR_MS:
            self.hours[start] = merged
        return merged
