"""One instrument's stream: its ledger, hot minutes, coverage and repairs. Pure.

Events come in, `advance` says what time has made due: closed and revised minutes, repair requests.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from orderflow.completeness import Gap, Quality
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument
from orderflow.ledger import ConsecutiveLedger, Ledger, UnorderedLedger
from orderflow.timeframe import CELL_MS, MINUTE_MS, floor_ms
from orderflow.trade import (
    CANDLE_MISSING,
    IDS_SKIP,
    Connected,
    Disconnect,
    GapLost,
    KlineClosed,
    RepairDone,
    RepairRequest,
    Source,
    TradeBatch,
    Watermark,
)
from processor import trust
from processor.coverage import NEVER, Coverage, touching
from processor.earlier import Earlier
from processor.evidence import PROVEN, Evidence
from processor.grids import Grids
from processor.guard import LIVE_SOURCES, Guard
from processor.history import MinuteHistory
from processor.minute import Minute, fresh_minute, leaves
from processor.repairs import HORIZON_MS, RepairBook
from processor.toxicity import EPOCH_BITS, Toxicity

CANDLE_WAIT_MS = 3_000
"""A venue's candle comes within a second or two of its minute; later it is asked for."""
LONGEST_SILENCE_MS = 25 * 60 * MINUTE_MS
OPENING = "opening minute"


class MinuteResult(NamedTuple):
    """A minute that closed, or that changed after it closed."""

    instrument: str
    bar: FootprintBar
    quality: Quality
    cells: list[FlowBar]


class Published(msgspec.Struct):
    """What was last said of a hot closed minute."""

    touched: int
    quality: Quality
    closed_mono_ms: int


