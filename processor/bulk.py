"""A burst of many instruments into their streams: a number a pass, a stream touched once.

`apply` takes the instruments whose trades simply go on where they stopped; those it gives back take
the way of single batches, where every oddity is judged. Both ways leave the same state. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappush, heapreplace
from typing import NamedTuple

import msgspec
import numpy as np

from orderflow.ledger import ConsecutiveLedger
from orderflow.mixed import MIXED_COLUMNS, Column, MixedTrades
from orderflow.prints import MOST_LARGEST
from orderflow.timeframe import CELL_MS, MINUTE_MS
from processor.fold import EXACT_DOUBLES, SAFE
from processor.minute import Minute
from processor.spans import Ground, Spans
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
    most_lots: int
    most_trades: int
    lots: int
    buy_lots: int


class Target(NamedTuple):
    """Where the trades of one span go."""

    tally: Tally
    minute: Minute


def apply(streams: Mapping[str, Stream], mixed: MixedTrades) -> list[int]:
    """Apply a burst; returns the numbers of the instruments that were left out, untouched."""
    left: list[int] = []
    taken = np.zeros(len(mixed.instruments), dtype=bool)
    found: list[Stream] = []
    for number, group in enumerate(_groups(mixed)):
        stream = streams.get(mixed.instruments[number])
        if group is None or stream is None or not _goes_on(stream, group):
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


def _groups(mixed: MixedTrades) -> list[Group | None]:
    """A group per instrument; None where ids are not consecutive."""
    starts = np.array(mixed.edges[:-1])
    ends = np.array(mixed.edges[1:]) - 1
    skips = np.diff(mixed.key, prepend=0) != 1
    skips[starts] = False
    columns = (
        mixed.key[starts],
        mixed.event_ms[starts],
        mixed.event_ms[ends],
        np.minimum.reduceat(mixed.event_ms, starts),
        np.minimum.reduceat(mixed.price_ticks, starts),
        np.maximum.reduceat(mixed.price_ticks, starts),
        mixed.price_ticks[ends],
        np.maximum.reduceat(mixed.qty_lots, starts),
        np.maximum.reduceat(mixed.n_trades, starts),
        np.add.reduceat(mixed.qty_lots, starts),
        np.add.reduceat(mixed.qty_lots * mixed.side, starts),
    )
    whole = (~np.logical_or.reduceat(skips, starts)).tolist()
    counts = (ends - starts + 1).tolist()
    rows = zip(mixed.scales, counts, *(c.tolist() for c in columns), strict=True)
    return [Group(*row) if good else None for good, row in zip(whole, rows, strict=True)]


def _goes_on(stream: Stream, group: Group) -> bool:
    """True when these trades follow the newest one and no number can be too large."""
    ledger = stream.ledger
    if not isinstance(ledger, ConsecutiveLedger) or ledger.epoch or not ledger.runs:
        return False
    newest = ledger.runs[-1]
    if group.first_key != newest.last + 1 or group.scale in stream.scales:
        return False
    if group.oldest_ms < stream.evicted_before_ms or stream.grids.first is None:
        return False
    if not stream.guard.trusts(group.low, group.high, group.oldest_ms - newest.last_ms):
        return False
    lots = group.most_lots * group.trades
    spread = group.high - group.low
    hot = next(iter(stream.minutes.values()), None)
    if hot is None:
        return False
    times = hot.ladder.unit.times
    return (
        lots < EXACT_DOUBLES
        and group.most_trades * group.trades < EXACT_DOUBLES
        and lots * max(group.high * times, spread * spread) < SAFE
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
    cut = np.diff(cell, prepend=-1) != 0
    edges = np.array(mixed.edges[:-1])
    cut[edges] = True
    starts = np.flatnonzero(cut)
    owners = (np.searchsorted(edges, starts, side="right") - 1).tolist()
    targets = _targets(streams, mixed, starts, owners)
    spans = Spans(mixed, starts, _ground(targets))
    _sums(spans, targets, mixed)
    _rows(spans, targets)
    _sizes(spans, targets)
    _largest(spans, targets)
    for target, bursts in zip(targets, spans.bursts(), strict=True):
        _go_on(target.tally, bursts)


def _rows(spans: Spans, targets: list[Target]) -> None:
    """Volume at price into the ladders; a new row needs no addition."""
    ladders = [target.minute.ladder.rows for target in targets]
    for span, number, buy, sell, trades in spans.rows():
        rows = ladders[span]
        if number in rows:
            row = rows[number]
            row[0] += buy
            row[1] += sell
            row[2] += trades
        else:
            rows[number] = [buy, sell, trades]


def _sizes(spans: Spans, targets: list[Target]) -> None:
    """Volume and prints by size class into the ladders."""
    ladders = [target.minute.ladder.sizes for target in targets]
    for span, number, buy, sell, buy_prints, sell_prints in spans.classes():
        sizes = ladders[span]
        if number in sizes:
            size = sizes[number]
            size[0] += buy
            size[1] += sell
            size[2] += buy_prints
            size[3] += sell_prints
        else:
            sizes[number] = [buy, sell, buy_prints, sell_prints]


def _largest(spans: Spans, targets: list[Target]) -> None:
    """Prints that may be among the largest to the heaps."""
    heaps = [target.minute.ladder.largest for target in targets]
    for span, ranked in spans.large():
        heap = heaps[span]
        if len(heap) < MOST_LARGEST:
            heappush(heap, ranked)
        elif ranked > heap[0]:
            heapreplace(heap, ranked)


def _targets(
    streams: list[Stream], mixed: MixedTrades, starts: Column, owners: list[int]
) -> list[Target]:
    """The tally and minute of every span; new ones begin with the span's first trade."""
    names = ("key", "event_ms", "price_ticks", "qty_lots", "side", "first_trade_id")
    firsts = zip(*(getattr(mixed, name)[starts].tolist() for name in names), strict=True)
    targets = []
    for owner, (key, event_ms, price, lots, side, trade_id) in zip(owners, firsts, strict=True):
        minute = streams[owner].minute(event_ms // MINUTE_MS * MINUTE_MS)
        tally = minute.tally_at(event_ms, key)
        if not tally.records:
            tally.begin(event_ms, price, lots if side else -lots, trade_id)
        minute.touched += 1
        targets.append(Target(tally, minute))
    return targets


def _ground(targets: list[Target]) -> Ground:
    rows = [
        (
            minute.ladder.row_ticks,
            minute.ladder.unit.times,
            minute.ladder.unit.per,
            minute.ladder.least_kept,
            tally.buy_lots - tally.sell_lots,
        )
        for tally, minute in targets
    ]
    return Ground(*np.array(rows, dtype=np.int64).T)


def _sums(spans: Spans, targets: list[Target], mixed: MixedTrades) -> None:
    """Sums, extremes and the newest trade of every span into its tally."""
    ends = spans.starts + spans.lengths - 1
    names = ("key", "event_ms", "price_ticks", "last_trade_id")
    newest = zip(*(getattr(mixed, name)[ends].tolist() for name in names), strict=True)
    sized = zip(targets, spans.lengths.tolist(), spans.sums(), newest, strict=True)
    for (tally, _), count, sums, (key, event_ms, price, trade_id) in sized:
        tally.take(sums)
        tally.records += count
        tally.last_key, tally.last_ms = key, event_ms
        tally.close_ticks, tally.last_id = price, trade_id


def _go_on(tally: Tally, bursts: list[Burst]) -> None:
    """The bursts of a span; the first may go on from the tally's newest one."""
    first = bursts[0]
    both = tally.tail.joined(first) if tally.tail.levels else None
    if both is None and tally.tail.levels:
        tally.over(tally.tail)
    tally.tail = both or first
    if len(bursts) > 1:
        tally.over(tally.tail)
        for burst in bursts[1:-1]:
            tally.over(burst)
        tally.tail = bursts[-1]
