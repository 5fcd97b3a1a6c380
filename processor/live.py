"""The processor's own state as a LiveView: nothing is copied."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from backbone.clock import wall_ms
from backbone.closings import Closings
from backbone.live import StreamStatus
from orderflow.instrument import Instrument
from orderflow.parts import FlowPart, FootprintPart
from orderflow.timeframe import Window
from processor import windows
from processor.engine import Engine
from processor.ingestion import IngestionBook, stream_status
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
        self._life = secrets.token_hex(4)
        self.ingestion = IngestionBook()
        self.durable: Callable[[], bool] = lambda: True
        self.dropped: Callable[[str], int] = lambda name: 0
        self.queued: Callable[[str], int] = lambda name: 0

    @property
    def ready(self) -> bool:
        """Restored, trades flow, and what is computed can be kept."""
        return (
            self.restored
            and self.durable()
            and any(stream.trade_since_connect for stream in self.engine.streams.values())
        )

    @property
    def version(self) -> int:
        """Grows with every event."""
        return self.engine.version

    @property
    def cursor(self) -> tuple[str, int]:
        """The life of this process, and the version."""
        return self._life, self.engine.version

    @property
    def closings(self) -> Closings:
        """Windows that closed or were revised, by version."""
        return self.engine.closings

    def instruments(self) -> Sequence[Instrument]:
        """Every announced instrument."""
        return [stream.instrument for stream in self.engine.streams.values()]

    def footprint(self, instrument: str, window: Window) -> FootprintPart | None:
        """Exact merge of the 1-minute bars of a window."""
        stream = self._settled(instrument)
        now = self.now_ms(instrument)
        piece = windows.footprint_of(stream, window, now, again=True)
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
            vpin=stream.toxicity.reading(),
        )

    def filling(self, instrument: str) -> bool:
        """Hours wait for the store."""
        return bool(self.engine.streams[instrument].history.wanted)

    def default_row_sizes(self, instrument: str) -> dict[str, str]:
        """The grid in force now."""
        stream = self._settled(instrument)
        at = max(self.now_ms(instrument), stream.last_event_ms)
        ranges = stream.history.hour_ranges
        return stream.grids.at(at, stream.instrument.tick_size, ranges).served()

    def stream(self, instrument: str) -> StreamStatus:
        """Counts and state of a stream."""
        queued = self.queued(instrument)
        return stream_status(
            self._settled(instrument),
            self.now_ms(instrument),
            wall_ms(),
            self.ingestion.seen.get(instrument),
            dropped=self.dropped(instrument),
            queued=queued,
        )

    def _settled(self, instrument: str) -> Stream:
        """A stream with all its delivered trades applied."""
        self._settle(instrument)
        return self.engine.streams[instrument]
