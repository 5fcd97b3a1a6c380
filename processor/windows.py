"""Windows of one stream: exact merges of its 1-minute bars, with their evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import reduce

import msgspec

from orderflow import flow, footprint
from orderflow.completeness import Quality, State, merge_qualities, worst
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import served_row
from orderflow.timeframe import DAY_MS, MINUTE_MS, TIMEFRAMES, Window, floor_ms, rolling
from processor.block import Depth, Piece
from processor.history import MinuteHistory
from processor.kept import Kept
from processor.minute import empty_flow
from processor.stream import Stream

KEPT = Kept()


def pieces(
    stream: Stream,
    window: Window,
    now_ms: int,
    *,
    depth: Depth = "all",
    row_size: Decimal | None = None,
    again: bool = False,
) -> list[Piece]:
    """Closed minutes (merged where packed) and open minutes of a window, in time order.

    `again`: the same will be asked for soon, so the closed minutes are one piece that is kept.
    """
    first_open = stream.next_close_ms
    if first_open is None:
        return list(_open_minutes(stream, window, window.start_ms, now_ms))
    closed, history = _closed_part(window, first_open), stream.history
    if again:
        name = (closed, depth, row_size)
        kept = KEPT.found(history, name, lambda: _summed(history, *name), _rows_of)
        found = list(kept)
    else:
        found = list(history.pieces(closed, depth=depth, row_size=row_size))
    found += _open_minutes(stream, window, max(window.start_ms, first_open), now_ms)
    return found


def _closed_part(window: Window, first_open_ms: int) -> Window:
    return Window(window.start_ms, max(window.start_ms, min(window.end_ms, first_open_ms)))


def _summed(
    history: MinuteHistory, window: Window, depth: Depth, row_size: Decimal | None
) -> list[Piece]:
    """The closed minutes of a window as one piece, if there are any."""
    parts = list(history.pieces(window, depth=depth, row_size=row_size))
    if len(parts) < 2:
        return parts
    quality = merge_qualities([part[1] for part in parts], in_time=True)
    if depth != "flow":
        return [(footprint.then([part[0] for part in parts]), quality)]
    total = reduce(flow.then, (part[0].flow for part in parts))
    return [(FootprintBar(total, parts[0][0].row_size, {}), quality)]


def _rows_of(parts: list[Piece]) -> int:
    return sum(len(bar.rows) for bar, _ in parts)


def _open_minutes(stream: Stream, window: Window, start_ms: int, now_ms: int) -> Iterator[Piece]:
    """Minutes that are not closed yet; those without trades too, up to now."""
    end = min(window.end_ms, max(now_ms, stream.last_event_ms) + 1)
    observed = stream.coverage.observed_from_ms
    for start in range(floor_ms(start_ms, MINUTE_MS), end, MINUTE_MS):
        known = start in stream.minutes
        if not known and (observed is None or start < floor_ms(observed, MINUTE_MS)):
            continue
        bar = stream.open_bar(start)
        yield (
            bar,
            stream.evidence.quality(start, bar.flow, now_ms, revision=0, closed=False),
        )


def footprint_of(
    stream: Stream,
    window: Window,
    now_ms: int,
    *,
    depth: Depth = "all",
    row_size: Decimal | None = None,
    again: bool = False,
) -> Piece | None:
    """A window's bar and evidence; None when nothing of it was ever observed."""
    parts = pieces(stream, window, now_ms, depth=depth, row_size=row_size, again=again)
    if not parts:
        return None
    bar = footprint.then([part[0] for part in parts])
    span = msgspec.structs.replace(bar.flow, start_ms=window.start_ms, end_ms=window.end_ms)
    quality = whole_quality([part[1] for part in parts], window, now_ms)
    return msgspec.structs.replace(bar, flow=span), quality


def profiles(stream: Stream, minute_ms: int) -> dict[str, FootprintBar]:
    """Volume at price of the rolling window of every timeframe up to a minute, on its served rows
    or wider ones; the flows are left empty.

    Each window ends where the shorter one does, so only what lies before that is merged anew.
    """
    instrument = stream.instrument
    found = stream.grids.at(minute_ms - 1, instrument.tick_size, stream.history.hour_ranges)
    bars: dict[str, FootprintBar] = {}
    parts: list[FootprintBar] = []
    since = minute_ms
    for name, length in TIMEFRAMES.items():
        window = rolling(minute_ms - 1, length)
        row = served_row(found.row_size, found.hour_range, name)
        older = Window(window.start_ms, since)
        before = pieces(stream, older, minute_ms, depth="histogram", row_size=row)
        parts = [*(_without_flow(bar) for bar, _ in before), *parts]
        since = window.start_ms
        if parts:
            total = footprint.then(parts)
            parts = [total.coarsened(max(row, total.row_size))]
            span = msgspec.structs.replace(total.flow, start_ms=since, end_ms=window.end_ms)
            bars[name] = msgspec.structs.replace(parts[0], flow=span)
    return bars


def _without_flow(bar: FootprintBar) -> FootprintBar:
    span = bar.flow
    empty = FlowBar(span.start_ms, span.end_ms, span.tick_size, span.lot_size)
    return FootprintBar(empty, bar.row_size, bar.rows)


