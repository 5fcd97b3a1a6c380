"""Served state of streams, connections and breakers."""

from __future__ import annotations

from orderflow.report import Answer, Report


class StreamLine(Report):
    """State of one trade stream."""

    instrument: str
    state: str
    last_event: str | None
    watermark: str | None
    lag_ms: int | None
    received: int
    applied: int
    duplicates: int
    quarantined: int
    rejected: dict[str, int]
    gaps_open: int
    gaps_filled: int
    gaps_lost: int
    reconnects: int
    dropped: int
    minutes_verified: int
    minutes_unverified: int
    held: int
    epoch: int
    last_ingested_timestamp: str | None
    last_ingested_at: str | None
    ingestion_mode: str
    status: str
    error_message: str | None
    latency_ms: int | None
    clock_offset_ms: int | None
    errors: int
    candles_processed: int
    queue_size: int


class BreakerLine(Report):
    """A breaker: closed, half_open or open; when it lets the next try pass."""

    name: str
    state: str
    failures: int
    opened: int
    retry_in_ms: int | None


class FeedLine(Report):
    """State of one connection."""

    connection: str
    state: str
    instruments: int
    connects: int
    frames: int
    trades: int
    dropped: int
    malformed: int
    rejected: dict[str, int]
    last_frame_age_ms: int | None
    error: str | None
    causes: dict[str, int]
    quiet: list[str]


class StatusReport(Answer):
    """Streams and connections; `worst_lag_ms` is the largest, never a mean."""

    source: str
    ready: bool
    version: str
    worst_lag_ms: int | None
    streams: list[StreamLine]
    feeds: list[FeedLine]
    breakers: list[BreakerLine]
    rest: dict[str, dict[str, int]]


class HealthReport(Report):
    """All that anybody without a key may know: `status` is ok, starting or stale."""

    status: str
    ready: bool
