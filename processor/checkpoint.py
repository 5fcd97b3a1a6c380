"""A stream's state as bytes and back. Pure.

JSON, because ids of unordered streams and sums of price x quantity exceed 64 bits.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from orderflow.completeness import Gap, Quality
from orderflow.instrument import Instrument
from orderflow.ledger import ConsecutiveLedger, Counts, Run, UnorderedLedger
from orderflow.trade import InstrumentChanged, KlineClosed, instrument_of
from processor.coverage import NEVER, Coverage
from processor.floor import Floor
from processor.grids import Grid, Grids
from processor.guard import Guard
from processor.minute import Minute
from processor.stream import Published, Stream
from processor.toxicity import Toxicity

FORMAT = 1
IDS_KEPT = 2_048
"""Unordered ids in a checkpoint: twice what a venue's newest page can hold."""
RESTART = "restart"


class StreamState(msgspec.Struct):
    """Everything a stream needs to go on where it stopped."""

    format: int
    instrument: InstrumentChanged
    first_grid: Grid | None
    grids: dict[int, Grid]
    grid_fixed: bool
    counts: Counts
    runs: list[Run]
    seen: list[tuple[int, int]]
    horizon_ms: int
    observed_from_ms: int | None
    watermark_ms: int
    outage: Gap | None
    lost: list[Gap]
    next_close_ms: int | None
    evicted_before_ms: int
    last_event_ms: int
    minutes: list[Minute]
    published: dict[int, Published]
    klines: list[KlineClosed]
    asked: dict[int, Gap | None]
    scales: dict[int, tuple[int, int]]
    lost_gaps: int
    verified_minutes: int
    unverified_minutes: int
    epoch: int = 0
    guard: Guard = msgspec.field(default_factory=Guard)
    unbalanced: int = 0
    connections: dict[str, int] = {}
    since: dict[str, int] = {}
    lapsed: list[str] = []
    bus: Floor = Floor()
    toxicity: Toxicity = msgspec.field(default_factory=Toxicity)


class SaidWindow(msgspec.Struct):
    """What was last said of a closed window, for the next revision."""

    timeframe: str
    start_ms: int
    revision: int
    content_hash: str
    quality: Quality


class Checkpoint(msgspec.Struct):
    """A stream and its windows."""

    state: StreamState
    said: list[SaidWindow]


class Place(msgspec.Struct):
    """The part of a state that says where on the bus it was saved."""

    bus: Floor = Floor()


class Placed(msgspec.Struct):
    """The part of a checkpoint that says where on the bus it was saved."""

    state: Place


DECODER = msgspec.json.Decoder(Checkpoint)
POSITION_DECODER = msgspec.json.Decoder(Placed)


def encode(stream: Stream, said: list[SaidWindow], bus: Floor | None = None) -> bytes:
    """The stream as it stands; `bus`: it contains everything up to there."""
    return msgspec.json.encode(Checkpoint(_state(stream, bus or Floor()), said))


def saved_at(blob: bytes) -> Floor:
    """The position on the bus that a checkpoint contains."""
    return POSITION_DECODER.decode(blob).state.bus


