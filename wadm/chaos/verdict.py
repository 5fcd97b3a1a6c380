"""What a run proved: every stored minute against the tape."""

from __future__ import annotations

import hashlib
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec

from backbone.store.base import FOOTPRINTS, Query, Store
from backbone.store.memory import MemoryStore
from orderflow.completeness import Quality, State
from orderflow.encoding import bar_from_body
from orderflow.footprint import FootprintBar
from simulator.tape import Track
from wadm.chaos.oracle import as_stored, minutes_of

DECLARED = frozenset({State.PARTIAL, State.REPAIRING, State.UNKNOWN, State.APPROXIMATE})
RENUMBERED = "ids restarted"
ROW_SIZE = Decimal(10)
CHUNK = 1_000


class Outcome(msgspec.Struct):
    """What one seed proved."""

    seed: int
    minutes: int = 0
    trades: int = 0
    kills: int = 0
    lost: int = 0
    double: int = 0
    differing: int = 0
    undeclared: int = 0
    declared: int = 0
    unproven: int = 0
    unsettled: bool = False
    seen: dict[str, int] = {}
    states: dict[str, int] = {}
    notes: list[str] = []
    digest: str = ""
    """Of the content of every stored record."""
    events: int = 0
    event_log: str = ""
    serving_s: list[float] = []
    exact_s: list[float] = []
    rate_per_s: int = 0
    serving_cpu_s: list[float] = []
    """Processor time of the process until it served."""
    exact_cpu_s: list[float] = []
    stated_worst_ms: int | None = None
    late: list[str] = []
    """Minutes without counted trades that said too late what they lack."""
    process: bool = False
    """Real processes, whose holes state their volume in time; in virtual time REST may be away."""
    unstated: int = 0
    """Declared holes whose missing volume is not what the tape has more."""
    before: int = 0
    """Minutes of before the first one that was ever stored: nobody claims them."""

    @property
    def good(self) -> bool:
        """No promise broken."""
        return not (
            self.lost
            or self.double
            or self.differing
            or self.undeclared
            or self.unproven
            or self.late
            or (self.unstated and self.process)
            or self.unsettled
        )


async def compare(
    store: Store,
    tape: Any,
    outcome: Outcome,
    renumbered: str | None = None,
    *,
    from_ms: int = 0,
    until_ms: int = 2**62,
) -> None:
    """Every minute of every track that began from `from_ms` on and before `until_ms` against the
    tape; `renumbered` began its ids anew."""
    states: Counter[str] = Counter()
    for track in tape.tracks:
        expected = minutes_of(track, ROW_SIZE)
        name = track.instrument.name
        outcome.trades += len(track.counted)
        query = Query(FOOTPRINTS, name, "1m", 0, 2**60, 0, CHUNK)
        bars = {r.start_ms: bar_from_body(r.body) for r in await store.query(query)}
        observed_ms = min(bars, default=0)
        for start, wanted in expected.items():
            if not from_ms <= start < until_ms:
                continue
            if start < observed_ms:
                outcome.before += 1
                continue
            outcome.minutes += 1
            found = bars.get(start)
            states[f"{name} {found[1].state if found else 'absent'}"] += 1
            ours = None if found is None else as_stored(track, found[0])
            if name == renumbered and found is not None and _between_epochs(found[1]):
                outcome.declared += 1
            elif ours != wanted:
                _judge(track, start, found, (ours, wanted), outcome)
            elif found is not None and found[1].state in DECLARED and "binance" in name:
                outcome.unproven += 1
                outcome.notes.append(f"{name} {start}: right, but {found[1].state}")
    outcome.states = dict(states)


def content_of(store: MemoryStore) -> str:
    """The hash of everything that is stored, every revision of it."""
    found = hashlib.sha256()
    for collection, table in sorted(store.records.items()):
        for key, record in sorted(table.items()):
            found.update(repr((collection, key, record.published_at_ms)).encode())
            found.update(msgspec.json.encode(record.body))
    return found.hexdigest()


def _between_epochs(quality: Quality) -> bool:
    """Whether the time between two numberings is declared in this minute."""
    return quality.state in DECLARED and any(gap.reason == RENUMBERED for gap in quality.gaps)


def _judge(
    track: Track,
    start: int,
    found: tuple[FootprintBar, Quality] | None,
    amounts: tuple[Any, Any],
    outcome: Outcome,
) -> None:
    """A minute that differs: a broken promise, or a declared hole of a venue without ids."""
    ours, wanted = amounts
    name = track.instrument.name
    declared = found is not None and found[1].state in DECLARED
    if "bybit" in name and found is not None and declared:
        outcome.declared += 1
        lot = int(found[0].flow.lot_size.scaleb(track.instrument.qty_digits))
        if found[1].missing_lots * lot != wanted.volume - ours.volume:
            outcome.unstated += 1
            outcome.notes.append(
                f"{name} {start}: {found[1].state}, {found[1].missing_lots * lot} stated of "
                f"{wanted.volume - ours.volume} missing"
            )
        return
    volume = 0 if ours is None else ours.volume
    if "bybit" in name:
        outcome.undeclared += 1
    elif volume < wanted.volume:
        outcome.lost += 1
    elif volume > wanted.volume:
        outcome.double += 1
    else:
        outcome.differing += 1
    state = "absent" if found is None else found[1].state
    outcome.notes.append(f"{name} {start}: {volume} instead of {wanted.volume}, {state}")
