"""What was seen, what is missing, and that every delivered trade is counted once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orderflow import ledger as module
from orderflow.completeness import Gap
from orderflow.ledger import ConsecutiveLedger, Run, UnorderedLedger

keys_lists = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=8), max_size=25)


def spans_of(ledger: ConsecutiveLedger) -> list[tuple[int, int]]:
    return [(run.first, run.last) for run in ledger.runs]


@given(keys_lists)
def test_any_delivery(batches: list[list[int]]) -> None:
    """Whatever comes in whatever order: the runs are the set of ids, each id was admitted once."""
    ledger = ConsecutiveLedger()
    admitted: list[int] = []
    for keys in batches:
        for i, j in ledger.admit(keys, keys):
            admitted += keys[i:j]
            assert keys[i:j] == list(range(keys[i], keys[i] + j - i))
    seen = {key for keys in batches for key in keys}
    assert sorted(admitted) == sorted(seen)
    covered = [key for first, last in spans_of(ledger) for key in range(first, last + 1)]
    assert covered == sorted(seen)
    assert ledger.counts.balanced
    assert ledger.counts.duplicate == sum(map(len, batches)) - len(seen)
    missing = {
        key for gap in ledger.gaps() for key in range(gap.first_key or 0, (gap.last_key or 0) + 1)
    }
    assert missing == set(range(min(seen, default=0), max(seen, default=-1) + 1)) - seen


def test_next_key() -> None:
    """The cursor follows the newest id; nothing before the first trade."""
    ledger = ConsecutiveLedger()
    assert ledger.next_key is None
    ledger.admit([7, 8], [1, 2])
    assert ledger.next_key == 9


def test_repeated_ids_inside_a_batch() -> None:
    """A batch that begins well and repeats an id does not count it twice."""
    ledger = ConsecutiveLedger([Run(1, 4, 0, 0)])
    assert ledger.admit([5, 6, 6, 7], [0] * 4) == [(0, 2), (3, 4)]
    assert spans_of(ledger) == [(1, 7)]
    assert ledger.counts.duplicate == 1


def test_rejected_trades_count_as_seen() -> None:
    """A quarantine is no gap; the same id twice is a duplicate; before everything it is no hole."""
    ledger = ConsecutiveLedger()
    ledger.admit([10], [1])
    ledger.reject(11, 2, "zero_qty")
    ledger.admit([12], [3])
    assert ledger.gaps() == []
    ledger.reject(11, 2, "zero_qty")
    ledger.reject(3, 0, "not_market")
    assert ledger.gaps() == []
    assert ledger.counts.quarantined == {"zero_qty": 1, "not_market": 1}
    assert ledger.counts.duplicate == 1
    assert ledger.counts.balanced


def test_giving_up_a_hole() -> None:
    """Ids of a hole that was given up count as seen; other holes stay."""
    ledger = ConsecutiveLedger()
    ledger.admit([1, 5, 9], [1, 5, 9])
    ledger.give_up(Gap(1, 5, "lost", 2, 4))
    assert [(gap.first_key, gap.last_key) for gap in ledger.gaps()] == [(6, 8)]
    assert ledger.admit([3], [3]) == []
    ledger.give_up(Gap(0, 0, "unknown", 100, 101))
    assert [(gap.first_key, gap.last_key) for gap in ledger.gaps()] == [(6, 8)]


@given(st.lists(st.integers(0, 30), max_size=60))
def test_unordered_ids(keys: list[int]) -> None:
    """Each unordered id is admitted once, in any order."""
    ledger = UnorderedLedger()
    admitted = [keys[k] for i, j in ledger.admit(keys, [1_000] * len(keys)) for k in range(i, j)]
    assert sorted(admitted) == sorted(set(keys))
    assert ledger.counts.balanced


def test_unordered_memory_is_by_time(monkeypatch: object) -> None:
    """Ids older than the memory are forgotten, and trades that old are refused, never counted."""
    ledger = UnorderedLedger()
    count = module.MEMORY_IDS
    ledger.admit(list(range(count)), [1_000] * count)
    late = 1_000 + module.MEMORY_MS + 1
    ledger.admit([count], [late])
    assert len(ledger) == count
    assert ledger.horizon_ms == 1_001
    assert ledger.admit([0], [1_000]) == []
    assert ledger.counts.quarantined == {"too_old": 1}
    assert ledger.admit([count + 1], [1_001]) == [(0, 1)]
    assert ledger.counts.balanced


def test_unordered_rejections() -> None:
    """A rejected unordered trade is remembered, so that it is counted once."""
    ledger = UnorderedLedger()
    ledger.reject(5, 10, "block_trade")
    ledger.reject(5, 10, "block_trade")
    assert ledger.counts.quarantined == {"block_trade": 1}
    assert ledger.counts.duplicate == 1
    assert ledger.admit([5], [10]) == []
    restored = UnorderedLedger([*ledger.older, *ledger.recent])
    assert restored.admit([5, 6], [10, 11]) == [(1, 2)]
    assert restored.newest_ms == 11


def test_a_new_numbering() -> None:
    """After a restart of the numbers old holes and the time between are unknowable, ids begin
    anew."""
    ledger = ConsecutiveLedger()
    assert ledger.restart(5) == []
    ledger.admit([10, 11, 15], [100, 101, 105])
    lost = ledger.restart(900)
    assert [(gap.first_key, gap.last_key) for gap in lost] == [(12, 14), (None, None)]
    assert (lost[1].start_ms, lost[1].end_ms) == (105, 900)
    assert (ledger.epoch, ledger.next_key) == (2, None)
    assert ledger.admit([1, 2], [900, 901]) == [(0, 2)]
    assert ledger.counts.balanced


def test_held_and_refused_trades_are_counted() -> None:
    """A held trade is accounted for before and after the decision; a refused one is not seen."""
    ledger = ConsecutiveLedger()
    ledger.counts.hold(2)
    assert (ledger.counts.received, ledger.counts.held) == (2, 2)
    assert ledger.counts.balanced
    ledger.counts.release(2)
    ledger.counts.refuse("old_epoch")
    assert ledger.counts.quarantined == {"old_epoch": 1}
    assert ledger.counts.balanced
    assert ledger.runs == []


def test_newest_keys() -> None:
    """The newest ids over several runs, oldest first, and no more than asked for."""
    ledger = ConsecutiveLedger([Run(1, 3, 10, 13), Run(7, 9, 17, 19)])
    assert ledger.newest_keys(2) == [(8, 19), (9, 19)]
    assert [key for key, _ in ledger.newest_keys(5)] == [2, 3, 7, 8, 9]
    assert [key for key, _ in ledger.newest_keys(50)] == [1, 2, 3, 7, 8, 9]
