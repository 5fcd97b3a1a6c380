"""Raw trades to aggregates and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.columns import (
    ADL,
    BUYER,
    EMIT,
    EVENT,
    FIRST,
    KEY,
    KIND,
    LAST,
    PRICE,
    QTY,
    WIDTH,
    Columns,
    Ints,
    aggregated,
    in_order,
    joined,
    split,
)

_trades = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(10, 12), st.integers(1, 50), st.booleans(), st.integers(0, 9)
    ),
    min_size=1,
    max_size=60,
)


def _raw(trades: list[tuple[int, int, int, bool, int]]) -> Ints:
    data = np.zeros((WIDTH, len(trades)), np.int64)
    data[EVENT] = np.cumsum([trade[0] for trade in trades])
    data[EMIT] = data[EVENT] + 1
    data[PRICE] = [trade[1] for trade in trades]
    data[QTY] = [trade[2] for trade in trades]
    data[BUYER] = [trade[3] for trade in trades]
    # One in ten ids is missing, as in the archive's raw files.
    ids = np.cumsum([2 if trade[4] == 0 else 1 for trade in trades])
    data[KEY] = data[FIRST] = data[LAST] = ids
    return data


@given(_trades)
def test_aggregates_merge_exactly_the_runs_of_price_side_and_millisecond(
    trades: list[tuple[int, int, int, bool, int]],
) -> None:
    """Ids are consecutive, f and l are true, sums are kept and no mergeable neighbours remain."""
    raw = _raw(trades)
    found = aggregated(raw, 500)
    assert found[KEY].tolist() == list(range(500, 500 + found.shape[1]))
    assert found[QTY].sum() == raw[QTY].sum()
    covered = [
        i for f, last in zip(found[FIRST], found[LAST], strict=True) for i in range(f, last + 1)
    ]
    assert covered == raw[KEY].tolist()
    for n in range(1, found.shape[1]):
        same = all(found[i, n] == found[i, n - 1] for i in (EVENT, PRICE, BUYER))
        assert not (same and found[FIRST, n] == found[LAST, n - 1] + 1)


@given(_trades)
def test_splitting_aggregates_gives_back_ids_sums_and_the_same_aggregates(
    trades: list[tuple[int, int, int, bool, int]],
) -> None:
    """Both replays of one tape agree in ids, quantity per aggregate and order."""
    raw = _raw(trades)
    raw[QTY] += 100  # at least one lot for every fill of an aggregate
    once = aggregated(raw, 1)
    fills = split(once)
    assert fills[KEY].tolist() == raw[KEY].tolist()
    assert (fills[QTY] > 0).all()
    again = aggregated(fills, 1)
    assert np.array_equal(again, once)


def test_aggregates_leave_out_trades_that_no_bar_may_count() -> None:
    """An ADL fill takes its trade id but is in no aggregate."""
    raw = _raw([(0, 10, 5, True, 1), (0, 10, 7, True, 1), (0, 10, 9, True, 1)])
    raw[KIND, 1] = ADL
    found = aggregated(raw, 1)
    assert found[QTY].tolist() == [5, 9]
    assert found[FIRST].tolist() == found[LAST].tolist() == [1, 3]


def test_rows_stay_addressable_when_old_ones_are_dropped() -> None:
    """Logical row numbers survive trimming, and dropped rows are simply not there."""
    columns = Columns()
    for start in range(0, 1000, 10):
        data = np.zeros((WIDTH, 10), np.int64)
        data[EMIT] = data[KEY] = np.arange(start, start + 10)
        columns.append(data, keep_rows=100)
    assert len(columns) == 1000
    assert columns.dropped > 0
    assert [row[KEY] for row in columns.rows(990, 995)] == [990, 991, 992, 993, 994]
    assert columns.find(EMIT, 995) == 995
    assert columns.rows(0, 5) == []


def test_stretches_join_without_repeating_ids_and_in_time_order() -> None:
    """Overlapping recordings of one market count each id once; emission never runs back."""
    raw = _raw([(1, 10, 5, True, 1)] * 10)
    whole = joined([raw[:, 4:].copy(), raw[:, :6].copy()])
    assert whole[KEY].tolist() == raw[KEY].tolist()
    raw[EMIT, 3] = 0
    assert (np.diff(in_order(raw)[EMIT]) >= 0).all()
