"""Key levels: what earlier days, weeks and sessions left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mcp_server.parameters import Question
from mcp_server.queries.reading import Reading
from orderflow import footprint, levels, proof
from orderflow.answers import iso, volume_profile_report
from orderflow.errors import NotFoundError, RequestError, StoreError
from orderflow.facts import node_reports
from orderflow.footprint import FootprintBar
from orderflow.indicators import sessions
from orderflow.level_reports import KeyLevelsReport, MissingLevel
from orderflow.levels import Named
from orderflow.parts import FootprintPart
from orderflow.reports import Quality
from orderflow.symbols import Selection
from orderflow.timeframe import DAY_MS, HOUR_MS, Window, floor_ms, rolling

NAKED_DAYS = 30
AWAY = "history can't be read right now"
INCOMPLETE = "some of its bars were not collected"
NO_NAKED = "every POC of the collected days was traded again"


class LevelQueries:
    """Answers about levels."""

    def __init__(self, read: Reading) -> None:
        self.read = read

    async def key_levels(self, asked: Question) -> KeyLevelsReport:
        """Naked POCs, previous day and week, sessions, initial balance, VWAP bands, nodes."""
        selection = self.read.selection(asked)
        now = self.read.now_ms(selection)
        day = rolling(now, DAY_MS)
        parts = self.read.footprints(selection, day)
        recent = footprint.beside([part.bar for part in parts])
        found: list[Named] = []
        missing: list[MissingLevel] = []
        hours = await self._bars(asked, selection, "1h", Window(now - 4 * DAY_MS, now + HOUR_MS))
        days = await self._bars(
            asked, selection, "1d", Window(now - NAKED_DAYS * DAY_MS, now + DAY_MS)
        )
        groups: dict[str, Callable[[], list[Named]]] = {
            "day": lambda: self._today(selection, now),
            "previous_day": lambda: _whole("previous_day", days, sessions.previous_day(now)),
            "previous_week": lambda: _whole("previous_week", days, sessions.previous_week(now)),
            "initial_balance": lambda: _balance(hours, now),
            "naked_poc": lambda: _naked(days),
        }
        for name, session in sessions.NAMED.items():
            window = sessions.last_closed(session, now)
            groups[name] = lambda name=name, window=window: _whole(name, hours, window)  # type: ignore[misc]
        for name, group in groups.items():
            try:
                found += group()
            except (RequestError, StoreError) as error:
                reason = AWAY if isinstance(error, StoreError) else str(error)
                missing.append(MissingLevel(name=name, reason=reason))
        return self._report(asked, selection, (parts, recent), found, missing)

    def _report(
        self,
        asked: Question,
        selection: Selection,
        day: tuple[list[FootprintPart], FootprintBar],
        found: list[Named],
        missing: list[MissingLevel],
    ) -> KeyLevelsReport:
        parts, recent = day
        wanted = self.read.wanted(replace(asked, detail="full"), selection, "1d")
        full = volume_profile_report(selection, parts, wanted).quality
        if not isinstance(full, Quality):
            raise NotFoundError("a proof is missing")
        flow = recent.flow
        size = max(recent.row_size, wanted.row_size or recent.row_size)
        price = None if flow.close_ticks is None else flow.close_ticks * flow.tick_size
        return KeyLevelsReport(
            symbol=selection.symbol,
            exchange=selection.exchange,
            market=selection.market,
            source=self.read.live.source,
            timestamp=iso(min(part.now_ms for part in parts)),
            price=price,
            tick_size=flow.tick_size,
            levels=levels.reported(found, price, flow.tick_size),
            nodes=node_reports(recent.coarsened(size)),
            missing=missing,
            quality=proof.shortened(full),
        )

    def _today(self, selection: Selection, now_ms: int) -> list[Named]:
        """The open UTC day: its own levels so far and its VWAP bands."""
        start = floor_ms(now_ms, DAY_MS)
        parts = self.read.footprints(selection, Window(start, start + DAY_MS))
        bar = footprint.beside([part.bar for part in parts])
        return levels.of_window("day", bar, closed=False) + levels.bands("day", bar)

    async def _bars(
        self, asked: Question, selection: Selection, name: str, span: Window
    ) -> list[FootprintBar]:
        """Bars of all streams together, oldest first; incomplete coverage of a venue included."""
        question = replace(
            asked,
            name=name,
            start_ms=max(0, span.start_ms),
            end_ms=span.end_ms,
            limit=None,
            detail="summary",
        )
        try:
            rows = await self.read.history(question, selection, name)
        except (RequestError, StoreError):
            return []
        return [footprint.beside([part.bar for part in parts]) for parts in rows]


def _whole(name: str, bars: list[FootprintBar], window: Window) -> list[Named]:
    """Levels of a window that is covered by bars from end to end."""
    inside = [bar for bar in bars if window.start_ms <= bar.flow.start_ms < window.end_ms]
    covered = sum(bar.flow.end_ms - bar.flow.start_ms for bar in inside)
    if covered < window.length_ms:
        raise NotFoundError(INCOMPLETE)
    bar = sessions.bar_of_window(footprint.on_one_grid(inside), window)
    return [] if bar is None else levels.of_window(name, bar)


def _balance(hours: list[FootprintBar], now_ms: int) -> list[Named]:
    first = floor_ms(now_ms, DAY_MS)
    bar = next((bar for bar in hours if bar.flow.start_ms == first), None)
    if bar is None or now_ms < first + HOUR_MS:
        raise NotFoundError("the first hour of the UTC day is not over, or was not collected")
    return levels.balance(bar)


def _naked(days: list[FootprintBar]) -> list[Named]:
    found = levels.naked_pocs(days)
    if not found:
        raise NotFoundError(INCOMPLETE if len(days) < 2 else NO_NAKED)
    return found