def _state(stream: Stream, bus: Floor) -> StreamState:
    ledger, coverage = stream.ledger, stream.coverage
    for minute in stream.minutes.values():
        minute.ladder.settle()
    unordered = isinstance(ledger, UnorderedLedger)
    seen: list[tuple[int, int]] = []
    horizon = 0
    if isinstance(ledger, UnorderedLedger):
        skipped = max(0, len(ledger.order) - IDS_KEPT)
        seen = list(islice(ledger.order, skipped, None))
        dropped = max((ms for _, ms in islice(ledger.order, skipped)), default=0)
        horizon = max(ledger.horizon_ms, dropped + 1 if skipped else 0)
    return StreamState(
        format=FORMAT,
        instrument=announced(stream.instrument),
        first_grid=stream.grids.first,
        grids=stream.grids.days,
        grid_fixed=stream.grids.fixed,
        counts=ledger.counts,
        runs=[] if isinstance(ledger, UnorderedLedger) else ledger.runs,
        seen=seen,
        horizon_ms=horizon if unordered else 0,
        observed_from_ms=coverage.observed_from_ms,
        watermark_ms=coverage.watermark_ms,
        outage=coverage.outage,
        lost=coverage.lost,
        next_close_ms=stream.next_close_ms,
        evicted_before_ms=stream.evicted_before_ms,
        last_event_ms=stream.last_event_ms,
        minutes=list(stream.minutes.values()),
        published=stream.published,
        klines=list(stream.evidence.klines.values()),
        asked=stream.evidence.asked,
        scales=stream.scales,
        lost_gaps=stream.lost_gaps,
        verified_minutes=stream.verified_minutes,
        unverified_minutes=stream.unverified_minutes,
        epoch=0 if isinstance(ledger, UnorderedLedger) else ledger.epoch,
        guard=stream.guard,
        unbalanced=stream.unbalanced,
        connections=coverage.connections,
        since=coverage.since,
        lapsed=coverage.lapsed,
        bus=bus,
        toxicity=stream.toxicity,
    )


def readable(blob: bytes) -> bool:
    """True when this version can go on from these bytes."""
    try:
        return DECODER.decode(blob).state.format == FORMAT
    except (msgspec.MsgspecError, ValueError):
        return False


def decode(blob: bytes, mono_ms: int, *, gapless: bool = False) -> tuple[Stream, list[SaidWindow]]:
    """The stream, its connections gone: what came since is an outage to be repaired.

    `gapless`: the bus has kept everything since, so the connections are as they were.
    """
    checkpoint = DECODER.decode(blob)
    state = checkpoint.state
    event = state.instrument
    instrument = instrument_of(event)
    grids = Grids(state.first_grid, fixed=state.grid_fixed)
    grids.days = state.grids
    ledger: ConsecutiveLedger | UnorderedLedger
    if instrument.sequence == "unordered":
        ledger = UnorderedLedger(state.seen, state.counts)
        ledger.horizon_ms = state.horizon_ms
    else:
        ledger = ConsecutiveLedger(state.runs, state.counts, state.epoch)
    coverage = Coverage(state.observed_from_ms, state.watermark_ms, {}, state.outage, state.lost)
    stream = Stream(instrument, grids, ledger, coverage)
    if gapless:
        coverage.go_on(state.connections, state.since, state.lapsed)
    elif coverage.outage is None and coverage.observed_from_ms is not None:
        start = min(state.watermark_ms, state.last_event_ms)
        coverage.outage = Gap(start, NEVER, RESTART)
    elif coverage.outage is not None:
        coverage.outage = Gap(coverage.outage.start_ms, NEVER, coverage.outage.reason)
    stream.next_close_ms = state.next_close_ms
    stream.evicted_before_ms = state.evicted_before_ms
    stream.last_event_ms = state.last_event_ms
    stream.minutes = {minute.start_ms: minute for minute in state.minutes}
    stream.published = state.published
    for published in stream.published.values():
        published.closed_mono_ms = mono_ms
    stream.evidence.klines = {kline.start_ms: kline for kline in state.klines}
    if not gapless:
        # A candle is sent once: what came to nobody is asked for at once.
        for start in stream.published:
            stream.evidence.miss_candle(start)
    stream.evidence.asked = state.asked
    stream.scales = state.scales
    stream.lost_gaps = state.lost_gaps
    stream.verified_minutes = state.verified_minutes
    stream.unverified_minutes = state.unverified_minutes
    stream.guard = state.guard
    stream.toxicity = state.toxicity
    stream.unbalanced = state.unbalanced
    # What came in between the last publication and this checkpoint was not said yet.
    stream.dirty = set(stream.published)
    return stream, checkpoint.said


def announced(instrument: Instrument) -> InstrumentChanged:
    """The announcement of an instrument as it counts now."""
    return InstrumentChanged(
        venue=instrument.venue,
        market=str(instrument.market),
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        sequence=instrument.sequence,
        status=instrument.status,
    )
