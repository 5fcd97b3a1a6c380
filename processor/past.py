"""Minutes of the past, built from whole days of trades or, for a while, from candles. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from orderflow import footprint
from orderflow.completeness import Quality, State, merge_qualities
from orderflow.content import bar_hash
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument, Market
from orderflow.reconcile import reconcile
from orderflow.timeframe import CELL_MS, MINUTE_MS, TIMEFRAMES, floor_ms
from orderflow.trade import KlineClosed, TradeBatch
from processor.engine import WindowResult
from processor.minute import Minute, fresh_minute
from processor.stream import MinuteResult

Piece = tuple[FootprintBar, Quality]
BEST = frozenset({State.VERIFIED, State.VERIFIED_VOLUME, State.VENUE_ADJUSTMENT})
POINTS = 48
"""An approximate minute spreads a candle's volume over so many prices at most."""


class PastMinute(NamedTuple):
    """A minute of which every trade was seen; `gapless`: its ids have no hole."""

    start_ms: int
    bar: FootprintBar
    cells: list[FlowBar]
    gapless: bool


class PastBuilder:
    """Trades of one instrument in time order become minutes."""

    def __init__(self, instrument: Instrument, row_ticks: int) -> None:
        self._instrument = instrument
        self._row_ticks = row_ticks
        self._numbered = instrument.sequence == "consecutive"
        self._minute: Minute | None = None
        self._next_key: int | None = None
        self._gapless = True

    def add(self, batch: TradeBatch) -> Iterator[PastMinute]:
        """Minutes that are over, when a trade of a later one comes."""
        refused = {key for key, _ in batch.rejected}
        place = 0
        while place < len(batch.key):
            start = floor_ms(batch.event_ms[place], MINUTE_MS)
            if self._minute is not None and start < self._minute.start_ms:
                self._gapless = False
                place += 1
                continue
            if self._minute is None or self._minute.start_ms < start:
                yield from self.close()
                self._minute = fresh_minute(self._instrument, start, self._row_ticks)
            place = self._take(self._minute, batch, place, refused)

    def _take(self, minute: Minute, batch: TradeBatch, place: int, refused: set[int]) -> int:
        """Apply one run of trades of one cell; the place behind it."""
        event_ms, keys = batch.event_ms, batch.key
        cell_end = floor_ms(event_ms[place], CELL_MS) + CELL_MS
        end = place
        while end < len(keys) and event_ms[end] < cell_end:
            if end > place and self._numbered and keys[end] != keys[end - 1] + 1:
                break
            end += 1
        if not self._numbered:
            minute.add_loose(batch, place, end)
            return end
        expected = self._next_key
        while expected is not None and expected in refused:
            expected += 1
        if expected is not None and keys[place] != expected:
            self._gapless = False
        self._next_key = keys[end - 1] + 1
        minute.add_run(batch, place, end)
        return end

    def close(self) -> Iterator[PastMinute]:
        """The last minute."""
        minute, self._minute = self._minute, None
        if minute is not None:
            bar = minute.bar(self._instrument)
            cells = minute.cell_bars(self._instrument)
            yield PastMinute(minute.start_ms, bar, cells, self._gapless and self._numbered)
        self._gapless = True


def quiet(instrument: Instrument, start_ms: int, row_ticks: int) -> PastMinute:
    """A minute without trades."""
    bar = fresh_minute(instrument, start_ms, row_ticks).bar(instrument)
    return PastMinute(start_ms, bar, [], True)


def proven(
    instrument: Instrument, past: PastMinute, kline: KlineClosed | None, before: Piece | None
) -> MinuteResult | None:
    """The minute and what the candle proves of it; None when what is stored says as much."""
    spot = instrument.market is Market.SPOT
    state = State.PARTIAL
    if kline is not None:
        excused = past.gapless and not spot
        state = reconcile(past.bar.flow, kline, gapless=excused, exact_count=spot)
    elif past.gapless:
        state = State.CONTIGUOUS
    return _said(instrument, past.bar, past.cells, state, before)


