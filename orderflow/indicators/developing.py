"""Developing POC and value area: the profile so far after each bar, without look-ahead.

Definition: tradetropy's developing scan, here on exact rows with the value area of volume_profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from orderflow.errors import MergeError
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.volume_profile import (
    VALUE_AREA_PCT,
    Method,
    point_of_control,
    value_area,
)

CARD = RuleCard(
    name="developing",
    version=1,
    family="profile",
    summary="POC, VAH and VAL as they stood at the end of each bar of a window.",
    formula=(
        "After bar k: the profile of the rows of bars 1 to k summed, with the POC and value area "
        "of volume_profile. Nothing after bar k is read."
    ),
    units="rows, lots; the time is the end of the bar in ms UTC",
    parameters=(
        Parameter("va_method", "single", "single or pair", "rows compared at each step"),
        Parameter("va_pct", "70", "percent", "share of the volume the value area must reach"),
    ),
    ties="As volume_profile, at each bar anew.",
    edges=(
        "Before the first trade there is no point; an empty bar repeats the last values.",
        "The middle of the range decides POC ties, so a new extreme may move a tied POC.",
        "Bars out of time order are refused.",
    ),
    merging="Exact: the value after any bar equals the profile of the merged bars up to it.",
    evidence="Where value stood at that moment, as someone then could have known it.",
    not_evidence="Where the window closed; early points rest on few trades.",
    source="tradetropy 0.3.1 (developing scan); Dalton, Mind Over Markets, 2013",
    example=Example(
        "One trade a minute, in the order of the table, rows of 1.",
        (
            ("poc", "100 101 101 101 101 101"),
            ("val", "100 101 101 101 101 100"),
            ("vah", "100 101 101 102 102 102"),
        ),
    ),
)


class DevelopingPoint(msgspec.Struct, gc=False, frozen=True):
    """The profile of everything from the start of the window up to `end_ms`."""

    end_ms: int
    poc_row: int
    val_row: int
    vah_row: int
    value_area_lots: int
    total_lots: int


class Developing:
    """Incremental form: feed bars in time order, read the point after each.

    All bars share one row size and one lot size; MergeError otherwise.
    """

    def __init__(self, *, method: Method = "single", pct: int = VALUE_AREA_PCT) -> None:
        self._method: Method = method
        self._pct = pct
        self._volumes: dict[int, int] = {}
        self._grid: tuple[Decimal, Decimal] | None = None
        self._end_ms: int | None = None
        self.point: DevelopingPoint | None = None

    def add(self, bar: FootprintBar) -> DevelopingPoint | None:
        """The point at the end of `bar`; None before the first trade."""
        self._check(bar)
        self._end_ms = bar.flow.end_ms
        for row, (buy, sell, _) in bar.rows.items():
            if buy + sell:
                self._volumes[row] = self._volumes.get(row, 0) + buy + sell
        if not self._volumes:
            return None
        if bar.rows or self.point is None:
            self.point = self._computed(bar.flow.end_ms)
        else:
            self.point = msgspec.structs.replace(self.point, end_ms=bar.flow.end_ms)
        return self.point

    def _check(self, bar: FootprintBar) -> None:
        grid = (bar.row_size, bar.flow.lot_size)
        if self._grid is None:
            self._grid = grid
        if self._grid != grid:
            raise MergeError("bring the bars on one grid first: footprint.on_one_grid")
        if self._end_ms is not None and bar.flow.start_ms < self._end_ms:
            raise MergeError("bars must be given in time order")

    def _computed(self, end_ms: int) -> DevelopingPoint:
        poc = point_of_control(self._volumes)
        low, high, inside = value_area(self._volumes, poc, method=self._method, pct=self._pct)
        return DevelopingPoint(end_ms, poc, low, high, inside, sum(self._volumes.values()))


def developing(
    bars: Sequence[FootprintBar], *, method: Method = "single", pct: int = VALUE_AREA_PCT
) -> list[DevelopingPoint]:
    """One point a bar from the first trade on; bars on one grid, in time order."""
    state = Developing(method=method, pct=pct)
    return [point for bar in bars if (point := state.add(bar)) is not None]


def changes(points: Iterable[DevelopingPoint]) -> list[DevelopingPoint]:
    """The points at which POC, VAL or VAH moved, the first included."""
    kept: list[DevelopingPoint] = []
    for point in points:
        place = (point.poc_row, point.val_row, point.vah_row)
        if not kept or place != (kept[-1].poc_row, kept[-1].val_row, kept[-1].vah_row):
            kept.append(point)
    return kept
