"""The processor's own state as a LiveView: nothing is copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backbone.live import StreamStatus
from orderflow.instrument import Instrument
from orderflow.ledger import ConsecutiveLedger
from orderflow.parts import FlowPart, FootprintPart
from orderflow.timeframe import Window
from processor import windows
from processor.engine import Engine
from processor.stream import Stream


class ProcessorView:
    """Implements the LiveView port on an engine."""

    def __init__(
        self,
        engine: Engine,
        source: str,
        now_ms: Callable[[str], int],
        settle: Callable[[str], None] = lambda instrument: None,
    ) -> None:
        self.engine = engine
        self._settle = settle
        self.source = source
        self.now_ms = now_ms
        self.restored = False
        self.dropped: Callable[[str], int] = lambda name: 0

    @property
    def ready(self) -> bool:
        """Restored, and trades flow."""
        return self.restored and any(
            stream.trade_since_connect for stream in self.engine.streams.values()
        )

    @property
    def version(self) -> int:
        """Grows with every event."""
        return self.engine.version

    def instruments(self) -> Sequence[Instrument]:
        """Every announced instrument."""
        return [stream.instrument for stream in self.engine.streams.values()]

    def footprint(self, instrument: str, window: Window) -> FootprintPart | None:
        """Exact merge of the 1-minute bars of a window."""
        stream = self._settled(instrument)
        now = self.now_ms(instrument)
        piece = windows.footprint_of(stream, window, now)
        if piece is None:
            return None
        return FootprintPart(
            instrument=stream.instrument,
            window=window,
            bar=piece[0],
            quality=piece[1],
            watermark_ms=stream.coverage.watermark_ms,
            now_ms=now,
        )

    def flow(self, instrument: str, window: Window, step_ms: int) -> FlowPart | None:
        """Exact merge of flow bars, with the bars of `step_ms` in it."""
        stream = self._settled(instrument)
        now = self.now_ms(instrument)
        found = windows.flow_of(stream, window, step_ms, now)
        if found is None:
            return None
        lots, anchor = windows.cumulative_delta(stream, window.end_ms, now)
        return FlowPart(
            instrument=stream.instrument,
            window=window,
            bar=found[0],
            quality=found[1],
            watermark_ms=stream.coverage.watermark_ms,
            now_ms=now,
            step_ms=step_ms,
            bars=found[2],
            cvd_lots=lots,
            cvd_anchor_ms=anchor,
        )

    def default_row_sizes(self, instrument: str) -> dict[str, str]:
        """The grid in force now."""
        stream = self._settled(instrument)
        at = max(self.now_ms(instrument), stream.last_event_ms)
        ranges = stream.history.hour_ranges
        return stream.grids.at(at, stream.instrument.tick_size, ranges).served()

    def stream(self, instrument: str) -> StreamStatus:
        """Counts and state of a stream."""
        stream = self._settled(instrument)
        counts, coverage = stream.ledger.counts, stream.coverage
        now = self.now_ms(instrument)
        watermark = coverage.watermark_ms or None
        return StreamStatus(
            instrument=instrument,
            state=self._state(stream),
            last_key=_last_key(stream),
            last_event_ms=stream.last_event_ms or None,
            watermark_ms=watermark,
            lag_ms=max(0, now - watermark) if watermark else None,
            received=counts.received,
            applied=counts.applied,
            duplicates=counts.duplicate,
            quarantined=sum(counts.quarantined.values()),
            rejected=dict(counts.quarantined),
            gaps_open=len(stream.evidence.open_holes()),
            gaps_filled=stream.repairs.filled,
            gaps_lost=stream.lost_gaps,
            reconnects=stream.reconnects,
            dropped=self.dropped(instrument),
            minutes_verified=stream.verified_minutes,
            minutes_unverified=stream.unverified_minutes,
        )

    def _settled(self, instrument: str) -> Stream:
        """A stream with all its delivered trades applied."""
        self._settle(instrument)
        return self.engine.streams[instrument]

    @staticmethod
    def _state(stream: Stream) -> str:
        if stream.instrument.status != "trading":
            return stream.instrument.status
        if stream.coverage.observed_from_ms is None:
            return "starting"
        if not stream.coverage.connected:
            return "disconnected"
        return "repairing" if stream.evidence.open_holes() else "live"


def _last_key(stream: Stream) -> int | None:
    ledger = stream.ledger
    if isinstance(ledger, ConsecutiveLedger) and ledger.runs:
        return ledger.runs[-1].last
    return None
