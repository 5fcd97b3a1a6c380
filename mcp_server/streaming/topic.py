"""Topic: one question that is answered again and again, and what of the answer changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.closings import Closing, Closings
from mcp_server.events import KINDS, EventQuestion
from mcp_server.parameters import Question
from mcp_server.payload import ENCODERS, plain_data, still
from mcp_server.queries import Queries
from mcp_server.streaming.messages import Kind
from orderflow import answers, footprint
from orderflow.answers import iso
from orderflow.completeness import merge_qualities
from orderflow.errors import NotFoundError
from orderflow.symbols import Selection
from orderflow.timeframe import HOUR_MS, TIMEFRAMES, Window, floor_ms

if TYPE_CHECKING:
    from mcp_server.streaming.hub import Listener

CHANNELS = ("bars", "volume_profile", "order_flow", "status", "events")
NEWEST_EVENTS = 100
"""So many are looked at again, for what was learnt since: outcomes, corrections."""
MOST_OPEN = 40
"""Windows that are over and not final yet, looked at again and again."""
MOST_SEEDED = 60
"""Closed windows that a new topic can tell of to readers of another server."""
OLDEST_MS = 20 * HOUR_MS
"""Windows that began earlier are not whole in memory: /changes tells of them."""
LATE_MS = 10_000
"""A stream this far behind its venue's clock is stale: twice the cadence of order flow."""


@dataclass(frozen=True)
class Spec:
    """What a topic answers. Equal specs share one topic."""

    channel: str
    question: Question

    @property
    def name(self) -> str:
        """As messages say it: channel, symbol, length, and what else was asked."""
        asked = self.question
        parts = [self.channel, asked.symbol, asked.exchange, asked.market, asked.name]
        parts += [asked.detail] if asked.detail != "summary" else []
        parts += [asked.numbers] if asked.numbers != "json" else []
        return "/".join(part for part in parts if part)


class Change(NamedTuple):
    """The state of a key as it is now; `position` is set where it is not that of the look."""

    kind: Kind
    key: str
    data: bytes
    position: int | None = None