def approximate(
    instrument: Instrument, kline: KlineClosed, row_ticks: int, before: Piece | None
) -> MinuteResult | None:
    """A candle in place of its trades: prices, volume and taker's share are the venue's, the
    volume lies evenly between low and high; without a taker's share half of it bought."""
    low, high, lots = kline.low_ticks, kline.high_ticks, kline.volume_lots
    count = max(2, min(POINTS, high - low + 1))
    prices = [low + (high - low) * place // (count - 1) for place in range(count)]
    bought = lots // 2 if kline.taker_buy_lots is None else kline.taker_buy_lots
    rows = [(kline.open_ticks, 0, 1), (kline.open_ticks, 0, 0)]
    for place, price in enumerate(prices):
        rows += [
            (price, _share(bought, place, count), 1),
            (price, _share(lots - bought, place, count), 0),
        ]
    rows.append((kline.close_ticks, 0, 1))
    step = MINUTE_MS // (len(rows) + 1)
    batch = TradeBatch(
        instrument=instrument.name,
        key=list(range(len(rows))),
        event_ms=[kline.start_ms + place * step for place in range(len(rows))],
        price_ticks=[row[0] for row in rows],
        qty_lots=[row[1] for row in rows],
        side=[row[2] for row in rows],
        n_trades=[kline.trades or 0] + [0] * (len(rows) - 1),
    )
    minute = fresh_minute(instrument, kline.start_ms, row_ticks)
    for place in range(len(rows)):
        minute.add_run(batch, place, place + 1)
    bar = minute.bar(instrument)
    return _said(instrument, bar, [], State.APPROXIMATE, before)


def _share(total: int, place: int, count: int) -> int:
    """Whole parts that add up."""
    return total * (place + 1) // count - total * place // count


def _said(
    instrument: Instrument,
    bar: FootprintBar,
    cells: list[FlowBar],
    state: State,
    before: Piece | None,
) -> MinuteResult | None:
    name, start = instrument.name, bar.flow.start_ms
    revision = 0
    if before is not None:
        same = bar_hash([name], "1m", before[0]) == bar_hash([name], "1m", bar)
        if same and before[1].state == state:
            return None
        revision = before[1].revision + (not same)
    quality = Quality(
        state=state,
        covered_ms=0 if state is State.APPROXIMATE else MINUTE_MS,
        expected_ms=MINUTE_MS,
        closed=True,
        final=state is not State.APPROXIMATE,
        revision=revision,
        applied_through_ms=start + MINUTE_MS,
        first_id=bar.flow.first_id,
        last_id=bar.flow.last_id,
        delta_proven=state is State.VERIFIED,
    )
    return MinuteResult(name, bar, quality, cells)


def past_windows(
    name: str,
    minutes: Mapping[int, Piece],
    changed: set[int],
    before: Mapping[str, Mapping[int, Piece]],
) -> Iterator[WindowResult]:
    """Every longer aligned window that is whole and holds a changed minute."""
    for timeframe, length in TIMEFRAMES.items():
        if length == MINUTE_MS:
            continue
        for start in sorted({floor_ms(at, length) for at in changed}):
            starts = range(start, start + length, MINUTE_MS)
            if any(at not in minutes for at in starts):
                continue
            bar = footprint.then([minutes[at][0] for at in starts])
            merged = merge_qualities([minutes[at][1] for at in starts], in_time=True)
            content = bar_hash([name], timeframe, bar)
            known = before.get(timeframe, {}).get(start)
            revision = 0
            if known is not None:
                same = bar_hash([name], timeframe, known[0]) == content
                if same and known[1].state == merged.state:
                    continue
                revision = known[1].revision + (not same)
            quality = msgspec.structs.replace(merged, revision=revision)
            yield WindowResult(name, timeframe, bar, quality, content)
