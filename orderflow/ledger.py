"""The ledger of one instrument: which trades were seen, and which are missing. Pure.

A consecutive stream (ids without holes) is a list of runs of seen ids; what lies between two runs
is missing. An unordered stream remembers its newest ids, by time, to recognise duplicates.
Every delivered trade is counted exactly once:
received == applied + duplicate + quarantined + held.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from orderflow.completeness import Gap

MISSING = "ids missing"
MEMORY_MS = 300_000
MEMORY_IDS = 4_096
"""Unordered ids are remembered this long and at least this many; older trades are quarantined."""
RECENT_IDS = 2_048
"""So many of them outlive a restart: twice what a venue's newest page can hold."""


class Counts(msgspec.Struct):
    """How many trades went where; `quarantined` holds the reasons.

    `held`: delivered, but whether they are possible is not decided yet.
    """

    received: int = 0
    applied: int = 0
    duplicate: int = 0
    quarantined: dict[str, int] = msgspec.field(default_factory=dict)
    held: int = 0

    def quarantine(self, reason: str, count: int = 1) -> None:
        """Count trades that must not enter a bar."""
        self.quarantined[reason] = self.quarantined.get(reason, 0) + count

    @property
    def balanced(self) -> bool:
        """True when every received trade is accounted for."""
        return self.received == self.accounted

    @property
    def accounted(self) -> int:
        """Trades whose whereabouts are known."""
        return self.applied + self.duplicate + sum(self.quarantined.values()) + self.held

    def hold(self, count: int) -> None:
        """Trades were delivered and wait for a decision."""
        self.received += count
        self.held += count

    def release(self, count: int) -> None:
        """They are decided on and will be counted as if delivered now."""
        self.received -= count
        self.held -= count

    def refuse(self, reason: str) -> None:
        """A delivered trade whose very id is not believed: it is not seen, only counted."""
        self.received += 1
        self.quarantine(reason)


class Run(msgspec.Struct):
    """Consecutive ids first..last, all seen, and the exchange times of both ends."""

    first: int
    last: int
    first_ms: int
    last_ms: int


class ConsecutiveLedger:
    """Seen ids of a stream that numbers its trades without holes.

    A venue that begins to number anew begins a new epoch: ids of two epochs never meet.
    """

    def __init__(
        self, runs: Iterable[Run] = (), counts: Counts | None = None, epoch: int = 0
    ) -> None:
        self.runs: list[Run] = list(runs)
        self.counts = counts or Counts()
        self.epoch = epoch
        self._gaps: list[Gap] | None = None

    @property
    def next_key(self) -> int | None:
        """The id that follows everything seen; None before the first trade."""
        return self.runs[-1].last + 1 if self.runs else None

    def admit(self, keys: Sequence[int], event_ms: Sequence[int]) -> list[tuple[int, int]]:
        """Index spans [i, j) of ids never seen before, each of consecutive ids in order."""
        count = len(keys)
        self.counts.received += count
        if count and (count == 1 or _is_consecutive(keys)):
            if not self.runs:
                self.runs.append(Run(keys[0], keys[0] - 1, event_ms[0], event_ms[0]))
            newest = self.runs[-1]
            if keys[0] == newest.last + 1:
                newest.last += count
                newest.last_ms = event_ms[-1]
                self.counts.applied += count
                return [(0, count)]
        return self._admit_each(keys, event_ms)

    def extend(self, count: int, event_ms: int) -> None:
        """The next `count` ids in order, the newest at that time; there must be a first run."""
        newest = self.runs[-1]
        newest.last += count
        newest.last_ms = event_ms
        self.counts.received += count
        self.counts.applied += count

    def _admit_each(self, keys: Sequence[int], event_ms: Sequence[int]) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for index, key in enumerate(keys):
            if not self._insert(key, event_ms[index]):
                self.counts.duplicate += 1
                continue
            self.counts.applied += 1
            if spans and spans[-1][1] == index and keys[index - 1] == key - 1:
                spans[-1] = (spans[-1][0], index + 1)
            else:
                spans.append((index, index + 1))
        return spans

    def reject(self, key: int, event_ms: int, reason: str) -> None:
        """A delivered trade that must not enter a bar still counts as seen.

        Before everything seen so far it opens no hole: nobody misses what was before the start.
        """
        self.counts.received += 1
        before_all = bool(self.runs) and key < self.runs[0].first - 1
        if before_all or self._insert(key, event_ms):
            self.counts.quarantine(reason)
        else:
            self.counts.duplicate += 1

    def _insert(self, key: int, event_ms: int) -> bool:
        """Add one id; False when it was there. Neighbouring runs join."""
        self._gaps = None
        place = bisect_right(self.runs, key, key=_first_of)
        before = self.runs[place - 1] if place else None
        after = self.runs[place] if place < len(self.runs) else None
        if before is not None and key <= before.last:
            return False
        joins_before = before is not None and key == before.last + 1
        joins_after = after is not None and key == after.first - 1
        if before is not None and joins_before:
            before.last, before.last_ms = key, event_ms
            if after is not None and joins_after:
                before.last, before.last_ms = after.last, after.last_ms
                del self.runs[place]
        elif after is not None and joins_after:
            after.first, after.first_ms = key, event_ms
        else:
            self.runs.insert(place, Run(key, key, event_ms, event_ms))
        return True

    def gaps(self, reason: str = MISSING) -> list[Gap]:
        """Every hole between two runs, oldest first."""
        if self._gaps is None or reason != MISSING:
            found = [
                Gap(a.last_ms, b.first_ms, reason, a.last + 1, b.first - 1)
                for a, b in zip(self.runs, self.runs[1:], strict=False)
            ]
            if reason != MISSING:
                return found
            self._gaps = found
        return list(self._gaps)

    def restart(self, event_ms: int) -> list[Gap]:
        """The venue numbers anew from this time on: the next trade admitted begins a new epoch.

        Returns what can't be known any more: the holes of the old numbers, and the time between
        the epochs, of which no id can say whether something is missing.
        """
        lost = self.gaps("ids restarted")
        if self.runs:
            lost.append(Gap(self.runs[-1].last_ms, event_ms, "ids restarted"))
        self.runs, self._gaps = [], None
        self.epoch += 1
        return lost

    def newest_keys(self, count: int) -> list[tuple[int, int]]:
        """The newest seen ids with a time not before their own, oldest first."""
        found: list[tuple[int, int]] = []
        for run in reversed(self.runs):
            first = max(run.first, run.last + 1 - (count - len(found)))
            found = [(key, run.last_ms) for key in range(first, run.last + 1)] + found
        return found

    def give_up(self, gap: Gap) -> None:
        """Stop missing the ids of a hole: they count as seen from now on."""
        self._gaps = None
        for place, (a, b) in enumerate(zip(self.runs, self.runs[1:], strict=False)):
            if gap.last_key == b.first - 1:
                self.runs[place : place + 2] = [Run(a.first, b.last, a.first_ms, b.last_ms)]
                return


