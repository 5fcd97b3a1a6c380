"""Naked (virgin) POC and other untested levels across days, with the event of their first touch.

A level of a closed session stays naked until the range traded since its close reaches it. The
ledger is incremental (bar by bar) and mergeable (two spans of time as one), with equal results.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard

CARD = RuleCard(
    name="naked_levels",
    version=1,
    family="profile",
    summary="Levels of closed sessions (POC, VAH, VAL) that price has not reached since.",
    formula=(
        "A level covers low_ticks..high_ticks of its row. It is tested by the first bar after its "
        "session's close at whose end lowest low <= high_ticks and highest high >= low_ticks, "
        "both taken over everything traded since the close. That bar is the touch event."
    ),
    units="ticks; ms UTC; the touch is known to the length of the bar",
    parameters=(
        Parameter("levels", "poc", "kinds", "which levels of a session enter: poc, vah, val"),
        Parameter("keep_ms", "none", "ms", "older untested levels are dropped with `forgotten`"),
    ),
    ties="Reaching the edge of the row is a touch.",
    edges=(
        "A jump over a level without a trade in it is a touch, so bar length never decides.",
        "The first bar after the close starts the range: a level it opened away from stays naked.",
        "The session's own bars never test its levels.",
        "A gap in the data hides touches: the quality of the bars belongs to the answer.",
    ),
    merging="Exact: then over spans of time equals bar by bar in any grouping. Not for venues.",
    evidence="Prices that the market has not traded at since a session closed.",
    not_evidence="That price must return: an untested level may stay so for ever.",
    source=(
        "flowsurface (naked POC, 80 bars back); the rule over all ranges since the close is ours, "
        "so that merged bars agree"
    ),
    example=Example(
        "POC 101 of the six trades as a closed day; then bars of 103-104, 102-103 and 99-100.",
        (("after bar 1", "naked"), ("after bar 2", "naked"), ("after bar 3", "touched")),
    ),
)


class Level(msgspec.Struct, gc=False, frozen=True):
    """An untested price range, known since the close of its session.

    `lowest_ticks`, `highest_ticks`: what traded since; None before the first trade.
    """

    kind: str
    session: str
    low_ticks: int
    high_ticks: int
    since_ms: int
    lowest_ticks: int | None = None
    highest_ticks: int | None = None


class Touch(msgspec.Struct, gc=False, frozen=True):
    """A level's first test, by the bar [start_ms, end_ms)."""

    kind: str
    session: str
    low_ticks: int
    high_ticks: int
    since_ms: int
    start_ms: int
    end_ms: int


class Record(msgspec.Struct, gc=False, frozen=True):
    """A bar that made a new low or high of the ledger's span."""

    start_ms: int
    end_ms: int
    lowest_ticks: int
    highest_ticks: int


class Ledger(msgspec.Struct, gc=False, frozen=True):
    """Untested levels and touches of a span of time; `records` let an earlier ledger be joined.

    `end_ms`: end of the last bar seen, None before the first.
    """

    untested: tuple[Level, ...] = ()
    touches: tuple[Touch, ...] = ()
    records: tuple[Record, ...] = ()
    end_ms: int | None = None


EMPTY = Ledger()


def closed(ledger: Ledger, levels: Iterable[Level]) -> Ledger:
    """Levels of a session that just closed; MergeError when bars after the close were seen."""
    new = tuple(levels)
    if ledger.end_ms is not None and any(level.since_ms < ledger.end_ms for level in new):
        raise MergeError("close a session before the bars that follow it")
    return msgspec.structs.replace(ledger, untested=_ordered((*ledger.untested, *new)))


def passed(ledger: Ledger, bar: FlowBar) -> Ledger:
    """One more bar, in time order; an empty bar tests nothing."""
    if ledger.end_ms is not None and bar.start_ms < ledger.end_ms:
        raise MergeError("bars must be given in time order")
    if any(level.since_ms > bar.start_ms for level in ledger.untested):
        raise MergeError("a session closes at the border of a bar, not within one")
    low, high = bar.low_ticks, bar.high_ticks
    if low is None or high is None:
        return msgspec.structs.replace(ledger, end_ms=bar.end_ms)
    return then(ledger, Ledger((), (), (Record(bar.start_ms, bar.end_ms, low, high),), bar.end_ms))


def then(a: Ledger, b: Ledger) -> Ledger:
    """Two ledgers of consecutive spans as one; exact in any grouping.

    MergeError when `b` starts before the end of `a`.
    """
    starts = [record.start_ms for record in b.records[:1]]
    times = starts + [level.since_ms for level in b.untested]
    if a.end_ms is not None and any(at_ms < a.end_ms for at_ms in times):
        raise MergeError("ledgers must be given in time order")
    untested = list(b.untested)
    touches = list(b.touches)
    for level in a.untested:
        left = _tested(level, b.records)
        if isinstance(left, Touch):
            touches.append(left)
        else:
            untested.append(left)
    return Ledger(
        _ordered(untested),
        a.touches + tuple(sorted(touches, key=_touch_order)),
        _joined(a.records, b.records),
        a.end_ms if b.end_ms is None else b.end_ms,
    )


def settled(ledger: Ledger) -> Ledger:
    """The ledger without touches and records: enough to go on from, a checkpoint's size."""
    return msgspec.structs.replace(ledger, touches=(), records=())


def forgotten(ledger: Ledger, before_ms: int) -> Ledger:
    """The ledger without untested levels of sessions that closed before a time."""
    kept = tuple(level for level in ledger.untested if level.since_ms >= before_ms)
    return msgspec.structs.replace(ledger, untested=kept)


def row_level(kind: str, session: str, row: int, row_ticks: int, since_ms: int) -> Level:
    """The level of a profile row: all ticks of the row."""
    return Level(kind, session, row * row_ticks, (row + 1) * row_ticks - 1, since_ms)


def _tested(level: Level, records: tuple[Record, ...]) -> Touch | Level:
    """The level after the records: touched by one of them, or with a wider range."""
    low, high = level.lowest_ticks, level.highest_ticks
    for record in records:
        low = record.lowest_ticks if low is None else min(low, record.lowest_ticks)
        high = record.highest_ticks if high is None else max(high, record.highest_ticks)
        if low <= level.high_ticks and high >= level.low_ticks:
            return Touch(
                level.kind,
                level.session,
                level.low_ticks,
                level.high_ticks,
                level.since_ms,
                record.start_ms,
                record.end_ms,
            )
    return msgspec.structs.replace(level, lowest_ticks=low, highest_ticks=high)


def _joined(a: tuple[Record, ...], b: tuple[Record, ...]) -> tuple[Record, ...]:
    """Records of both spans: those of `b` that go beyond everything in `a`."""
    if not a:
        return b
    kept = list(a)
    low, high = a[-1].lowest_ticks, a[-1].highest_ticks
    for record in b:
        if record.lowest_ticks < low or record.highest_ticks > high:
            low, high = min(low, record.lowest_ticks), max(high, record.highest_ticks)
            kept.append(Record(record.start_ms, record.end_ms, low, high))
    return tuple(kept)


def _ordered(levels: Iterable[Level]) -> tuple[Level, ...]:
    return tuple(sorted(levels, key=lambda v: (v.low_ticks, v.since_ms, v.kind, v.session)))


def _touch_order(touch: Touch) -> tuple[int, int, int, str, str]:
    return touch.start_ms, touch.low_ticks, touch.since_ms, touch.kind, touch.session
