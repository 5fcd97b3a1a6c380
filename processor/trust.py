"""What a stream does when its own foundations change: ids, counts, tick and lot. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from orderflow.completeness import Gap
from orderflow.flow import whole_ratio
from orderflow.instrument import Instrument, common_step
from orderflow.ledger import MEMORY_IDS, ConsecutiveLedger, UnorderedLedger
from orderflow.timeframe import MINUTE_MS, floor_ms
from orderflow.trade import IDS_SKIP

if TYPE_CHECKING:
    from processor.stream import Stream

UNBALANCED = "ledger unbalanced"


def distrust_ids(stream: Stream) -> None:
    """The venue's own page skipped ids: they only tell trades apart, like unordered ones."""
    ledger = stream.ledger
    if not isinstance(ledger, ConsecutiveLedger):
        return
    seen = ledger.newest_keys(MEMORY_IDS)
    stream.ledger = UnorderedLedger(seen, ledger.counts)
    stream.ledger.horizon_ms = seen[0][1] if len(seen) == MEMORY_IDS else 0
    stream.unordered = True
    stream.toxicity.renumbered(IDS_SKIP)
    stream.instrument = dataclasses.replace(stream.instrument, sequence="unordered")
    stream.evidence.instrument, stream.evidence.ledger = stream.instrument, stream.ledger
    stream.touch_all()


def settle_account(stream: Stream) -> bool:
    """False, and what is hot marked as unproven, when trades are not accounted for."""
    counts = stream.ledger.counts
    if counts.balanced:
        return True
    counts.received = counts.accounted
    start = min(stream.minutes, default=floor_ms(stream.last_event_ms, MINUTE_MS))
    stream.coverage.lose(Gap(start, stream.last_event_ms, UNBALANCED))
    stream.unbalanced += 1
    stream.touch_all()
    return False


def redefine(stream: Stream, instrument: Instrument, scale: int) -> None:
    """The venue's newest definition: status, and tick and lot if they changed."""
    old = stream.instrument
    if scale in stream.scales or scale == 0:
        stream.instrument = dataclasses.replace(
            instrument, tick_size=old.tick_size, lot_size=old.lot_size, sequence=old.sequence
        )
        return
    _rescale(stream, old, instrument, scale)


def _rescale(stream: Stream, old: Instrument, instrument: Instrument, scale: int) -> None:
    """A changed tick or lot: count in steps that fit both definitions from now on."""
    tick = common_step([old.tick_size, instrument.tick_size])
    lot = common_step([old.lot_size, instrument.lot_size])
    ticks, lots = whole_ratio(old.tick_size, tick), whole_ratio(old.lot_size, lot)
    rescaled = dataclasses.replace(instrument, tick_size=tick, lot_size=lot, sequence=old.sequence)
    stream.guard.rescale(ticks, lots)
    stream.toxicity.rescale(lots)
    for minute in stream.minutes.values():
        minute.rescale(ticks, lots, rescaled)
    stream.scales = {n: (t * ticks, v * lots) for n, (t, v) in stream.scales.items()}
    stream.scales.setdefault(scale - 1, (ticks, lots))
    stream.scales[scale] = (
        whole_ratio(instrument.tick_size, tick),
        whole_ratio(instrument.lot_size, lot),
    )
    stream.instrument = rescaled
    stream.evidence.instrument = rescaled
    stream.touch_all()


def touch(stream: Stream, gap: Gap) -> None:
    """Only the hot closed minutes that this hole may have taken trades out of are said anew."""
    stream.changed = True
    first = floor_ms(gap.start_ms, MINUTE_MS)
    last = floor_ms(min(gap.end_ms, stream.last_event_ms), MINUTE_MS)
    touched = range(first, last + 1, MINUTE_MS)
    stream.dirty.update(start for start in touched if start in stream.published)
