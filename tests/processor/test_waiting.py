"""Small batches and bursts wait together; the trades of each instrument keep their order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch
from processor.pool import burst_of
from processor.waiting import Trades, Waiting

NAMES = ["a:spot:A", "a:spot:B", "a:spot:C"]
AT_MS = 1_735_689_600_000


class Tape:
    """The next trades of each instrument, ids without holes."""

    def __init__(self) -> None:
        self.next = dict.fromkeys(NAMES, 1)

    def batch(self, name: str, count: int, *, plain: bool = True, scale: int = 0) -> TradeBatch:
        first = self.next[name]
        self.next[name] += count
        keys = list(range(first, first + count))
        row = ([AT_MS] * count, [1_000] * count, [5] * count, [1] * count)
        ids: dict[str, list[int]] = {}
        if plain:
            ids = {"n_trades": [1] * count, "first_trade_id": keys, "last_trade_id": keys}
        return TradeBatch(name, keys, *row, scale=scale, **ids)

    def burst(self, sizes: list[int]) -> MixedTrades:
        batches = [self.batch(n, size) for n, size in zip(NAMES, sizes, strict=True) if size]
        found = burst_of(batches)
        assert found is not None
        return found


STEPS = st.one_of(
    st.tuples(st.just("batch"), st.integers(0, 2), st.integers(1, 700)),
    st.tuples(st.just("odd"), st.integers(0, 2), st.integers(1, 3)),
    st.tuples(st.just("rescaled"), st.integers(0, 2), st.integers(1, 3)),
    st.tuples(st.just("burst"), st.integers(1, 300), st.integers(0, 300)),
    st.tuples(st.just("ask"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("tick"), st.just(0), st.just(0)),
)


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=80, deadline=None)
def test_every_trade_comes_out_once_in_its_order(steps: list[tuple[str, int, int]]) -> None:
    """However batches, bursts, questions and ticks follow each other."""
    tape, waiting = Tape(), Waiting()
    out: dict[str, list[int]] = {name: [] for name in NAMES}

    def applied(found: list[Trades]) -> None:
        for one in found:
            for batch in one.batches() if isinstance(one, MixedTrades) else [one]:
                out[batch.instrument] += batch.key

    kinds = {"batch": {}, "odd": {"plain": False}, "rescaled": {"scale": 1}}
    for what, a, b in steps:
        if what in kinds:
            applied(waiting.add(tape.batch(NAMES[a], b, **kinds[what])))
        elif what == "burst":
            applied(waiting.add(tape.burst([a, b, a])))
        elif what == "ask":
            applied(waiting.take(NAMES[a]))
            assert NAMES[a] not in waiting
            assert out[NAMES[a]] == list(range(1, tape.next[NAMES[a]]))
        else:
            waiting.begin_turn()
            applied(waiting.take_some())
        for name in NAMES:
            assert len(out[name]) + waiting.size(name) == tape.next[name] - 1
    applied(waiting.take_all())
    assert out == {name: list(range(1, end)) for name, end in tape.next.items()}


def test_batches_as_a_burst() -> None:
    """Columns as they were, an instrument once; what a burst has no column for is not taken."""
    tape = Tape()
    batches = [tape.batch(NAMES[1], 3), tape.batch(NAMES[1], 2), tape.batch(NAMES[0], 1)]
    burst = burst_of(batches)
    assert burst is not None
    assert (burst.instruments, burst.edges) == ([NAMES[1], NAMES[0]], [0, 5, 6])
    assert burst.key.tolist() == [1, 2, 3, 4, 5, 1]
    assert burst.key.dtype == np.int64
    assert burst_of([*batches, tape.batch(NAMES[0], 1, plain=False)]) is None
    large = tape.batch(NAMES[2], 1)
    large.key = [2**64]
    assert burst_of([large]) is None
    live, repaired = tape.batch(NAMES[0], 1), tape.batch(NAMES[0], 1)
    repaired.source = "rest"
    assert burst_of([live, repaired]) is None
