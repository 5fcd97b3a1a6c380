"""A burst of many instruments into their streams: a number a pass, a stream touched once.

`apply` takes the instruments whose trades simply go on where they stopped; those it gives back take
the way of single batches, where every oddity is judged. Both ways leave the same state. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from orderflow.ledger import ConsecutiveLedger
from orderflow.mixed import MIXED_COLUMNS, MixedTrades
from orderflow.timeframe import CELL_MS, MINUTE_MS
from processor.fold import EXACT_DOUBLES, SAFE
from processor.ladder import Ladder
from processor.minute import Minute
from processor.spans import Ground, Spans, steps
from processor.stream import Stream
from processor.sweep import Burst
from processor.tally import Tally


class Group(NamedTuple):
    """What must be known of an instrument's trades before they are believed."""

    scale: int
    trades: int
    first_key: int
    first_ms: int
    last_ms: int
    oldest_ms: int
    low: int
    high: int
    last_price: int
    lots: int
    buy_lots: int
    whole: bool
    largest_sum: float


def apply(streams: Mapping[str, Stream], mixed: MixedTrades) -> list[int]:
    """Apply a burst; returns the numbers of the instruments that were left out, untouched."""
    left: list[int] = []
    taken = np.zeros(len(mixed.instruments), dtype=bool)
    found: list[Stream] = []
    for number, (name, group) in enumerate(zip(mixed.instruments, _groups(mixed), strict=True)):
        stream = streams.get(name)
        if stream is None or not _goes_on(stream, group):
            left.append(number)
            continue
        taken[number] = True
        found.append(stream)
        stream.go_on(group.trades, (group.first_ms, group.last_ms), group.last_price, mixed.source)
        sums = group.trades, group.last_ms, group.buy_lots, group.lots
        if not stream.toxicity.goes_on(group.first_key, *sums):
            stream.toxicity.take(mixed.batch(number), 0, group.trades)
    if found:
        _add(found, mixed if not left else _picked(mixed, taken))
    return left


def _groups(mixed: MixedTrades) -> Iterator[Group]:
    """A group per instrument; `whole`: its ids are consecutive and its sums of lots exact."""
    starts = np.array(mixed.edges[:-1])
    ends = np.array(mixed.edges[1:]) - 1
    counts = ends - starts + 1
    skips = steps(mixed.key, 1) != 1
    skips[starts] = False
    low = np.minimum.reduceat(mixed.price_ticks, starts)
    high = np.maximum.reduceat(mixed.price_ticks, starts)
    # Bounds in doubles: they never overflow, and rounding can't lift them over a limit of half.
    most = np.maximum.reduceat(np.maximum(mixed.qty_lots, mixed.n_trades), starts)
    largest = most.astype(np.float64) * counts
    whole = (largest < EXACT_DOUBLES / 2) & ~np.logical_or.reduceat(skips, starts)
    spread = (high - low).astype(np.float64)
    columns = (
        counts,
        mixed.key[starts],
        mixed.event_ms[starts],
        mixed.event_ms[ends],
        np.minimum.reduceat(mixed.event_ms, starts),
        low,
        high,
        mixed.price_ticks[ends],
        np.add.reduceat(mixed.qty_lots, starts),
        np.add.reduceat(mixed.qty_lots * mixed.side, starts),
        whole & (largest * spread * spread < SAFE / 2),
        largest * high,
    )
    return map(Group, mixed.scales, *(column.tolist() for column in columns))


def _goes_on(stream: Stream, group: Group) -> bool:
    """True when these trades follow the newest one and no number can be too large."""
    ledger = stream.ledger
    if not group.whole or not isinstance(ledger, ConsecutiveLedger):
        return False
    if ledger.epoch or not ledger.runs or not stream.minutes:
        return False
    newest = ledger.runs[-1]
    unit = next(iter(stream.minutes.values())).ladder.unit
    return (
        group.first_key == newest.last + 1
        and group.scale not in stream.scales
        and group.oldest_ms >= stream.evicted_before_ms
        and stream.grids.first is not None
        and group.largest_sum * unit.times < SAFE / 2
        and stream.guard.trusts(group.low, group.high, group.oldest_ms - newest.last_ms)
    )


def _picked(mixed: MixedTrades, taken: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> MixedTrades:
    """Only the instruments that are taken."""
    lengths = np.diff(mixed.edges)
    keep = np.repeat(taken, lengths)
    numbers = np.flatnonzero(taken).tolist()
    return msgspec.structs.replace(
        mixed,
        instruments=[mixed.instruments[number] for number in numbers],
        scales=[mixed.scales[number] for number in numbers],
        edges=[0, *lengths[taken].cumsum().tolist()],
        **{name: getattr(mixed, name)[keep] for name in MIXED_COLUMNS},
    )


def _add(streams: list[Stream], mixed: MixedTrades) -> None:
    """Cut into spans of one cell, and add every span to its tally and ladder."""
    cell = mixed.event_ms // CELL_MS
    cut = steps(cell, 1) != 0
    edges = np.array(mixed.edges[:-1])
    cut[edges] = True
    starts = np.flatnonzero(cut)
    owners = (np.searchsorted(edges, starts, side="right") - 1).tolist()
    begins = (mixed.event_ms[starts] // MINUTE_MS * MINUTE_MS).tolist()
    minutes = [streams[k].minute(start) for k, start in zip(owners, begins, strict=True)]
    spans = Spans(mixed, starts, _ground(minutes))
    _tallies(spans, minutes)
    _ladders(spans, [minute.ladder for minute in minutes])


def _ground(minutes: list[Minute]) -> Ground:
    ladders = [minute.ladder for minute in minutes]
    rows = [(one.row_ticks, one.unit.times, one.unit.per, one.least_offered) for one in ladders]
    return Ground(*np.array(rows, dtype=np.int64).T)


def _tallies(spans: Spans, minutes: list[Minute]) -> None:
    """Every span to its tally; a new one begins with the span's first trade."""
    firsts, lasts = spans.firsts(), spans.lasts()
    sized = zip(minutes, firsts, lasts, spans.sums(), spans.bursts(), strict=True)
    for minute, (key, event_ms, price, signed_lots, trade_id), last, sums, bursts in sized:
        tally = minute.tally_at(event_ms, key)
        if not tally.records:
            tally.begin(event_ms, price, signed_lots, trade_id)
        minute.touched += 1
        tally.take(sums)
        tally.last_key, tally.last_ms, tally.close_ticks, tally.last_id = last
        _go_on(tally, bursts)


def _ladders(spans: Spans, ladders: list[Ladder]) -> None:
    """Volume at price, size classes and prints that may be among the largest."""
    for ladder, found, sizes in zip(ladders, spans.rows(), spans.classes(), strict=True):
        ladder.add_sizes(*sizes)
        rows = ladder.rows
        for number, buy, sell, trades in found:
            if number in rows:
                row = rows[number]
                row[0] += buy
                row[1] += sell
                row[2] += trades
            else:
                rows[number] = [buy, sell, trades]
    for place, prints in spans.large():
        ladders[place].offer(prints)


def _go_on(tally: Tally, bursts: list[Burst]) -> None:
    """The bursts of a span; the first may go on from the tally's newest one."""
    first, tail = bursts[0], tally.tail
    if not tail.levels:
        tally.tail = first
    elif tail.event_ms == first.event_ms and (both := tail.joined(first)) is not None:
        tally.tail = both
    else:
        tally.over(tail)
        tally.tail = first
    if len(bursts) > 1:
        tally.over(tally.tail)
        for burst in bursts[1:-1]:
            tally.over(burst)
        tally.tail = bursts[-1]