class Topic:
    """One spec and what was last said of it.

    `looked`: closings up to this position were looked at. `fresh`: it was never looked at.
    """

    def __init__(self, spec: Spec, queries: Queries, looked: int) -> None:
        self.spec = spec
        self.name = spec.name
        self.listeners: set[Listener] = set()
        self.left_s = self.looked_s = 0.0
        self.fresh = True
        self.looked = looked
        self.current: list[str] = []
        self._queries = queries
        self._stamp: object = None
        self._said: dict[str, bytes] = {}
        self._open: dict[int, int] = {}
        self._final: dict[int, int] = {}
        self._revisions: dict[str, int] = {}

    def selection(self) -> Selection:
        """What it is about; ForbiddenError where the caller's key has no right to it."""
        return self._queries.read.selection(self.spec.question)

    async def look(self, *, all_of_it: bool) -> list[Change]:
        """What changed since the last look. `all_of_it`: also what may change without trades."""
        selection = self.selection()
        stamp = self._stamped(selection)
        if stamp == self._stamp and not all_of_it:
            return []
        self._stamp = stamp
        position = self._queries.live.cursor[1]
        if self.spec.channel == "bars":
            changes = self._bars(selection, all_of_it=all_of_it)
            self.looked = position
            return changes
        self.looked = position
        if self.spec.channel == "events":
            return await self._events() if all_of_it else []
        if self.spec.channel == "status":
            return self._changed("status", self.name, self._status(selection))
        asked = self.spec.question
        answer = (
            self._queries.volume_profile
            if self.spec.channel == "volume_profile"
            else self._queries.order_flow
        )
        try:
            report = await answer(asked)
        except NotFoundError:
            return []
        return self._changed("upsert", self.name, plain_data(report))

    def _stamped(self, selection: Selection) -> object:
        """Differs when trades came, time went on or the evidence changed."""
        live = self._queries.live
        streams = [live.stream(item.name) for item in selection.instruments]
        return [(s.received, s.watermark_ms, s.state, s.gaps_open, s.status) for s in streams]

    def _changed(
        self, kind: Kind, key: str, data: dict[str, Any], position: int | None = None
    ) -> list[Change]:
        """One change, unless only its age differs from what was said."""
        encoder = ENCODERS[self.spec.question.numbers]
        compared = encoder.encode(still(data))
        if self._said.get(key) == compared:
            return []
        self._said[key] = compared
        if self.spec.channel != "bars":
            self.current = [key]
        return [Change(kind, key, encoder.encode(data), position)]

    def _status(self, selection: Selection) -> dict[str, Any]:
        live = self._queries.live
        streams = [live.stream(item.name) for item in selection.instruments]
        return {
            "symbol": selection.symbol,
            "source": live.source,
            "ready": live.ready,
            "streams": [
                {
                    "instrument": s.instrument,
                    "state": s.state,
                    "status": s.status,
                    "ingestion_mode": s.ingestion_mode,
                    "gaps_open": s.gaps_open,
                    "gaps_lost": s.gaps_lost,
                    "stale": s.lag_ms is None or s.lag_ms > LATE_MS,
                }
                for s in streams
            ],
        }

    async def _events(self) -> list[Change]:
        """Events that are new, and those of which something was learnt."""
        asked = self.spec.question
        question = EventQuestion(
            symbol=asked.symbol,
            exchange=asked.exchange,
            market=asked.market,
            kinds=KINDS,
            timeframe=None,
            side=None,
            since_ms=None,
            as_of_ms=None,
            limit=NEWEST_EVENTS,
            cursor=None,
            numbers=asked.numbers,
        )
        report = await self._queries.about_events.events(question)
        changes: list[Change] = []
        revisions: dict[str, int] = {}
        for event in reversed(report.events):
            key = f"{self.name}/{event.id}"
            known = self._revisions.get(key, event.revision)
            kind: Kind = "revision" if event.revision > known else "upsert"
            revisions[key] = event.revision
            changes += self._changed(kind, key, plain_data(event))
        self._revisions = revisions
        self._said = {key: said for key, said in self._said.items() if key in revisions}
        self.current = list(revisions)
        return changes

    # Bars

    def seed(self, closings: Closings) -> int:
        """The position behind which the next look shall tell of every closed window."""
        names = {item.name for item in self.selection().instruments}
        mine = [
            closing.position
            for closing in closings.since(closings.floor)
            if closing.timeframe == self.spec.question.name and closing.instrument in names
        ]
        return mine[-MOST_SEEDED - 1] if len(mine) > MOST_SEEDED else closings.floor

    def forget(self, position: int) -> None:
        """What was said does not count any more: the next look says everything."""
        self.looked, self.looked_s = position, float("-inf")
        self._stamp = None
        self._said.clear()

    def _bars(self, selection: Selection, *, all_of_it: bool) -> list[Change]:
        """The open window, those that closed or were revised, and those not final yet."""
        name = self.spec.question.name or ""
        length = TIMEFRAMES[name]
        now = self._queries.read.now_ms(selection)
        names = {item.name for item in selection.instruments}
        closed: dict[int, Closing] = {}
        revisions: dict[int, int] = {}
        for closing in self._queries.live.closings.since(self.looked):
            if closing.timeframe == name and closing.instrument in names:
                closed[closing.start_ms] = closing
                known = revisions.get(closing.start_ms, 0)
                revisions[closing.start_ms] = max(known, closing.revision)
        newest = floor_ms(now, length)
        self._open.setdefault(newest, 0)
        looked_at = {newest, *closed, *(self._open if all_of_it else ())}
        changes: list[Change] = []
        for start in sorted(at for at in looked_at if newest - OLDEST_MS <= at <= now):
            place = closed[start].position if start in closed else None
            revision = revisions.get(start)
            changes += self._bar(selection, Window(start, start + length), revision, place)
        self._tidy(newest)
        return changes

    def _bar(
        self, selection: Selection, window: Window, revision: int | None, position: int | None
    ) -> list[Change]:
        """One window as it is now, if that was not said yet."""
        start = window.start_ms
        asked = self.spec.question
        try:
            parts = self._queries.read.footprints(selection, window)
        except NotFoundError:
            return []
        quality = merge_qualities([part.quality for part in parts])
        if revision is None:
            revision = max(self._open.get(start, 0), self._final.get(start, 0))
        quality = msgspec.structs.replace(quality, revision=revision)
        report = answers.footprint_bar_report(
            [item.name for item in selection.instruments],
            asked.name or "",
            footprint.beside([part.bar for part in parts]),
            quality,
            rows=asked.detail == "rows",
        )
        kind: Kind = "upsert"
        if start in self._final:
            kind = "revision"
        elif quality.final:
            kind = "final"
        if kind == "upsert":
            self._open[start] = revision
        else:
            self._final[start] = revision
            self._open.pop(start, None)
        key = f"{self.name}/{iso(start)}"
        return self._changed(kind, key, plain_data(report), position)

    def _tidy(self, newest: int) -> None:
        """Forget windows that can't change in memory any more; what a snapshot shows."""
        for start in sorted(self._open)[:-MOST_OPEN]:
            self._final[start] = self._open.pop(start)
        for start in [at for at in self._final if at < newest - OLDEST_MS]:
            del self._final[start]
            self._said.pop(f"{self.name}/{iso(start)}", None)
        shown = [*sorted(self._final)[-1:], *sorted(self._open)]
        self.current = [f"{self.name}/{iso(start)}" for start in shown]


def canonical(spec: Spec, selection: Selection) -> Spec:
    """The same spec however its symbol was spelt, so that all spellings share a topic."""
    asked = replace(
        spec.question,
        symbol=selection.symbol,
        exchange=selection.exchange,
        market=selection.market,
    )
    return Spec(spec.channel, asked)
