"""Reading: what a question means, its windows, and the parts of them, live and stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal

from backbone.clock import wall_ms
from backbone.live import LiveView
from backbone.store import LIVE
from backbone.store.base import FOOTPRINTS, VOLUME_PROFILE, Query, Store
from mcp_server.parameters import MOST_FULL_BARS, Question
from mcp_server.selection import selected
from orderflow import answers, footprint
from orderflow.answers import Wanted
from orderflow.completeness import Quality, State
from orderflow.encoding import bar_from_body
from orderflow.errors import (
    NotFoundError,
    NotReadyError,
    StoreError,
    UnknownSymbolError,
    ValidationError,
)
from orderflow.facts import profile_reading
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import checked_row
from orderflow.indicators import volume_profile
from orderflow.indicators.flow_ladder import RUNGS_MS
from orderflow.instrument import Instrument
from orderflow.parts import FlowPart, FootprintPart
from orderflow.reports import VolumeProfileReport
from orderflow.symbols import Selection
from orderflow.timeframe import (
    CELL_MS,
    MINUTE_MS,
    TIMEFRAMES,
    Window,
    aligned,
    floor_ms,
    rolling,
)

DEFAULT_BARS = 24
RETRY_S = 5
FILLING_S, FILLING_STEP_S = 3.0, 0.05


class Reading:
    """Parts of windows: from the live view now, from the store before."""

    def __init__(self, live: LiveView, store: Store) -> None:
        self.live = live
        self.store = store

    # Selection and windows

    def selection(self, asked: Question) -> Selection:
        """What is asked about."""
        instruments = self.live.instruments()
        if not instruments:
            raise NotReadyError("nothing is collected yet; try again", retry_after_s=RETRY_S)
        try:
            return selected(asked.symbol, instruments, asked.exchange, asked.market)
        except (UnknownSymbolError, ValidationError) as error:
            if self.live.ready:
                raise
            # A server that has just started learns its instruments one after the other.
            message = "not known, but this server is not ready yet; try again"
            raise NotReadyError(message, retry_after_s=RETRY_S) from error

    def wanted(self, asked: Question, selection: Selection, name: str) -> Wanted:
        """How the answer is to be given."""
        sizes = [self.live.default_row_sizes(i.name) for i in selection.instruments]
        base = max(Decimal(size["base"]) for size in sizes)
        if asked.row_size is not None:
            row_size = checked_row(asked.row_size, base)
        else:
            row_size = max(Decimal(size.get(name, size["base"])) for size in sizes)
        kind = asked.window or ("aligned" if asked.history else "rolling")
        return Wanted(
            name=name,
            kind=kind,
            source=self.live.source,
            detail=asked.detail,
            va_method=asked.va_method,
            row_size=row_size,
            max_levels=asked.max_levels,
            history=asked.history,
        )

    def now_ms(self, selection: Selection) -> int:
        """The newest venue clock of the selection."""
        now = max(self.live.now_ms(i.name) for i in selection.instruments)
        if now == 0:
            raise NotReadyError("the venue has not answered yet", retry_after_s=RETRY_S)
        return now

    def window(self, asked: Question, selection: Selection, length: int) -> Window:
        """The asked window now."""
        now = self.now_ms(selection)
        return aligned(now, length) if asked.window == "aligned" else rolling(now, length)

    def range(self, asked: Question, selection: Selection, length: int) -> list[Window]:
        """Aligned windows of [start, end), at most `limit` of them, the newest kept."""
        now = self.now_ms(selection)
        most = asked.limit or (DEFAULT_BARS if asked.start_ms is None else MOST_FULL_BARS)
        end = floor_ms(now, length) + length
        if asked.as_of_ms is not None and asked.end_ms is None and self.live.source == LIVE:
            end = min(end, floor_ms(asked.as_of_ms, length) + length)
        if asked.end_ms is not None:
            end = min(end, floor_ms(asked.end_ms - 1, length) + length)
        start = end - most * length
        if asked.start_ms is not None:
            start = max(start, -(-asked.start_ms // length) * length)
        return [Window(at, at + length) for at in range(start, end, length) if at <= now]

    # Parts

    def footprints(self, selection: Selection, window: Window) -> list[FootprintPart]:
        """Every stream's part; a stream without one makes the answer partial."""
        found = {i.name: self.live.footprint(i.name, window) for i in selection.instruments}
        self._any(found.values())
        return [found[i.name] or self.missing(i, window) for i in selection.instruments]

    async def earlier(self, selection: Selection, window: Window) -> list[FootprintPart | None]:
        """Every stream's part of a window of before; None where nothing was collected.

        Minutes of longer ago may have to come from the store first: this waits for them, but not
        for ever, so look at `is_whole`.
        """
        names = [i.name for i in selection.instruments]
        loop = asyncio.get_running_loop()
        until = loop.time() + FILLING_S
        while True:
            found = [self.live.footprint(name, window) for name in names]
            coming = any(self.live.filling(name) for name in names)
            if is_whole(found) or not coming or loop.time() >= until:
                return found
            await asyncio.sleep(FILLING_STEP_S)

    def flows(
        self, selection: Selection, window: Window, step_ms: int | None = None
    ) -> list[FlowPart]:
        """Every stream's flow, in cells up to five minutes, else in minutes."""
        step = step_ms or (CELL_MS if window.length_ms <= 5 * MINUTE_MS else MINUTE_MS)
        found = {i.name: self.live.flow(i.name, window, step) for i in selection.instruments}
        self._any(found.values())
        return [
            found[i.name] or flow_part(self.missing(i, window), step) for i in selection.instruments
        ]

    def recent(self, selection: Selection, end_ms: int) -> list[FlowPart]:
        """The flow of the longest rung of the ladder, in minutes."""
        newest = rolling(self.now_ms(selection), MINUTE_MS).end_ms
        end = min(-(-end_ms // MINUTE_MS) * MINUTE_MS, newest)
        window = Window(end - RUNGS_MS[-1], end)
        found = {i: self.live.flow(i.name, window, MINUTE_MS) for i in selection.instruments}
        return [part or flow_part(self.missing(i, window)) for i, part in found.items()]

    async def described(
        self,
        report: VolumeProfileReport,
        selection: Selection,
        parts: Sequence[FootprintPart],
        wanted: Wanted,
    ) -> VolumeProfileReport:
        """The report with what its histogram looks like, and how value moved."""
        window = parts[0].window
        before = Window(window.start_ms - window.length_ms, window.start_ms)
        whole = together(await self.earlier(selection, before))
        bar = answers.served(footprint.beside([part.bar for part in parts]), wanted)
        reading = profile_reading(bar, volume_profile.profile(bar.rows), whole)
        return report.model_copy(update={"reading": reading})

    def _any(self, found: Iterable[object]) -> None:
        if any(part is not None for part in found):
            return
        if not self.live.ready:
            raise NotReadyError("no live trades yet; try again", retry_after_s=RETRY_S)
        raise NotFoundError("this window was not collected; see /status for what is")

    def missing(self, instrument: Instrument, window: Window) -> FootprintPart:
        """A stream that saw nothing of the window: no numbers, and the evidence says so."""
        now = self.live.now_ms(instrument.name)
        expected = max(0, min(window.end_ms, now) - window.start_ms)
        flow = FlowBar(window.start_ms, window.end_ms, instrument.tick_size, instrument.lot_size)
        base = Decimal(self.live.default_row_sizes(instrument.name)["base"])
        quality = Quality(State.PARTIAL, 0, expected, False, False, 0, window.start_ms)
        watermark = self.live.stream(instrument.name).watermark_ms or 0
        return FootprintPart(
            instrument, window, FootprintBar(flow, base, {}), quality, watermark, now
        )

    async def history(
        self, asked: Question, selection: Selection, name: str
    ) -> list[list[FootprintPart]]:
        """Parts of aligned windows in time order; windows nobody collected are left out.

        While the store is away, what is still in memory answers; StoreError beyond that.
        """
        length = TIMEFRAMES[name]
        windows = self.range(asked, selection, length)
        stored: dict[str, dict[int, FootprintPart]] = {i.name: {} for i in selection.instruments}
        away: StoreError | None = None
        for instrument in selection.instruments:
            try:
                stored[instrument.name] = await self._stored(
                    instrument, name, windows, asked.as_of_ms
                )
            except StoreError as error:
                away = error
        rows: list[list[FootprintPart]] = []
        for window in windows:
            found = {
                i.name: stored[i.name].get(window.start_ms)
                or (self.live.footprint(i.name, window) if asked.as_of_ms is None else None)
                for i in selection.instruments
            }
            if away is not None and None in found.values():
                raise away
            if any(part is not None for part in found.values()):
                rows.append(
                    [found[i.name] or self.missing(i, window) for i in selection.instruments]
                )
        if not rows and asked.as_of_ms is not None:
            raise NotFoundError("nothing had been published by as_of for these windows")
        if not rows:
            self._any([])
        return rows

    async def _stored(
        self,
        instrument: Instrument,
        name: str,
        windows: Sequence[Window],
        as_of_ms: int | None,
    ) -> dict[int, FootprintPart]:
        if not windows:
            return {}
        query = Query(
            collection=FOOTPRINTS if as_of_ms is None or name == "1m" else VOLUME_PROFILE,
            instrument=instrument.name,
            timeframe=name,
            start_ms=windows[0].start_ms,
            end_ms=windows[-1].end_ms,
            now_ms=wall_ms(),
            limit=len(windows),
            as_of_ms=as_of_ms,
        )
        now = self.live.now_ms(instrument.name)
        parts = {}
        for record in await self.store.query(query):
            bar, quality = bar_from_body(record.body)
            window = Window(record.start_ms, record.start_ms + TIMEFRAMES[name])
            parts[record.start_ms] = FootprintPart(
                instrument,
                window,
                bar,
                quality,
                quality.applied_through_ms,
                now,
                record.published_at_ms,
            )
        return parts


def is_whole(parts: Iterable[FootprintPart | None]) -> bool:
    """Every stream was observed over all of the window."""
    return all(p is not None and p.quality.covered_ms >= p.quality.expected_ms for p in parts)


def together(parts: Sequence[FootprintPart | None]) -> FootprintBar | None:
    """All streams of one window as one bar; None when it is not whole."""
    found = [part.bar for part in parts if part is not None]
    return footprint.beside(found) if found and is_whole(parts) else None


def flow_part(part: FootprintPart, step_ms: int = MINUTE_MS) -> FlowPart:
    """The flow of a stored window; its steps and the day's running delta are not kept with it."""
    return FlowPart(
        instrument=part.instrument,
        window=part.window,
        bar=part.bar.flow,
        quality=part.quality,
        watermark_ms=part.watermark_ms,
        now_ms=part.now_ms,
        step_ms=step_ms,
        bars=(),
        cvd_lots=None,
        cvd_anchor_ms=None,
    )