class UnorderedLedger:
    """Recently seen ids of a stream whose ids say nothing about order.

    `recent`: the newest `RECENT_IDS` as (id, time) in the order of their arrival, `older` what is
    remembered from before these, `older_ms` the newest time that ever left `recent`.
    """

    def __init__(self, seen: Iterable[tuple[int, int]] = (), counts: Counts | None = None) -> None:
        self.recent: deque[tuple[int, int]] = deque(seen)
        self.older: deque[tuple[int, int]] = deque()
        self.ids: set[int] = {key for key, _ in self.recent}
        self.counts = counts or Counts()
        self.newest_ms = max((ms for _, ms in self.recent), default=0)
        self.older_ms = 0
        self.horizon_ms = 0
        self._age()

    def __len__(self) -> int:
        """How many ids are remembered."""
        return len(self.ids)

    def admit(self, keys: Sequence[int], event_ms: Sequence[int]) -> list[tuple[int, int]]:
        """Index spans [i, j) of ids never seen before."""
        count = len(keys)
        new = set(keys)
        if not count or len(new) < count or not self.ids.isdisjoint(new):
            return self._admit_each(keys, event_ms)
        if min(event_ms) < self.horizon_ms:
            return self._admit_each(keys, event_ms)
        self.ids |= new
        self.recent.extend(zip(keys, event_ms, strict=True))
        self.newest_ms = max(self.newest_ms, max(event_ms))
        self.counts.received += count
        self.counts.applied += count
        self._forget()
        return [(0, count)]

    def _admit_each(self, keys: Sequence[int], event_ms: Sequence[int]) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        counts = self.counts
        for index, key in enumerate(keys):
            counts.received += 1
            if key in self.ids:
                counts.duplicate += 1
            elif event_ms[index] < self.horizon_ms:
                counts.quarantine("too_old")
            else:
                counts.applied += 1
                self._remember(key, event_ms[index])
                if spans and spans[-1][1] == index:
                    spans[-1] = (spans[-1][0], index + 1)
                else:
                    spans.append((index, index + 1))
        self._forget()
        return spans

    def reject(self, key: int, event_ms: int, reason: str) -> None:
        """A delivered trade that must not enter a bar still counts as seen."""
        self.counts.received += 1
        if key in self.ids:
            self.counts.duplicate += 1
        else:
            self._remember(key, event_ms)
            self.counts.quarantine(reason)

    @property
    def restart_ms(self) -> int:
        """The horizon of one that remembers `recent` and nothing else."""
        return max(self.horizon_ms, self.older_ms + 1) if self.older_ms else self.horizon_ms

    def _remember(self, key: int, event_ms: int) -> None:
        self.ids.add(key)
        self.recent.append((key, event_ms))
        self.newest_ms = max(self.newest_ms, event_ms)

    def _age(self) -> None:
        """Only the newest ids are recent."""
        recent, older = self.recent, self.older
        while len(recent) > RECENT_IDS:
            one = recent.popleft()
            older.append(one)
            if one[1] > self.older_ms:
                self.older_ms = one[1]

    def _forget(self) -> None:
        """Drop ids beyond the memory; trades older than any dropped id are refused from now on."""
        self._age()
        older, oldest_kept = self.older, self.newest_ms - MEMORY_MS
        surplus = len(older) + len(self.recent) - MEMORY_IDS
        while surplus > 0 and older[0][1] < oldest_kept:
            key, event_ms = older.popleft()
            surplus -= 1
            self.ids.discard(key)
            self.horizon_ms = max(self.horizon_ms, event_ms + 1)


Ledger = ConsecutiveLedger | UnorderedLedger


def _first_of(run: Run) -> int:
    return run.first


def _is_consecutive(keys: Sequence[int]) -> bool:
    first = keys[0]
    return list(keys) == list(range(first, first + len(keys)))
