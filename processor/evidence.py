"""Evidence: what is known about the completeness of one stream's minutes. Pure."""

from __future__ import annotations

from orderflow.completeness import Gap, Quality, State
from orderflow.flow import FlowBar
from orderflow.instrument import Instrument
from orderflow.ledger import ConsecutiveLedger, Ledger
from orderflow.reconcile import reconcile
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import CANDLE_MISSING, KlineClosed
from processor.coverage import NEVER, Coverage, touching

PROVEN = frozenset({State.VERIFIED, State.VERIFIED_VOLUME})


class Evidence:
    """Ledger, coverage and the venue's candles of one stream, and what they prove together."""

    def __init__(self, instrument: Instrument, ledger: Ledger, coverage: Coverage) -> None:
        self.instrument = instrument
        self.ledger = ledger
        self.coverage = coverage
        self.klines: dict[int, KlineClosed] = {}
        self.opening: Gap | None = None
        self.asked: dict[int, Gap | None] = {}
        self.candles: dict[int, Gap | None] = {}

    def open_holes(self) -> list[Gap]:
        """Holes that may still be filled."""
        gaps: list[Gap] = []
        if isinstance(self.ledger, ConsecutiveLedger):
            gaps += self.ledger.gaps()
        if self.coverage.outage is not None:
            gaps.append(self._outage(self.coverage.outage))
        gaps += [gap for gap in self.asked.values() if gap is not None]
        return gaps

    def wanted(self) -> list[Gap]:
        """What to ask the venue for: open holes, missing candles, the begin of the first minute."""
        gaps = [*self.open_holes(), *(gap for gap in self.candles.values() if gap is not None)]
        return gaps if self.opening is None else [*gaps, self.opening]

    def miss_candle(self, start_ms: int) -> None:
        """A closed minute whose candle never came is asked for, once."""
        if start_ms not in self.klines and start_ms not in self.candles:
            self.candles[start_ms] = Gap(start_ms, start_ms + MINUTE_MS - 1, CANDLE_MISSING)

    def _outage(self, outage: Gap) -> Gap:
        """An outage of a consecutive stream starts behind the newest id seen."""
        if isinstance(self.ledger, ConsecutiveLedger) and outage.first_key is None:
            key = self.ledger.next_key
            outage = Gap(outage.start_ms, outage.end_ms, outage.reason, key, None)
            self.coverage.outage = outage
        return outage

    def settle(self, gap: Gap) -> None:
        """The venue delivered everything it has of this hole."""
        if gap == self.opening:
            self.opening = None
            if not isinstance(self.ledger, ConsecutiveLedger) or len(self.ledger.runs) <= 1:
                self.coverage.observed_from_ms = gap.start_ms
        elif gap == self.coverage.outage:
            self.coverage.outage = None
        self._answer(gap)

    def lose(self, gap: Gap) -> None:
        """This hole will not be filled."""
        if gap == self.opening:
            self.opening = None
            return
        if gap.reason == CANDLE_MISSING:
            self._answer(gap)
            return
        self.coverage.lose(gap)
        if gap == self.coverage.outage:
            self.coverage.outage = None
        elif isinstance(self.ledger, ConsecutiveLedger) and gap.last_key is not None:
            self.ledger.give_up(gap)
        self._answer(gap)

    def _answer(self, gap: Gap) -> None:
        for book in (self.asked, self.candles):
            for start, asked in book.items():
                if asked == gap:
                    book[start] = None

    def forget(self, start_ms: int) -> None:
        """The minute is final: its evidence is in its quality."""
        self.klines.pop(start_ms, None)
        self.asked.pop(start_ms, None)
        self.candles.pop(start_ms, None)

    def quality(
        self, start_ms: int, bar: FlowBar, now_ms: int, *, revision: int, closed: bool
    ) -> Quality:
        """The evidence behind one minute."""
        end_ms = start_ms + MINUTE_MS
        holes = touching([*self.open_holes(), *self.coverage.lost], start_ms, end_ms)
        holes = [_until(gap, max(end_ms, now_ms)) for gap in holes]
        state = self._state(start_ms, bar, holes, closed=closed)
        watermark = self.coverage.watermark_ms
        expected = max(0, min(end_ms, max(now_ms, watermark)) - start_ms)
        if state in PROVEN:
            covered, holes = expected, []
        else:
            covered = self.coverage.covered_ms(start_ms, start_ms + expected, holes)
        return Quality(
            state=state,
            covered_ms=covered,
            expected_ms=expected,
            closed=closed,
            final=closed and (state in PROVEN or state is State.VENUE_ADJUSTMENT),
            revision=revision,
            applied_through_ms=min(end_ms, watermark),
            first_id=bar.first_id,
            last_id=bar.last_id,
            missing=sum(gap.missing or 0 for gap in holes),
            gaps=tuple(holes),
            delta_proven=state is State.VERIFIED,
            missing_lots=self._missing_lots(start_ms, bar, state),
        )

    def _missing_lots(self, start_ms: int, bar: FlowBar, state: State) -> int:
        """What the venue's candle has more than we, where nothing excuses it."""
        kline = self.klines.get(start_ms)
        if kline is None or state not in (State.PARTIAL, State.REPAIRING):
            return 0
        return max(0, kline.volume_lots - bar.volume_lots)

    def _state(self, start_ms: int, bar: FlowBar, holes: list[Gap], *, closed: bool) -> State:
        kline = self.klines.get(start_ms) if closed else None
        if kline is not None:
            found = self._compared(start_ms, bar, kline, gapless=not holes)
            if found is not State.PARTIAL:
                self.asked.pop(start_ms, None)
                return found
            if start_ms not in self.asked and not holes:
                gap = Gap(start_ms, start_ms + MINUTE_MS - 1, "candle differs")
                self.asked[start_ms] = gap
                return State.REPAIRING
        if touching(self.open_holes(), start_ms, start_ms + MINUTE_MS):
            return State.REPAIRING
        if holes or kline is not None or not self._observed(start_ms):
            return State.PARTIAL
        return State.CONTIGUOUS

    def _compared(self, start_ms: int, bar: FlowBar, kline: KlineClosed, *, gapless: bool) -> State:
        """What the candle proves. Only where ids prove that nothing is missing, and the venue's
        candles count fills that are no trades, may a difference be the venue's own."""
        spot = self.instrument.market == "spot"
        numbered = isinstance(self.ledger, ConsecutiveLedger)
        excused = gapless and numbered and not spot and self._observed(start_ms)
        return reconcile(bar, kline, gapless=excused, exact_count=spot)

    def _observed(self, start_ms: int) -> bool:
        observed = self.coverage.observed_from_ms
        return observed is not None and observed <= start_ms


def _until(gap: Gap, end_ms: int) -> Gap:
    """A hole that has not ended, as it stands now."""
    if gap.end_ms < NEVER:
        return gap
    return Gap(gap.start_ms, end_ms, gap.reason, gap.first_key, gap.last_key)
