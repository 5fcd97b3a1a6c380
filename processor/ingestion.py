"""What is known about the ingestion of each stream, for /status, /metrics and the store. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from backbone.live import IngestionMode, IngestionState, StreamStatus
from backbone.store.base import INGESTION, Record
from orderflow.answers import iso
from orderflow.ledger import ConsecutiveLedger
from orderflow.timeframe import DAY_MS
from processor.stream import Stream

SAID_EVERY_MS = 10_000
KEPT_MS = 30 * DAY_MS
PAUSED = "paused"
NOT_COLLECTED = "not collected"
"""Reasons of an outage that somebody wanted: they are states of their own."""
NOW = "now"
"""Timeframe name of the one record an instrument has."""
MODES: dict[str, IngestionMode] = {"live": "websocket", "polling": "polling"}


class Seen(NamedTuple):
    """The newest trade when it was applied: exchange time, wall time, and how long it took."""

    event_ms: int
    wall_ms: int
    latency_ms: int


class IngestionBook:
    """When trades came in, by instrument."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self._said_ms: dict[str, int] = {}

    def note(self, stream: Stream, now_ms: int, wall_ms: int) -> None:
        """Remember a newest trade that was not there the last time."""
        name, event_ms = stream.instrument.name, stream.last_event_ms
        known = self.seen.get(name)
        if event_ms and (known is None or known.event_ms != event_ms):
            self.seen[name] = Seen(event_ms, wall_ms, max(0, now_ms - event_ms))

    def due(self, name: str, mono_ms: int) -> bool:
        """True when this stream's state is to be stored again."""
        if mono_ms - self._said_ms.get(name, -SAID_EVERY_MS) < SAID_EVERY_MS:
            return False
        self._said_ms[name] = mono_ms
        return True


def stream_status(
    stream: Stream, now_ms: int, wall_ms: int, seen: Seen | None, *, dropped: int, queued: int
) -> StreamStatus:
    """Counts and state of a stream."""
    counts, coverage = stream.ledger.counts, stream.coverage
    watermark = coverage.watermark_ms or None
    state = _state(stream)
    status, message = _judged(stream, state)
    return StreamStatus(
        instrument=stream.instrument.name,
        state=state,
        last_key=_last_key(stream),
        last_event_ms=stream.last_event_ms or None,
        watermark_ms=watermark,
        lag_ms=max(0, now_ms - watermark) if watermark else None,
        received=counts.received,
        applied=counts.applied,
        duplicates=counts.duplicate,
        quarantined=sum(counts.quarantined.values()),
        held=counts.held,
        rejected=dict(counts.quarantined),
        gaps_open=len(stream.evidence.open_holes()),
        gaps_filled=stream.repairs.filled,
        gaps_lost=stream.lost_gaps,
        reconnects=stream.reconnects,
        dropped=dropped,
        minutes_verified=stream.verified_minutes,
        minutes_unverified=stream.unverified_minutes,
        epoch=_epoch(stream),
        last_ingested_timestamp_ms=stream.last_event_ms or None,
        last_ingested_at_ms=None if seen is None else seen.wall_ms,
        ingestion_mode=MODES.get(stream.mode, "backfill"),
        status=status,
        error_message=message,
        latency_ms=None if seen is None else seen.latency_ms,
        clock_offset_ms=now_ms - wall_ms if now_ms else None,
        errors=sum(counts.quarantined.values()) + stream.lost_gaps + stream.unbalanced,
        candles_processed=stream.closed_minutes,
        queue_size=queued,
    )


def _state(stream: Stream) -> str:
    outage = stream.coverage.outage
    if stream.instrument.status != "trading":
        return stream.instrument.status
    if stream.coverage.observed_from_ms is None:
        return "starting"
    if not stream.coverage.connected:
        wanted = outage is not None and outage.reason in (PAUSED, NOT_COLLECTED)
        return outage.reason if wanted and outage is not None else "disconnected"
    return "repairing" if stream.evidence.open_holes() else "live"


def _judged(stream: Stream, state: str) -> tuple[IngestionState, str | None]:
    """active, paused or error, and our own words for the error."""
    if state == PAUSED:
        return "paused", None
    if state == NOT_COLLECTED:
        return "paused", "not collected: it left the selection of symbols"
    outage = stream.coverage.outage
    if state == "disconnected":
        return "error", f"disconnected: {outage.reason}" if outage is not None else "disconnected"
    if state in ("halted", "delisted", "renamed"):
        return "active", f"the venue says {state}"
    if stream.unbalanced:
        return "error", "trades were not all accounted for; see the log"
    return "active", None


def _last_key(stream: Stream) -> int | None:
    ledger = stream.ledger
    if isinstance(ledger, ConsecutiveLedger) and ledger.runs:
        return ledger.runs[-1].last
    return None


def _epoch(stream: Stream) -> int:
    return stream.ledger.epoch if isinstance(stream.ledger, ConsecutiveLedger) else 0


def ingestion_record(status: StreamStatus, wall_ms: int) -> Record:
    """The state of a stream as its one record; times as UTC text."""
    body: dict[str, Any] = msgspec.to_builtins(status)
    for name in ("last_ingested_timestamp", "last_ingested_at"):
        at = body.pop(f"{name}_ms")
        body[name] = None if at is None else iso(at)
    body["last_key"] = None if status.last_key is None else str(status.last_key)
    return Record(
        collection=INGESTION,
        instrument=status.instrument,
        timeframe=NOW,
        start_ms=0,
        revision=0,
        applied_through_ms=wall_ms,
        published_at_ms=wall_ms,
        expires_at_ms=wall_ms + KEPT_MS,
        body=body,
    )