class Stream:
    """State of one instrument; every method is a plain function of its arguments and the past."""

    def __init__(
        self,
        instrument: Instrument,
        grids: Grids,
        ledger: Ledger | None = None,
        coverage: Coverage | None = None,
    ) -> None:
        self.instrument = instrument
        self.unordered = instrument.sequence == "unordered"
        fresh: Ledger = UnorderedLedger() if self.unordered else ConsecutiveLedger()
        self.ledger: Ledger = fresh if ledger is None else ledger
        self.coverage = coverage or Coverage()
        self.evidence = Evidence(instrument, self.ledger, self.coverage)
        self.repairs = RepairBook(instrument.name)
        self.guard = Guard()
        self.toxicity = Toxicity()
        self.grids = grids
        self.history = MinuteHistory()
        self.minutes: dict[int, Minute] = {}
        self.published: dict[int, Published] = {}
        self.earlier = Earlier()
        self.dirty: set[int] = set()
        self.open_bars: dict[int, tuple[int, FootprintBar]] = {}
        self.next_close_ms: int | None = None
        self.evicted_before_ms = 0
        self.last_event_ms = 0
        self.trade_since_connect = self.changed = False
        self.scales: dict[int, tuple[int, int]] = {}
        self.reconnects = self.lost_gaps = 0
        self.mode: Source = "rest"
        self.closed_minutes = 0
        self.verified_minutes = self.unverified_minutes = self.unbalanced = 0

    def on_trades(self, batch: TradeBatch) -> None:
        """Apply every trade that was never seen before; order of batches does not matter."""
        self.changed = True
        event_ms = batch.event_ms
        if event_ms:
            if self.grids.first is None:
                price = self.instrument.price(batch.price_ticks[0])
                self.grids.decide(price, self.instrument.tick_size)
            if batch.scale in self.scales:
                batch = batch.rescaled(*self.scales[batch.scale])
            if min(event_ms) < self.evicted_before_ms:
                batch = self._without_evicted(batch)
            for part in self.guard.sift(batch, self.ledger):
                self._admit(part)
            if event_ms[-1] > self.last_event_ms:
                self.last_event_ms = event_ms[-1]
            if batch.source in LIVE_SOURCES:
                self.heard(batch.source, event_ms[0])
        if batch.rejected:
            self._reject(batch)

    def go_on(self, count: int, span_ms: tuple[int, int], price: int, source: Source) -> None:
        """`count` ids follow the newest one, first and last at these times, last at this price."""
        if isinstance(self.ledger, ConsecutiveLedger):
            self.ledger.extend(count, span_ms[1])
        self.changed = True
        self.last_event_ms = max(self.last_event_ms, span_ms[1])
        if source in LIVE_SOURCES:
            self.guard.anchor_ticks = price
            self.heard(source, span_ms[0])

    def heard(self, source: Source, event_ms: int) -> None:
        """A live trade came in; the first one while connected begins what is observed."""
        self.mode = source
        self.trade_since_connect = True
        if self.coverage.observed_from_ms is None and self.coverage.connected:
            self.coverage.observed_from_ms = event_ms

    def _reject(self, batch: TradeBatch) -> None:
        """Trades that must never enter a bar count as seen where their ids can be believed."""
        at_ms = batch.event_ms[-1] if batch.event_ms else self.last_event_ms
        for key, reason in batch.rejected:
            if self.guard.believes(key, at_ms, self.ledger):
                self.ledger.reject(key, at_ms, reason)
                self.toxicity.skip(key, self.ledger)
            else:
                self.ledger.counts.refuse(reason)

    def _admit(self, part: TradeBatch | Gap) -> None:
        """Apply what was never seen before; time between two numberings stays unproven."""
        if isinstance(part, Gap):
            self.coverage.lose(part)
            self.lost_gaps += 1
            self.toxicity.renumbered(part.reason)
            self.touch_all()
            return
        spans = self.ledger.admit(part.key, part.event_ms)
        if isinstance(self.ledger, ConsecutiveLedger) and self.ledger.epoch:
            later = self.ledger.epoch << EPOCH_BITS
            part = msgspec.structs.replace(part, key=[key + later for key in part.key])
        for i, j in spans:
            self._apply(part, i, j)

    def _apply(self, batch: TradeBatch, i: int, j: int) -> None:
        """Split new trades by cell (consecutive) or minute (unordered) and add them."""
        event_ms = batch.event_ms
        self.toxicity.add(batch, i, j, unordered=self.unordered)
        length = MINUTE_MS if self.unordered else CELL_MS
        k = i
        while k < j:
            start = event_ms[k] // length * length
            end = leaves(event_ms, k, j, start, start + length)
            minute = self.minute(start // MINUTE_MS * MINUTE_MS)
            if self.unordered:
                minute.add_loose(batch, k, end)
            else:
                minute.add_run(batch, k, end)
            k = end

    def minute(self, start_ms: int) -> Minute:
        """The hot minute that starts then; one that is closed will have to be said anew."""
        minute = self.minutes.get(start_ms)
        if minute is None:
            minute = fresh_minute(self.instrument, start_ms, self.row_ticks(start_ms))
            self.minutes[start_ms] = minute
        if self.next_close_ms is not None and start_ms < self.next_close_ms:
            self.dirty.add(start_ms)
        return minute

    def row_ticks(self, start_ms: int) -> int:
        """Ticks per base row in force at that time."""
        found = self.grids.at(start_ms, self.instrument.tick_size, self.history.hour_ranges)
        return whole_ratio(found.row_size, self.instrument.tick_size)

    def _without_evicted(self, batch: TradeBatch) -> TradeBatch:
        """Count trades of minutes that are final and gone; keep the others."""
        keep = []
        for index, event_ms in enumerate(batch.event_ms):
            if event_ms < self.evicted_before_ms:
                self.ledger.reject(batch.key[index], event_ms, "too_late")
            else:
                keep.append(index)
        return batch.picked(keep)

    def on_kline(self, kline: KlineClosed) -> None:
        """The venue's own closed minute: evidence for ours."""
        if kline.start_ms >= self.evicted_before_ms:
            self.evidence.klines[kline.start_ms] = kline
            self.dirty.add(kline.start_ms)

    def on_watermark(self, event: Watermark) -> None:
        """Everything up to then was delivered."""
        if self.coverage.advance(event.connection, event.event_ms):
            self.touch_all()

    def on_connected(self, event: Connected) -> None:
        """Delivery began; ask for what was missed, or on a first start for this minute's begin."""
        coverage = self.coverage
        if event.again and event.connection in coverage.connections:
            return
        if not coverage.connected:
            self.trade_since_connect = False
            if coverage.outage is not None:
                self.reconnects += 1
            elif coverage.observed_from_ms is None and event.event_ms:
                start = floor_ms(event.event_ms, MINUTE_MS)
                if start < event.event_ms:
                    self.evidence.opening = Gap(start, event.event_ms, OPENING)
        coverage.connect(event.connection, event.event_ms)
        self.changed = True

    def on_disconnect(self, event: Disconnect) -> None:
        """Delivery stopped on one connection."""
        at = min(event.event_ms, self.last_event_ms) if self.last_event_ms else event.event_ms
        self.coverage.disconnect(event.connection, at, event.reason)
        self.touch_all()

    def on_gap_lost(self, event: GapLost) -> None:
        """Trades of a stream without consecutive ids were dropped on our side."""
        if event.first_key is None:
            self.coverage.lose(Gap(event.start_ms, event.end_ms, event.reason))
            self.toxicity.gap(event.reason, event.end_ms)
            self.lost_gaps += 1
        self.touch_all()

    def on_repair_done(self, event: RepairDone) -> None:
        """An answer to one of our questions: all the rows the venue had have been applied."""
        if event.reason == IDS_SKIP:
            trust.distrust_ids(self)
        gap = self.repairs.answered(event.repair_id, event.reason)
        if gap is not None and event.complete:
            self.evidence.settle(gap)
        if gap is None or gap.last_key is None or event.reason == IDS_SKIP:
            self.touch_all()
        else:
            trust.touch(self, gap)

    def advance(self, now_ms: int, mono_ms: int) -> tuple[list[MinuteResult], list[RepairRequest]]:
        """Close what is over, revise what changed, ask for what is missing."""
        if isinstance(self.ledger, UnorderedLedger):
            for start in [start for start in self.minutes if start < self.ledger.horizon_ms]:
                self.minutes[start].fold_before(self.ledger.horizon_ms)
        if self.coverage.outage is not None:
            self._settle_outage()
        for gap in self.repairs.given_up(mono_ms) if self.repairs.book else ():
            self.evidence.lose(gap)
            self.toxicity.lose(gap, self.ledger, self.last_event_ms)
            self.lost_gaps += gap.reason != CANDLE_MISSING
            self.touch_all()
        self.toxicity.follow(self.ledger, self.last_event_ms, self.coverage.outage)
        results = self._close(now_ms, mono_ms)
        if self.published:
            results += self._revise(now_ms, mono_ms) if self.dirty else []
            results += self._evict(now_ms, mono_ms)
            for start, published in self.published.items():
                if mono_ms - published.closed_mono_ms > CANDLE_WAIT_MS:
                    self.evidence.miss_candle(start)
        wanted = self.evidence.wanted()
        if wanted or self.repairs.book:
            self.repairs.notice(wanted, mono_ms)
        return results, self.repairs.due(mono_ms) if self.repairs.book else []

    def _settle_outage(self) -> None:
        """Ids tell the whole truth once a live trade has come after the outage."""
        outage = self.coverage.outage
        ended = outage is not None and outage.end_ms < NEVER
        if ended and self.trade_since_connect and not self.unordered:
            self.coverage.outage = None
            self.touch_all()

    def _close(self, now_ms: int, mono_ms: int) -> list[MinuteResult]:
        """Every minute that is over, empty ones as well, from the first observed one on."""
        if self.next_close_ms is None:
            if self.coverage.observed_from_ms is None:
                return []
            first = floor_ms(self.coverage.observed_from_ms, MINUTE_MS)
            self.next_close_ms = min([first, *self.minutes])
        oldest = floor_ms(now_ms - LONGEST_SILENCE_MS, MINUTE_MS)
        self.next_close_ms = max(self.next_close_ms, oldest)
        results: list[MinuteResult] = []
        while self.coverage.over(end := self.next_close_ms + MINUTE_MS, now_ms):
            minute = self.minute(start := self.next_close_ms)
            self.next_close_ms = end
            self.closed_minutes += 1
            self.dirty.discard(start)
            revision = self.earlier.revision(self.instrument, minute)
            results.append(self._publish(minute, now_ms, mono_ms, revision=revision))
            outage = self.coverage.outage
            if outage is not None and outage.start_ms <= end <= outage.end_ms:
                # The venue sends a candle once, at the end of its minute; nobody listened then.
                self.evidence.miss_candle(start)
        return results

    def _publish(self, minute: Minute, now_ms: int, mono_ms: int, *, revision: int) -> MinuteResult:
        start = minute.start_ms
        bar = minute.bar(self.instrument)
        quality = self.evidence.quality(start, bar.flow, now_ms, revision=revision, closed=True)
        before = self.published.get(start)
        self.open_bars.pop(start, None)
        closed_at = mono_ms if before is None else before.closed_mono_ms
        self.published[start] = Published(minute.touched, quality, closed_at)
        cells = minute.cell_bars(self.instrument)
        self.history.put(bar, quality, cells)
        return MinuteResult(self.instrument.name, bar, quality, cells)

    def open_bar(self, start_ms: int) -> FootprintBar:
        """A minute that is not closed, as it stands; kept while nothing is added to it."""
        minute = self.minutes.get(start_ms)
        if minute is None:
            minute = fresh_minute(self.instrument, start_ms, self.row_ticks(start_ms))
        found = self.open_bars.get(start_ms)
        if found is None or found[0] != minute.touched:
            found = self.open_bars[start_ms] = (minute.touched, minute.bar(self.instrument))
        return found[1]

    def _revise(self, now_ms: int, mono_ms: int) -> list[MinuteResult]:
        """Closed minutes whose content or evidence changed."""
        results = []
        for start in sorted(self.dirty & self.published.keys()):
            before = self.published[start]
            minute = self.minutes[start]
            same = minute.touched == before.touched
            if same and self._stands(start, before.quality, now_ms):
                continue
            revision = before.quality.revision + (0 if same else 1)
            result = self._publish(minute, now_ms, mono_ms, revision=revision)
            if not same or result.quality != before.quality:
                results.append(result)
        self.dirty -= self.published.keys()
        return results

    def _stands(self, start: int, said: Quality, now_ms: int) -> bool:
        """Whether the evidence of an unchanged minute still says the same."""
        kept = self.history.recent.get(start)
        return kept is not None and said == self.evidence.quality(
            start, kept.flow, now_ms, revision=said.revision, closed=True
        )

    def _evict(self, now_ms: int, mono_ms: int) -> list[MinuteResult]:
        """Let go of closed minutes, oldest first, that can't change any more."""
        results: list[MinuteResult] = []
        holes = self.evidence.open_holes()
        for start in sorted(self.published):
            published = self.published[start]
            end = start + MINUTE_MS
            aged = mono_ms - published.closed_mono_ms > HORIZON_MS
            proven = published.quality.state in PROVEN and self._settled(end)
            if not (aged or proven) or touching(holes, start, end):
                break
            if not published.quality.final:
                revision = published.quality.revision
                result = self._publish(self.minutes[start], now_ms, mono_ms, revision=revision)
                quality = msgspec.structs.replace(result.quality, final=True)
                self.history.put(result.bar, quality, result.cells)
                results.append(result._replace(quality=quality))
            self._forget(start, proven=published.quality.state in PROVEN)
        return results

    def _settled(self, end_ms: int) -> bool:
        """True when no trade of before `end_ms` can be admitted any more."""
        if isinstance(self.ledger, UnorderedLedger):
            return end_ms <= self.ledger.horizon_ms
        return True

    def _forget(self, start_ms: int, *, proven: bool) -> None:
        if proven:
            self.verified_minutes += 1
        else:
            self.unverified_minutes += 1
        self.evicted_before_ms = start_ms + MINUTE_MS
        del self.published[start_ms], self.minutes[start_ms]
        self.dirty.discard(start_ms)
        self.evidence.forget(start_ms)
        self.coverage.forget_before(start_ms - LONGEST_SILENCE_MS)
        self.grids.forget_before(start_ms)

    def touch_all(self) -> None:
        """Every hot closed minute may have to be said anew."""
        self.changed = True
        self.dirty.update(self.published)
