"""Composite and profile algebra: exact sums in any order, exact differences, exact distances."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow.errors import MergeError
from orderflow.footprint import FootprintBar, Row, sum_rows
from orderflow.indicators.composite import composite, merged, removed
from orderflow.indicators.profile_algebra import compare, delta_by_row, merge, subtract
from orderflow.indicators.volume_profile import profile
from orderflow.timeframe import DAY_MS

trades = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 9), st.booleans()), min_size=1, max_size=12
)
profiles = st.dictionaries(
    st.integers(-15, 15),
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 3)),
    max_size=10,
)


def days(found: list[list[Trade]]) -> list[FootprintBar]:
    """Every second day, so that the windows are no neighbours."""
    return [bar_of(trades, 2 * k * DAY_MS) for k, trades in enumerate(found)]


@given(trades, trades, trades, st.permutations([0, 1, 2]))
def test_composite_in_any_order_and_grouping(
    a: list[Trade], b: list[Trade], c: list[Trade], order: list[int]
) -> None:
    """The sum is the same in any order and grouping; removing what was added restores it."""
    bars = days([a, b, c])
    whole = composite(bars)
    assert composite([bars[k] for k in order]) == whole
    parts = [composite([bar]) for bar in bars]
    assert merged([merged(parts[:2]), parts[2]]) == merged([parts[0], merged(parts[1:])]) == whole
    assert removed(whole, bars[0]) == composite(bars[1:])
    assert whole.rows == sum_rows(bar.rows for bar in bars)
    assert whole.total_lots == sum(lots for found in (a, b, c) for _, lots, _ in found)


def test_nothing_counts_twice() -> None:
    """The same window twice, or two that overlap, are refused (60 must not become 120)."""
    bar = bar_of([(5, 60, True)])
    with pytest.raises(MergeError, match="overlap"):
        composite([bar, bar])
    with pytest.raises(MergeError):
        composite([])
    whole = composite([bar, bar_of([(5, 1, True)], DAY_MS)])
    with pytest.raises(MergeError, match="no window"):
        removed(whole, bar_of([(5, 1, True)], 5 * DAY_MS))
    with pytest.raises(MergeError, match="revision"):
        removed(whole, bar_of([(5, 62, True)]))


def test_empty_days_and_grids() -> None:
    """An empty day adds its window only; a finer lot and wider rows are met exactly."""
    bar = bar_of([(5, 2, True), (7, 3, False)])
    empty = bar_of([], DAY_MS)
    whole = composite([bar, empty])
    assert whole.rows == composite([bar]).rows
    assert len(whole.windows) == 2
    fine = msgspec.structs.replace(
        bar_of([(12, 4, True)], DAY_MS).rescaled(Decimal(1), Decimal("0.5")), row_size=Decimal(5)
    )
    both = composite([bar, msgspec.structs.replace(fine, rows={2: (8, 0, 1)})])
    assert (both.lot_size, both.row_size) == (Decimal("0.5"), Decimal(5))
    assert both.rows == {1: (4, 6, 2), 2: (8, 0, 1)}


@given(profiles, profiles)
def test_subtract_undoes_merge(a: dict[int, Row], b: dict[int, Row]) -> None:
    """(a + b) - b is a, exactly; taking more than there is is refused."""
    whole = merge([a, b])
    assert subtract(whole, b) == {row: value for row, value in a.items() if any(value)}
    assert merge([a, b]) == merge([b, a])
    if b:
        with pytest.raises(MergeError):
            subtract(a, merge([a, b]))


@given(profiles, profiles)
def test_distances(a: dict[int, Row], b: dict[int, Row]) -> None:
    """Distances equal their textbook sums over every row, are symmetric, and 0 to oneself."""
    found, back = compare(a, b), compare(b, a)
    shares = []
    for rows in (a, b):
        total = sum(buy + sell for buy, sell, _ in rows.values())
        if not total:
            assert found is None
            return
        dense = range(-15, 16)
        shares.append([Fraction(sum(rows.get(row, (0, 0, 0))[:2]), total) for row in dense])
    assert found is not None
    assert back is not None
    p, q = shares
    cumulated = [sum(p[: k + 1]) - sum(q[: k + 1]) for k in range(len(p))]
    assert found.overlap == sum(min(x, y) for x, y in zip(p, q, strict=True))
    assert found.total_variation == sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2
    assert found.largest_gap == max(map(abs, cumulated))
    assert found.transport_rows == sum(map(abs, cumulated))
    assert abs(cumulated[found.largest_gap_row + 15]) == found.largest_gap
    assert (found.overlap, found.transport_rows) == (back.overlap, back.transport_rows)
    assert found.poc_shift_rows == -back.poc_shift_rows
    same = compare(a, a)
    assert same is not None
    assert (same.overlap, same.largest_gap, same.transport_rows) == (1, 0, 0)


@given(profiles, profiles)
def test_difference_by_row(a: dict[int, Row], b: dict[int, Row]) -> None:
    """Differences add up to the differences of the totals, and shift with the profile."""
    found = delta_by_row(a, b)
    lots = [sum(buy + sell for buy, sell, _ in rows.values()) for rows in (a, b)]
    deltas = [sum(buy - sell for buy, sell, _ in rows.values()) for rows in (a, b)]
    assert sum(volume for volume, _ in found.values()) == lots[0] - lots[1]
    assert sum(delta for _, delta in found.values()) == deltas[0] - deltas[1]


@given(profiles, st.integers(-9, 9))
def test_a_shifted_market_is_transported(a: dict[int, Row], shift: int) -> None:
    """A profile and the same one `shift` rows higher are exactly that many rows apart."""
    found = compare(a, {row + shift: value for row, value in a.items()})
    if profile(a) is not None:
        assert found is not None
        assert found.transport_rows == abs(shift)
