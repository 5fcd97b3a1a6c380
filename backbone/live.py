"""LiveView: the current bars of every instrument, as the answering side sees them.

In one process it is the processor's own state, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from backbone.closings import Closings
from orderflow.instrument import Instrument
from orderflow.parts import FlowPart, FootprintPart
from orderflow.timeframe import Window

IngestionMode = Literal["websocket", "polling", "backfill"]
IngestionState = Literal["active", "paused", "error"]


class StreamStatus(msgspec.Struct, gc=False, frozen=True):
    """State of one instrument's trade stream; times are exchange milliseconds.

    `state`: starting, live, repairing, disconnected, paused, not collected, halted, delisted or
    renamed.
    `held`: trades not decided on. `epoch`: how often the venue began to number anew.
    `last_ingested_at_ms`: wall time when the newest trade (`last_ingested_timestamp_ms`, exchange
    time) was applied, `latency_ms` after it happened. `clock_offset_ms`: venue minus wall clock.
    `errors`: trades quarantined, holes that stay and accounts that did not balance.
    """

    instrument: str
    state: str
    last_key: int | None = None
    last_event_ms: int | None = None
    watermark_ms: int | None = None
    lag_ms: int | None = None
    received: int = 0
    applied: int = 0
    duplicates: int = 0
    quarantined: int = 0
    rejected: dict[str, int] = {}
    gaps_open: int = 0
    gaps_filled: int = 0
    gaps_lost: int = 0
    reconnects: int = 0
    dropped: int = 0
    minutes_verified: int = 0
    minutes_unverified: int = 0
    held: int = 0
    epoch: int = 0
    last_ingested_timestamp_ms: int | None = None
    last_ingested_at_ms: int | None = None
    ingestion_mode: IngestionMode = "websocket"
    status: IngestionState = "active"
    error_message: str | None = None
    latency_ms: int | None = None
    clock_offset_ms: int | None = None
    errors: int = 0
    candles_processed: int = 0
    queue_size: int = 0


class FeedStatus(msgspec.Struct, gc=False, frozen=True):
    """State of one socket of a collector; `error` is our own word for the last failure.

    `causes`: how often it ended, by reason. `quiet`: streams the venue itself had nothing newer of.
    """

    connection: str
    venue: str
    market: str
    state: str
    instruments: list[str]
    connects: int
    frames: int
    trades: int
    dropped: int
    malformed: int
    rejected: dict[str, int]
    last_frame_age_ms: int | None
    error: str | None = None
    causes: dict[str, int] = {}
    quiet: list[str] = []


class LiveView(Protocol):
    """What queries may ask about now. Times are exchange milliseconds."""

    @property
    def source(self) -> str:
        """`live` or `simulated`."""
        ...

    @property
    def ready(self) -> bool:
        """Ledgers and open bars are restored and live trades were applied."""
        ...

    @property
    def version(self) -> int:
        """Grows with every change; an answer of one version never changes."""
        ...

    @property
    def cursor(self) -> tuple[str, int]:
        """Epoch and position of the newest update that is in every answer."""
        ...

    @property
    def closings(self) -> Closings:
        """Windows that closed or were revised, by the position of the update that said so."""
        ...

    def now_ms(self, instrument: str) -> int:
        """The venue clock of this instrument."""
        ...

    def instruments(self) -> Sequence[Instrument]:
        """Every collected instrument."""
        ...

    def stream(self, instrument: str) -> StreamStatus:
        """State of its trade stream."""
        ...

    def footprint(self, instrument: str, window: Window) -> FootprintPart | None:
        """Exact merge of the 1-minute bars of a window; None when none was collected."""
        ...

    def flow(self, instrument: str, window: Window, step_ms: int) -> FlowPart | None:
        """Exact merge of flow bars, with the bars of `step_ms` in it; None when none."""
        ...

    def filling(self, instrument: str) -> bool:
        """Minutes that a window needed are on their way from the store: look again soon."""
        ...

    def default_row_sizes(self, instrument: str) -> dict[str, str]:
        """Served row size per timeframe, and `base`, as decimal strings."""
        ...
