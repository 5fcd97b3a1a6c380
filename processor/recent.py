"""The newest closed bars of a stream per timeframe, packed: what detectors compare with. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter

import msgspec

from orderflow.completeness import Quality
from orderflow.detectors import DEPTHS
from orderflow.detectors.rule import Markets, RangeRows
from orderflow.distribution import is_complete
from orderflow.event import Source
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar, sum_rows
from orderflow.instrument import common_step
from orderflow.prints import Print
from orderflow.timeframe import MINUTE_MS, TIMEFRAMES
from processor.history import ClosedMinute

SLACK = 20
"""Bars kept beyond what rules look at: a bar revised within the horizon finds what was before."""


class Kept(msgspec.Struct, gc=False, frozen=True):
    """A closed bar in a tenth of its size."""

    packed: bytes
    steps: tuple[Decimal, Decimal, Decimal]
    revision: int
    content_hash: str
    complete: bool
    state: str


STEPS = frozenset({"tick_size", "lot_size"})
FIELDS = tuple(name for name in FlowBar.__struct_fields__ if name not in STEPS)
PLACES = {name: place for place, name in enumerate(FlowBar.__struct_fields__) if name in STEPS}
VALUES = attrgetter(*FIELDS)


def _packed(bar: FootprintBar) -> bytes:
    """Flow, size classes and the largest print as JSON, which holds whole numbers of any size."""
    sizes = [[number, *cell] for number, cell in bar.sizes.items()]
    return msgspec.json.encode([*VALUES(bar.flow), sizes, bar.largest[:1]])


def _unpacked(kept: Kept) -> FootprintBar:
    *values, sizes, largest = msgspec.json.decode(kept.packed)
    tick, lot, row_size = kept.steps
    values.insert(PLACES["tick_size"], tick)
    values.insert(PLACES["lot_size"], lot)
    return FootprintBar(
        FlowBar(*values),
        row_size,
        {},
        {number: (b, s, n, m) for number, b, s, n, m in sizes},
        tuple(Print(*item) for item in largest),
    )


class RowsOf:
    """The rows of a time span from closed minutes; the newest answer is kept for the next rule."""

    def __init__(self, minutes: Mapping[int, ClosedMinute]) -> None:
        self.minutes = minutes
        self.known: tuple[int, int, RangeRows | None] | None = None

    def __call__(self, start_ms: int, end_ms: int) -> RangeRows | None:
        """All minutes of [start_ms, end_ms) together; None when one is missing or incomplete."""
        if self.known is None or self.known[:2] != (start_ms, end_ms):
            self.known = (start_ms, end_ms, self._merged(start_ms, end_ms))
        return self.known[2]

    def _merged(self, start_ms: int, end_ms: int) -> RangeRows | None:
        found = []
        for at in range(start_ms, end_ms, MINUTE_MS):
            minute = self.minutes.get(at)
            if minute is None or not is_complete(minute.quality):
                return None
            if not minute.flow.empty:
                found.append(minute)
        if not found:
            return None
        size = max(minute.row_size for minute in found)
        lot = common_step([minute.flow.lot_size for minute in found])
        bars = [minute.bar.rescaled(minute.flow.tick_size, lot) for minute in found]
        return RangeRows(size, lot, sum_rows(bar.coarsened(size).rows for bar in bars))


SPOT, PERP = ":spot:", ":perp:"


def spot_of(instrument: str) -> str | None:
    """The spot market of a perpetual's venue and symbol; None for a spot market."""
    return instrument.replace(PERP, SPOT) if PERP in instrument else None


def perp_of(instrument: str) -> str:
    """The perpetual of a spot market's venue and symbol; the same name for a perpetual."""
    return instrument.replace(SPOT, PERP)


class MarketsOf:
    """Complete minutes of a perpetual and of its venue's spot market, over the same time."""

    def __init__(
        self,
        perp: Mapping[int, ClosedMinute],
        spot_name: str | None,
        spot_minutes: Callable[[str], Mapping[int, ClosedMinute] | None],
    ) -> None:
        self.perp = perp
        self.spot_name = spot_name
        self.spot = None if spot_name is None else spot_minutes(spot_name)

    def __call__(self, start_ms: int, end_ms: int) -> Markets | None:
        """All minutes of [start_ms, end_ms) of both; None when one is missing or incomplete."""
        if self.spot_name is None or self.spot is None:
            return None
        found = []
        for minutes in (self.spot, self.perp):
            held = [minutes.get(at) for at in range(start_ms, end_ms, MINUTE_MS)]
            flows = [one.flow for one in held if one is not None and is_complete(one.quality)]
            if len(flows) < len(held):
                return None
            found.append(flows)
        return Markets(self.spot_name, *found)


class RecentBars:
    """Closed bars of one stream by timeframe and start."""

    def __init__(self) -> None:
        self.bars: dict[str, dict[int, Kept]] = {}

    def get(self, timeframe: str, start_ms: int) -> Kept | None:
        """A bar that is still held."""
        return self.bars.get(timeframe, {}).get(start_ms)

    def put(self, timeframe: str, bar: FootprintBar, quality: Quality, content_hash: str) -> None:
        """Add or replace a bar, its rows left out; the oldest beyond the depth are let go."""
        held = self.bars.setdefault(timeframe, {})
        packed = _packed(bar)
        held[bar.flow.start_ms] = Kept(
            packed,
            (bar.flow.tick_size, bar.flow.lot_size, bar.row_size),
            quality.revision,
            content_hash,
            is_complete(quality),
            str(quality.state),
        )
        while len(held) > DEPTHS.get(timeframe, 0) + SLACK:
            del held[min(held)]

    def before(self, timeframe: str, start_ms: int, depth: int) -> list[FootprintBar]:
        """At most `depth` bars right before `start_ms`, oldest first, complete, without a hole."""
        held, length = self.bars.get(timeframe, {}), TIMEFRAMES[timeframe]
        found: list[FootprintBar] = []
        at = start_ms - length
        while len(found) < depth and (kept := held.get(at)) is not None and kept.complete:
            found.append(_unpacked(kept))
            at -= length
        return found[::-1]

    def seen(self, timeframe: str, start_ms: int) -> tuple[FootprintBar, str, bool] | None:
        """A bar that is still held, without its rows: (bar, state, complete)."""
        kept = self.get(timeframe, start_ms)
        return None if kept is None else (_unpacked(kept), kept.state, kept.complete)

    def source(self, timeframe: str, start_ms: int) -> Source | None:
        """What an event says of a bar it is made from."""
        kept = self.get(timeframe, start_ms)
        if kept is None:
            return None
        return Source(timeframe, start_ms, kept.revision, kept.content_hash)
