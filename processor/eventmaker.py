"""The event maker: what the detectors see in closed bars, and what came after. Pure.

Events are held in pages, one per minute of their `at_ms`, packed. Looking at a bar again changes
nothing; a bar that was revised revises or withdraws its events. Outcomes are written when the
minute that ends at their time is closed and complete.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from orderflow.detectors.rule import Finding, Rule
from orderflow.distribution import is_complete
from orderflow.event import (
    CORRECTION,
    HORIZONS_MIN,
    LONGEST_MS,
    Change,
    Event,
    Source,
    event_id,
    page_minute,
    questioned,
    revised,
    with_outcome,
    withdrawn,
)
from orderflow.flow import FlowBar
from orderflow.grid import plain
from orderflow.timeframe import MINUTE_MS
from processor.history import ClosedMinute

KEPT_MS = LONGEST_MS + 20 * MINUTE_MS
"""Pages stay in memory until the longest outcome is due and the repair horizon is over."""
DECODER = msgspec.msgpack.Decoder(list[Event])
ENCODER = msgspec.msgpack.Encoder()


Minutes = Mapping[int, ClosedMinute]
"""Closed minutes by start."""


class DueEvents(NamedTuple):
    """A page of events to be stored."""

    instrument: str
    minute_ms: int
    events: list[Event]
    revision: int


class Seen(NamedTuple):
    """A closed bar as the event maker needs it."""

    timeframe: str
    flow: FlowBar
    state: str
    complete: bool


class EventMaker:
    """Events of one instrument that may still change."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.pages: dict[int, tuple[int, bytes]] = {}
        self.from_ms: int | None = None
        self.loaded: set[int] = set()
        self.changed: dict[int, None] = {}

    # Pages

    def missing(self, minute_ms: int) -> bool:
        """True when the page of this minute must be loaded before it can be changed."""
        held = self.from_ms is not None and minute_ms >= self.from_ms
        return not held and minute_ms not in self.loaded

    def load(self, minute_ms: int, events: list[Event], revision: int) -> None:
        """A page as it was stored."""
        if minute_ms not in self.pages:
            self.pages[minute_ms] = (revision, ENCODER.encode(events))
        self.loaded.add(minute_ms)

    def events(self, minute_ms: int) -> list[Event]:
        """The events of one minute."""
        held = self.pages.get(minute_ms)
        return [] if held is None else DECODER.decode(held[1])

    def _write(self, minute_ms: int, events: list[Event]) -> None:
        revision = self.pages[minute_ms][0] if minute_ms in self.pages else -1
        self.pages[minute_ms] = (revision, ENCODER.encode(events))
        self.changed[minute_ms] = None

    def _replace(self, minute_ms: int, before: list[Event], after: list[Event]) -> list[str]:
        """Write a page when anything differs; ids of what does."""
        known = {event.id: event for event in before}
        differing = [event.id for event in after if known.get(event.id) != event]
        if differing:
            self._write(minute_ms, after)
        return differing

    def due(self) -> list[DueEvents]:
        """Pages that changed since the last call, each with its next revision."""
        found = []
        for minute in sorted(self.changed):
            revision, packed = self.pages[minute]
            self.pages[minute] = (revision + 1, packed)
            found.append(DueEvents(self.instrument, minute, DECODER.decode(packed), revision + 1))
        self.changed.clear()
        return found

    def forget_before(self, minute_ms: int) -> None:
        """Let go of pages whose outcomes are all known."""
        if self.from_ms is None or minute_ms <= self.from_ms:
            return
        self.from_ms = minute_ms
        for held in [at for at in self.pages if at < minute_ms]:
            del self.pages[held]
        self.loaded = {at for at in self.loaded if at >= minute_ms}

    # Claims

    def look(
        self,
        seen: Seen,
        claims: list[tuple[Rule, Finding, list[Source]]],
        wall_ms: int,
        correction: str | None,
        kinds: Container[str] | None = None,
    ) -> list[str]:
        """What the rules claim of a bar now, instead of what they claimed before; changed ids.

        `kinds`: the rules that were asked; events of others stay as they are.
        """
        minute = seen.flow.end_ms
        before = self.events(minute)
        fresh = {
            event.id: event for event in (self._event(seen, *claim, wall_ms) for claim in claims)
        }
        after = []
        for event in before:
            other = event.timeframe != seen.timeframe or event.start_ms != seen.flow.start_ms
            if other or (kinds is not None and event.kind not in kinds):
                after.append(event)
            elif event.id in fresh:
                after.append(revised(event, fresh.pop(event.id), wall_ms, correction))
            elif event.kind == CORRECTION:
                after.append(event)
            else:
                after.append(withdrawn(event, wall_ms, correction))
        return self._replace(minute, before, [*after, *fresh.values()])

    def _event(
        self, seen: Seen, rule: Rule, finding: Finding, sources: list[Source], wall_ms: int
    ) -> Event:
        start, end = seen.flow.start_ms, seen.flow.end_ms
        return Event(
            id=event_id(
                self.instrument, rule.kind, finding.side, seen.timeframe, (start, end), rule.name
            ),
            kind=rule.kind,
            rule=rule.name,
            instrument=self.instrument,
            timeframe=seen.timeframe,
            start_ms=start,
            end_ms=end,
            since_ms=start - finding.compared * (end - start),
            side=finding.side,
            price=finding.price,
            close=_close(seen.flow) if seen.complete else None,
            state=seen.state,
            evidence=finding.evidence,
            sources=sources,
            changes=[Change(wall_ms, "stands", seen.complete)],
        )

    def correct(self, event: Event) -> None:
        """A correction event; saying it twice changes nothing."""
        minute = page_minute(event)
        before = self.events(minute)
        if all(known.id != event.id for known in before):
            self._write(minute, [*before, event])

    def question(self, timeframe: str, start_ms: int, wall_ms: int, correction: str) -> list[str]:
        """Later events that were made with this bar in view say that it was revised."""
        changed = []
        for minute in [at for at in self.pages if at > start_ms]:
            before = self.events(minute)
            after = [
                questioned(event, wall_ms, correction)
                if event.timeframe == timeframe and event.since_ms <= start_ms < event.start_ms
                else event
                for event in before
            ]
            changed += self._replace(minute, before, after)
        return changed

    # Outcomes

    def fill(self, end_ms: int, minutes: Minutes, wall_ms: int) -> None:
        """Outcomes that are due at `end_ms`, the end of a closed minute."""
        for horizon in HORIZONS_MIN:
            at = end_ms - horizon * MINUTE_MS
            if at in self.pages:
                self._fill(at, (horizon,), minutes, wall_ms)

    def fill_page(self, at: int, minutes: Minutes, wall_ms: int) -> None:
        """Every outcome of one page that can be known."""
        self._fill(at, HORIZONS_MIN, minutes, wall_ms)

    def _fill(self, at: int, horizons: tuple[int, ...], minutes: Minutes, wall_ms: int) -> None:
        before = after = self.events(at)
        for horizon in horizons:
            known, close = last_close(at, at + horizon * MINUTE_MS, minutes)
            if known:
                after = [
                    with_outcome(event, horizon, event.close if close is None else close, wall_ms)
                    for event in after
                ]
        self._replace(at, before, after)


def last_close(start_ms: int, end_ms: int, minutes: Minutes) -> tuple[bool, Decimal | None]:
    """(known, the last price in [start_ms, end_ms)); no price when nothing traded.

    Unknown when a minute on the way back to that price was not collected or is incomplete.
    """
    for at in range(end_ms - MINUTE_MS, start_ms - MINUTE_MS, -MINUTE_MS):
        minute = minutes.get(at)
        if minute is None or not is_complete(minute.quality):
            return False, None
        if not minute.flow.empty:
            return True, _close(minute.flow)
    return True, None


def _close(bar: FlowBar) -> Decimal | None:
    return None if bar.close_ticks is None else plain(bar.close_ticks * bar.tick_size)
