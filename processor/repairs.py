"""Which holes to ask for, when to ask again, and when to give up. Pure."""

from __future__ import annotations

import msgspec

from orderflow.completeness import Gap
from orderflow.trade import OUT_OF_REACH, RepairRequest
from processor.coverage import NEVER

FIRST_DELAY_MS = 500
"""A venue's REST reads a database that is a little behind its sockets."""
RETRY_MS = 15_000
ANSWER_MS = 120_000
"""An answer that takes longer is taken for lost and the question is asked again."""
HORIZON_MS = 900_000
"""A hole is given up this long after it was noticed, a minute revised this long after its close.

Both are counted on the monotonic clock: repairs take real time, however fast a tape is played.
"""


class Repair(msgspec.Struct):
    """One hole: when it was noticed, and the question that is under way or was refused."""

    gap: Gap
    noticed_ms: int
    repair_id: int = 0
    asked_ms: int = 0
    attempts: int = 0
    pending: bool = False
    hopeless: bool = False


class RepairBook:
    """Holes of one stream and what was asked about them; times are monotonic milliseconds."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.book: dict[tuple[int | None, int], Repair] = {}
        self.next_id = 1
        self.filled = 0

    def notice(self, gaps: list[Gap], mono_ms: int) -> None:
        """The holes known now. A hole keeps its repair while it is filled from its older end."""
        known = {_key(gap): gap for gap in gaps}
        for key in [key for key in self.book if key not in known]:
            del self.book[key]
            self.filled += 1
        for key, gap in known.items():
            if key in self.book:
                self.book[key].gap = gap
            else:
                self.book[key] = Repair(gap, mono_ms)

    def due(self, mono_ms: int) -> list[RepairRequest]:
        """Questions to ask now."""
        return [
            self._ask(repair, mono_ms)
            for repair in self.book.values()
            if repair.gap.end_ms < NEVER and not repair.hopeless and self._waited(repair, mono_ms)
        ]

    def _waited(self, repair: Repair, mono_ms: int) -> bool:
        if repair.attempts == 0:
            return mono_ms - repair.noticed_ms >= FIRST_DELAY_MS
        return mono_ms - repair.asked_ms >= (ANSWER_MS if repair.pending else RETRY_MS)

    def _ask(self, repair: Repair, mono_ms: int) -> RepairRequest:
        repair.repair_id, self.next_id = self.next_id, self.next_id + 1
        repair.asked_ms, repair.pending = mono_ms, True
        repair.attempts += 1
        gap = repair.gap
        return RepairRequest(
            instrument=self.instrument,
            repair_id=repair.repair_id,
            start_ms=gap.start_ms,
            end_ms=gap.end_ms,
            reason=gap.reason,
            first_key=gap.first_key,
            last_key=gap.last_key,
        )

    def answered(self, repair_id: int, reason: str) -> Gap | None:
        """The hole this answer belongs to; `reason` says whether asking again can help."""
        for repair in self.book.values():
            if repair.repair_id == repair_id and repair.pending:
                repair.pending = False
                repair.hopeless = reason == OUT_OF_REACH
                return repair.gap
        return None

    def given_up(self, mono_ms: int) -> list[Gap]:
        """Holes the venue can't fill, and holes past the horizon."""
        return [
            repair.gap
            for repair in self.book.values()
            if repair.hopeless or mono_ms - repair.noticed_ms > HORIZON_MS
        ]


def _key(gap: Gap) -> tuple[int | None, int]:
    return gap.last_key, 0 if gap.last_key is not None else gap.start_ms
