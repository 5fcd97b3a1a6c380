"""Event: something a rule saw in complete numbers, with the numbers behind it and what came after.

An event never disappears: a revised bar revises it or withdraws it, and says so in `changes` with
the correction that caused it. Times: `at_ms` is exchange time, `*_wall_ms` when we published.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

import msgspec

from orderflow.content import digest
from orderflow.timeframe import MINUTE_MS, floor_ms

HORIZONS_MIN = (5, 15, 60, 240)
"""Outcomes are returns after so many minutes."""
LONGEST_MS = HORIZONS_MIN[-1] * MINUTE_MS
RETURN_PLACES = Decimal("0.00000001")
ID_DIGITS = 32
EVENT_SERIES = "1m"
"""Events are stored in pages of a minute."""
CORRECTION = "correction"
Direction = Literal["buy", "sell"]
Status = Literal["stands", "revised", "questioned", "withdrawn"]
"""Questioned: an earlier bar it was compared with has been revised since."""
Evidence = dict[str, Any]
"""Plain data: numbers as decimal strings or whole numbers, lists of such objects."""


class Source(msgspec.Struct, gc=False, frozen=True, array_like=True):
    """A bar behind a claim: enough to ask for it again and to see that it is the same."""

    timeframe: str
    start_ms: int
    revision: int
    content_hash: str


class Outcome(msgspec.Struct, gc=False, frozen=True, array_like=True):
    """The last price `minutes` after the event, and the return to it, from complete bars."""

    minutes: int
    close: Decimal
    change: Decimal
    known_wall_ms: int


class Change(msgspec.Struct, gc=False, frozen=True, array_like=True):
    """What was said of the event from then on; `complete`: its bar held every trade."""

    wall_ms: int
    status: Status
    complete: bool
    correction: str | None = None


class Event(msgspec.Struct, gc=False, frozen=True):
    """One claim. `price`: the level it is about; `close`: the last price at `at_ms`.

    `since_ms`: start of the oldest bar that was looked at, of the same timeframe.
    """

    id: str
    kind: str
    rule: str
    instrument: str
    timeframe: str
    start_ms: int
    end_ms: int
    since_ms: int
    side: Direction | None
    price: Decimal | None
    close: Decimal | None
    state: str
    evidence: Evidence
    sources: list[Source]
    changes: list[Change]
    outcomes: list[Outcome] = []

    @property
    def at_ms(self) -> int:
        """When it could be known: the end of its window."""
        return self.end_ms

    @property
    def published_wall_ms(self) -> int:
        """When it was first published."""
        return self.changes[0].wall_ms

    @property
    def revision(self) -> int:
        """How often it changed since."""
        return len(self.changes) - 1

    @property
    def now(self) -> Change:
        """The newest word on it."""
        return self.changes[-1]

    def said_at(self, wall_ms: int) -> Change | None:
        """The newest word on it at that time; None before it was published."""
        said = [change for change in self.changes if change.wall_ms <= wall_ms]
        return said[-1] if said else None

    def outcome_at(self, minutes: int, wall_ms: int) -> Outcome | None:
        """The outcome as it was known at that time."""
        known = [o for o in self.outcomes if o.minutes == minutes and o.known_wall_ms <= wall_ms]
        return known[-1] if known else None

    def outcome(self, minutes: int) -> Outcome | None:
        """The newest outcome."""
        known = [outcome for outcome in self.outcomes if outcome.minutes == minutes]
        return known[-1] if known else None


def event_id(
    instrument: str, kind: str, side: str | None, timeframe: str, window: Sequence[int], rule: str
) -> str:
    """Stable: the same claim has the same id, however often it is computed."""
    content = {
        "instrument": instrument,
        "kind": kind,
        "side": side,
        "timeframe": timeframe,
        "window": list(window),
        "rule": rule,
    }
    return digest(content)[:ID_DIGITS]


def with_outcome(event: Event, minutes: int, close: Decimal | None, wall_ms: int) -> Event:
    """The event with one more outcome; the same one when nothing changed or can't be known."""
    if close is None or event.close is None or event.close == 0:
        return event
    known = event.outcome(minutes)
    change = ((close - event.close) / event.close).quantize(RETURN_PLACES, ROUND_HALF_EVEN)
    if known is not None and (known.close, known.change) == (close, change):
        return event
    outcome = Outcome(minutes, close, change, wall_ms)
    return msgspec.structs.replace(event, outcomes=[*event.outcomes, outcome])


def revised(event: Event, fresh: Event, wall_ms: int, correction: str | None) -> Event:
    """`event` as a new look at its bar sees it; the same one when nothing changed.

    A better state alone is no revision: only content, or becoming complete, is.
    """
    last = event.now
    same = (
        last.status != "withdrawn"
        and (event.evidence, event.sources) == (fresh.evidence, fresh.sources)
        and (event.close, event.price) == (fresh.close, fresh.price)
    )
    if same and (event.state, last.complete) == (fresh.state, fresh.now.complete):
        return event
    changes = event.changes
    if not same or last.complete != fresh.now.complete:
        status: Status = last.status if same else "revised"
        link = last.correction if same else correction
        changes = [*changes, Change(wall_ms, status, fresh.now.complete, link)]
    return msgspec.structs.replace(fresh, changes=changes, outcomes=event.outcomes)


def withdrawn(event: Event, wall_ms: int, correction: str | None) -> Event:
    """The event after its bar no longer shows it."""
    if event.now.status == "withdrawn":
        return event
    change = Change(wall_ms, "withdrawn", event.now.complete, correction)
    return msgspec.structs.replace(event, changes=[*event.changes, change])


def questioned(event: Event, wall_ms: int, correction: str) -> Event:
    """The event after a bar it was compared with was revised."""
    if event.now.status == "withdrawn" or event.now.correction == correction:
        return event
    change = Change(wall_ms, "questioned", event.now.complete, correction)
    return msgspec.structs.replace(event, changes=[*event.changes, change])


def page_minute(event: Event) -> int:
    """The minute under whose page an event is stored."""
    return floor_ms(event.at_ms, MINUTE_MS)


def events_to_body(events: Sequence[Event]) -> dict[str, Any]:
    """Plain data."""
    return {"events": msgspec.to_builtins(list(events))}


def events_from_body(body: Any) -> list[Event]:
    """The inverse of `events_to_body`."""
    return msgspec.convert(body["events"], list[Event])
