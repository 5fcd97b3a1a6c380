"""An aligned window as it stood at a revision, and as it stands now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from backbone.store.base import VOLUME_PROFILE, Record
from mcp_server.parameters import Question
from mcp_server.queries.reading import Reading
from orderflow.answers import iso
from orderflow.encoding import bar_from_body
from orderflow.errors import NotFoundError, ValidationError
from orderflow.instrument import Instrument
from orderflow.parts import FootprintPart
from orderflow.symbols import Selection
from orderflow.timeframe import TIMEFRAMES, Window

MOST_REVISIONS = 200
LEAST = "5m"
"""Of shorter windows only the newest revision is kept."""


class ThenAndNow(NamedTuple):
    """One window twice; `revision` is the newest there is."""

    then: list[FootprintPart]
    now: list[FootprintPart]
    revision: int


class Revisions:
    """Reads every kept revision of one window."""

    def __init__(self, read: Reading) -> None:
        self.read = read

    async def both(
        self, asked: Question, selection: Selection, start_ms: int, revision: int
    ) -> ThenAndNow:
        """The earliest state that had this revision, so that nothing after it is missed.

        ValidationError for a window that begins elsewhere, NotFoundError for a revision that is not
        there (with the newest one); StoreError while the store is away.
        """
        name = asked.name or "1h"
        window = _window(name, start_ms)
        kept = {i.name: await self._kept(i, name, window) for i in selection.instruments}
        everything = [record for records in kept.values() for record in records]
        reached = [r.published_at_ms for r in everything if r.revision == revision]
        if not reached:
            newest = max((record.revision for record in everything), default=None)
            told = "it has no stored revision" if newest is None else f"the newest is {newest}"
            raise NotFoundError(f"the window of {iso(start_ms)} has not this revision; {told}")
        at = min(reached)
        then = [self._part(i, window, kept[i.name], at) for i in selection.instruments]
        span = replace(asked, name=name, start_ms=window.start_ms, end_ms=window.end_ms, limit=1)
        now = await self.read.history(span, selection, name)
        newest_now = max(part.quality.revision for part in now[-1])
        return ThenAndNow(then, now[-1], newest_now)

    async def _kept(self, instrument: Instrument, name: str, window: Window) -> list[Record]:
        after = (instrument.name, name, window.start_ms, -1)
        found = await self.read.store.scan(VOLUME_PROFILE, after, MOST_REVISIONS)
        return [
            record
            for record in found
            if (record.instrument, record.timeframe, record.start_ms) == after[:3]
        ]

    def _part(
        self, instrument: Instrument, window: Window, records: Sequence[Record], at_ms: int
    ) -> FootprintPart:
        """As published by then; a stream that published later joined with its first."""
        if not records:
            return self.read.missing(instrument, window)
        known = [record for record in records if record.published_at_ms <= at_ms]
        record = max(known or records[:1], key=lambda one: one.revision)
        bar, quality = bar_from_body(record.body)
        now = self.read.live.now_ms(instrument.name)
        return FootprintPart(instrument, window, bar, quality, quality.applied_through_ms, now)


def _window(name: str, start_ms: int) -> Window:
    length = TIMEFRAMES[name]
    if length < TIMEFRAMES[LEAST]:
        raise ValidationError(f"revisions are kept for timeframes of {LEAST} and longer")
    if start_ms % length:
        raise ValidationError("with revision, since is the period_start of an aligned window")
    return Window(start_ms, start_ms + length)
