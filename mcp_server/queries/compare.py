"""Compare venues, markets and windows; what changed since a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from mcp_server.events import EventQueries, event_question
from mcp_server.parameters import Question
from mcp_server.queries.reading import Reading, is_whole, together
from mcp_server.queries.revisions import Revisions
from orderflow import comparison, footprint, proof
from orderflow.answers import WindowKind, iso, volume_profile_report
from orderflow.errors import NotFoundError, StoreError, ValidationError
from orderflow.event import CORRECTION
from orderflow.level_reports import ChangeReport, ChangesReport, CompareReport
from orderflow.parts import FootprintPart
from orderflow.reports import Quality, VolumeProfileReport
from orderflow.symbols import Selection
from orderflow.timeframe import (
    CELL_MS,
    HOUR_MS,
    MINUTE_MS,
    TIMEFRAMES,
    Window,
    floor_ms,
    parse_timeframe,
    rolling,
)

MOST_EVENTS = 200
KEPT_MS = 26 * HOUR_MS
ONE_VENUE = "only one venue is asked about"
NUMBERS = ("price", "poc", "vah", "val", "total_volume", "delta", "place")
Value = Decimal | str | None


class CompareQueries:
    """Answers that hold two sides."""

    def __init__(self, read: Reading, events: EventQueries) -> None:
        self.read = read
        self.events = events
        self.revisions = Revisions(read)

    async def compare(self, asked: Question) -> CompareReport:
        """Who presses where: venues of one market, spot against perp, this window and before."""
        name = parse_timeframe(asked.name or "1h")
        selection = self.read.selection(asked)
        window = rolling(self.read.now_ms(selection), TIMEFRAMES[name])
        before = Window(window.start_ms - window.length_ms, window.start_ms)
        step = CELL_MS if window.length_ms <= HOUR_MS else MINUTE_MS
        flows = self.read.flows(selection, window, step)
        parts = self.read.footprints(selection, window)
        found = comparison.venues(flows)
        every = self.read.selection(replace(asked, symbol=selection.symbol, market="all"))
        markets = comparison.markets(self.read.flows(every, window, step))
        older = together(await self.read.earlier(selection, before))
        moved = comparison.windows(footprint.beside([part.bar for part in parts]), older)
        reasons = {}
        if len(found.venues) < 2:
            reasons["agree"] = ONE_VENUE
        if markets is None:
            reasons["spot_perp"] = comparison.ONE_MARKET
        if moved is None:
            reasons["windows"] = "the window before was not collected as a whole, or nothing traded"
        return CompareReport(
            symbol=selection.symbol,
            market=selection.market,
            source=self.read.live.source,
            timeframe=name,
            period_start=iso(window.start_ms),
            period_end=iso(window.end_ms),
            agree=found.agree,
            dissenters=list(found.dissenters),
            leader=found.leader,
            reference=found.reference,
            sides=comparison.sides(found, {part.instrument.name: part for part in parts}),
            lead_lag=comparison.leads(found),
            spot_perp=markets,
            windows=moved,
            reasons=reasons,
            quality=proof.shortened(self._full(asked, selection, parts, name).quality),
        )

    async def changes(
        self, asked: Question, since_ms: int | None, revision: int | None = None
    ) -> ChangesReport:
        """The rolling window as it stood at a time against now; with `revision` the aligned window
        that begins at that time, as it stood at that revision."""
        if since_ms is None:
            raise ValidationError("since is missing: epoch milliseconds or ISO-8601")
        name = parse_timeframe(asked.name or "1h")
        selection = self.read.selection(asked)
        if revision is None:
            then, parts = await self._at(selection, since_ms, TIMEFRAMES[name])
            newest = None
        else:
            asked = replace(asked, name=name)
            then, parts, newest = await self.revisions.both(asked, selection, since_ms, revision)
        kind: WindowKind = "rolling" if revision is None else "aligned"
        report = self._full(asked, selection, parts, name, kind)
        was = self._numbers(self._full(asked, selection, then, name, kind))
        numbers = self._numbers(report)
        changes = [_change(key, was[key], numbers[key]) for key in NUMBERS]
        moved = [change for change in changes if change.before != change.now]
        revised, events, reasons = await self._events(asked, since_ms)
        if revision is not None:
            events, reasons = None, reasons | {"new_events": "asked about a revision, not a time"}
        if not is_whole(then):
            reasons = reasons | {"before": "not all of the earlier window was collected"}
        since = since_ms if revision is not None else floor_ms(since_ms, MINUTE_MS)
        return ChangesReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.read.live.source,
            timeframe=name,
            since=iso(since),
            now=iso(self.read.now_ms(selection)),
            since_revision=revision,
            revision=newest,
            changed=bool(moved or events) or (bool(revised) and revision is None),
            changes=moved,
            unchanged=[change.name for change in changes if change.before == change.now],
            revised=revised,
            new_events=events,
            reasons=reasons,
            quality=proof.shortened(report.quality),
        )

    async def _at(
        self, selection: Selection, since_ms: int, length: int
    ) -> tuple[list[FootprintPart], list[FootprintPart]]:
        """The rolling window at a time, and now."""
        now = self.read.now_ms(selection)
        if since_ms > now:
            raise ValidationError(f"since is later than now, which is {iso(now)}")
        if since_ms < now - KEPT_MS:
            raise NotFoundError("since is more than 26 hours ago; ask get_volume_profile as_of it")
        parts = self.read.footprints(selection, rolling(now, length))
        end = floor_ms(since_ms, MINUTE_MS)
        window = Window(end - length, end)
        found = await self.read.earlier(selection, window)
        if not any(found):
            raise NotFoundError(f"nothing was collected before {iso(end)}")
        pairs = zip(found, selection.instruments, strict=True)
        return [part or self.read.missing(item, window) for part, item in pairs], parts

    async def _events(
        self, asked: Question, since_ms: int
    ) -> tuple[list[str], int | None, dict[str, str]]:
        """(ids of corrections, count of other events, why it is not known)."""
        values = {
            "symbol": asked.symbol,
            "since": str(since_ms),
            "limit": str(MOST_EVENTS),
            **{k: v for k, v in (("exchange", asked.exchange), ("market", asked.market)) if v},
        }
        try:
            found = (await self.events.events(event_question(values))).events
        except StoreError:
            return [], None, {"new_events": "history can't be read right now"}
        revised = [event.id for event in found if event.kind == CORRECTION]
        return revised, len(found) - len(revised), {}

    def _full(
        self,
        asked: Question,
        selection: Selection,
        parts: list[FootprintPart],
        name: str,
        kind: WindowKind = "rolling",
    ) -> _Proven:
        wanted = self.read.wanted(replace(asked, name=name, detail="full"), selection, name)
        return _Proven(volume_profile_report(selection, parts, replace(wanted, kind=kind)))

    def _numbers(self, proven: _Proven) -> Mapping[str, Value]:
        report = proven.report
        facts = report.facts
        return {
            "price": report.close,
            "poc": report.poc,
            "vah": report.vah,
            "val": report.val,
            "total_volume": report.total_volume,
            "delta": None if facts is None else facts.delta,
            "place": None if facts is None else facts.place,
        }


class _Proven:
    """A profile with its whole proof."""

    def __init__(self, report: VolumeProfileReport) -> None:
        self.report = report

    @property
    def quality(self) -> Quality:
        quality = self.report.quality
        if not isinstance(quality, Quality):
            raise NotFoundError("a proof is missing")
        return quality


def _change(name: str, before: Value, now: Value) -> ChangeReport:
    both = isinstance(before, Decimal) and isinstance(now, Decimal)
    return ChangeReport(
        name=name,
        before=before,
        now=now,
        change=now - before if both else None,  # type: ignore[operator]
    )