def whole_quality(parts: list[Quality], window: Window, now_ms: int) -> Quality:
    """Evidence of a window from its pieces: time that no piece covers makes it partial."""
    merged = merge_qualities(parts, in_time=True)
    expected = max(0, min(window.end_ms, now_ms) - window.start_ms)
    missing_time = expected - sum(part.expected_ms for part in parts) >= MINUTE_MS
    state = worst([merged.state, State.PARTIAL]) if missing_time else merged.state
    return msgspec.structs.replace(
        merged,
        state=state,
        expected_ms=max(expected, merged.covered_ms),
        closed=merged.closed and not missing_time,
        final=merged.final and window.end_ms <= now_ms,
    )


def flow_bars(stream: Stream, window: Window, step_ms: int, now_ms: int) -> list[FlowBar]:
    """The bars of `step_ms` in a window, in time order; steps without trades are left out."""
    if step_ms < MINUTE_MS:
        fine = [bar for bar in _cells(stream, window) if not bar.empty]
    else:
        fine = [bar for bar in _minutes(stream, window, now_ms) if not bar.empty]
    bars: list[FlowBar] = []
    for bar in fine:
        start = floor_ms(bar.start_ms, step_ms)
        if bars and bars[-1].start_ms == start:
            bars[-1] = flow.then(bars[-1], bar)
        else:
            bars.append(flow.then(empty_flow(stream.instrument, start, start + step_ms), bar))
    return [msgspec.structs.replace(bar, end_ms=bar.start_ms + step_ms) for bar in bars]


def _minutes(stream: Stream, window: Window, now_ms: int) -> Iterator[FlowBar]:
    """Flows of the single minutes of a window."""
    history, first_open = stream.history, stream.next_close_ms
    closed = _closed_part(window, window.start_ms if first_open is None else first_open)
    name = ("flows", closed)
    known = KEPT.found(history, name, lambda: [bar for _, bar in history.flows(closed) if bar])
    yield from known
    for start, bar in history.flows(Window(closed.end_ms, window.end_ms)):
        if bar is not None:
            yield bar
        else:
            minute = Window(start, start + MINUTE_MS)
            yield from (bar.flow for bar, _ in _open_minutes(stream, minute, start, now_ms))


def _cells(stream: Stream, window: Window) -> Iterator[FlowBar]:
    """The 5 s bars of a window."""
    for start in range(floor_ms(window.start_ms, MINUTE_MS), window.end_ms, MINUTE_MS):
        cells = stream.history.cells(start)
        if cells is None and start in stream.minutes:
            cells = tuple(stream.minutes[start].cell_bars(stream.instrument))
        for cell in cells or ():
            if window.start_ms <= cell.start_ms < window.end_ms:
                yield cell


def flow_of(
    stream: Stream, window: Window, step_ms: int, now_ms: int
) -> tuple[FlowBar, Quality, list[FlowBar]] | None:
    """A window's flow, evidence and bars; windows under a minute are made of 5 s cells."""
    outer = Window(
        floor_ms(window.start_ms, MINUTE_MS),
        window.end_ms
        if window.end_ms % MINUTE_MS == 0
        else floor_ms(window.end_ms, MINUTE_MS) + MINUTE_MS,
    )
    parts = pieces(stream, outer, now_ms, depth="flow", again=True)
    if not parts:
        return None
    fine = outer != window
    total = empty_flow(stream.instrument, window.start_ms, window.end_ms)
    for bar in _cells(stream, window) if fine else (part[0].flow for part in parts):
        total = flow.then(total, bar)
    quality = whole_quality([part[1] for part in parts], outer, now_ms)
    if fine:
        quality = _inner_quality(stream, window, quality, now_ms)
    bars = flow_bars(stream, window, step_ms, now_ms)
    total = msgspec.structs.replace(total, start_ms=window.start_ms, end_ms=window.end_ms)
    return total, quality, bars


def _inner_quality(stream: Stream, window: Window, quality: Quality, now_ms: int) -> Quality:
    """Evidence of a window inside a minute: the minute's state, the window's own time."""
    expected = max(0, min(window.end_ms, now_ms) - window.start_ms)
    covered = stream.coverage.covered_ms(
        window.start_ms, window.start_ms + expected, list(quality.gaps)
    )
    through = min(window.end_ms, quality.applied_through_ms)
    return msgspec.structs.replace(
        quality,
        expected_ms=expected,
        covered_ms=covered,
        applied_through_ms=through,
        first_id=None,
        last_id=None,
    )


def cumulative_delta(stream: Stream, end_ms: int, now_ms: int) -> tuple[int, int]:
    """(lots of delta, anchor) since 00:00 UTC of the day of the last moment before `end_ms`.

    The anchor is later where observation began later.
    """
    day = floor_ms(end_ms - 1, DAY_MS)
    parts = pieces(stream, Window(day, end_ms), now_ms, depth="flow", again=True)
    total = sum(bar.flow.delta_lots for bar, _ in parts)
    anchor = min((bar.flow.start_ms for bar, _ in parts), default=end_ms)
    return total, max(day, anchor)
