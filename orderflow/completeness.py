"""How far a number is proven: states from best to worst, and how they combine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from orderflow.errors import MergeError


class State(StrEnum):
    """Proof of completeness, best first.

    VERIFIED: ids are gapless and the venue's own candle agrees in every field it states.
    VENUE_ADJUSTMENT: ids are gapless, the venue's candle differs (it counts other fills).
    VERIFIED_VOLUME: the venue's candle agrees in volume and turnover, it states no more.
    CONTIGUOUS: ids or an unbroken connection prove it; the venue's candle is not there yet.
    REPAIRING: a hole is known and being fetched.
    PARTIAL: a hole is known and can't be filled, or a venue or minute is missing.
    APPROXIMATE: made from candles, not trades.
    UNKNOWN: nothing is proven.
    """

    VERIFIED = "verified"
    VENUE_ADJUSTMENT = "venue_adjustment"
    VERIFIED_VOLUME = "verified_volume"
    CONTIGUOUS = "contiguous"
    REPAIRING = "repairing"
    PARTIAL = "partial"
    APPROXIMATE = "approximate"
    UNKNOWN = "unknown"


RANK: dict[State, int] = {state: rank for rank, state in enumerate(State)}


def worst(states: Iterable[State]) -> State:
    """The worst of the states; UNKNOWN when there are none."""
    return max(states, key=RANK.__getitem__, default=State.UNKNOWN)


class Gap(msgspec.Struct, gc=False, frozen=True):
    """A known hole: exchange times of the neighbours, ids where the venue numbers its trades."""

    start_ms: int
    end_ms: int
    reason: str
    first_key: int | None = None
    last_key: int | None = None

    @property
    def missing(self) -> int | None:
        """How many ids are missing; None where nobody can know."""
        if self.first_key is None or self.last_key is None:
            return None
        return self.last_key - self.first_key + 1


class Quality(msgspec.Struct, gc=False, frozen=True):
    """The evidence behind one instrument's part of a window.

    `covered_ms` of `expected_ms` were observed (expected stops at now for an open window).
    `missing`: known missing ids. `missing_lots`: what the venue's candle has more than we, where
    that is not the venue's own. `delta_proven`: the venue's taker-buy volume was compared.
    """

    state: State
    covered_ms: int
    expected_ms: int
    closed: bool
    final: bool
    revision: int
    applied_through_ms: int
    first_id: int | None = None
    last_id: int | None = None
    missing: int = 0
    gaps: tuple[Gap, ...] = ()
    delta_proven: bool = False
    missing_lots: int = 0


def merge_qualities(parts: Sequence[Quality], *, in_time: bool = False) -> Quality:
    """Evidence of several parts taken together: the worst of each.

    Streams side by side reach only as far as the slowest; minutes `in_time` as far as the last.
    """
    if not parts:
        raise MergeError("nothing to merge")
    first = [part.first_id for part in parts if part.first_id is not None]
    last = [part.last_id for part in parts if part.last_id is not None]
    return Quality(
        state=worst(part.state for part in parts),
        covered_ms=sum(part.covered_ms for part in parts),
        expected_ms=sum(part.expected_ms for part in parts),
        closed=all(part.closed for part in parts),
        final=all(part.final for part in parts),
        revision=max(part.revision for part in parts),
        applied_through_ms=(max if in_time else min)(part.applied_through_ms for part in parts),
        first_id=first[0] if first else None,
        last_id=last[-1] if last else None,
        missing=sum(part.missing for part in parts),
        gaps=tuple(dict.fromkeys(gap for part in parts for gap in part.gaps)),
        delta_proven=all(part.delta_proven for part in parts),
        missing_lots=sum(part.missing_lots for part in parts),
    )
