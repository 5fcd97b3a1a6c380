"""Histograms: merges in any grouping, ranks within their stated bound."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import DomainError
from orderflow.histogram import (
    RELATIVE_ERROR,
    SHARE_STEPS,
    Histogram,
    decimal_bucket,
    decimal_edge,
    merge,
    percent,
    share_bucket,
)

NUMBERS = st.one_of(
    st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=8),
    st.integers(-(10**15), 10**15).map(Decimal),
    st.just(Decimal(0)),
)
VALUES = st.lists(NUMBERS, min_size=1, max_size=60)


def histogram(values: Sequence[Decimal]) -> Histogram:
    found = Histogram()
    for value in values:
        found.add(decimal_bucket(value))
    return found


@given(NUMBERS)
def test_buckets_hold_their_bound(value: Decimal) -> None:
    """A number lies between its bucket's edge and 1 % beyond it, away from zero."""
    edge = decimal_edge(decimal_bucket(value))
    assert abs(edge) <= abs(value)
    assert abs(value) - abs(edge) <= abs(edge) * RELATIVE_ERROR
    assert (edge < 0) == (value < 0)
    assert decimal_bucket(edge) == decimal_bucket(value)


@given(NUMBERS, NUMBERS)
def test_buckets_keep_the_order(a: Decimal, b: Decimal) -> None:
    """A larger number is never in a lower bucket; three digits are told apart exactly."""
    if a < b:
        assert decimal_bucket(a) <= decimal_bucket(b)
    assert decimal_bucket(-a) == -decimal_bucket(a)


@given(st.integers(1, 998), st.integers(-8, 8))
def test_three_digits_are_exact(lead: int, exponent: int) -> None:
    """Neighbouring numbers of three significant digits have buckets of their own."""
    a, b = Decimal(lead).scaleb(exponent), Decimal(lead + 1).scaleb(exponent)
    assert decimal_bucket(a) < decimal_bucket(b)
    assert decimal_edge(decimal_bucket(a)) == a


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9))
def test_shares(part: int, whole: int) -> None:
    """A share is in whole steps towards zero, mirrored."""
    bucket = share_bucket(part, whole)
    assert abs(bucket) * whole <= abs(part) * SHARE_STEPS < (abs(bucket) + 1) * whole
    assert share_bucket(-part, whole) == -bucket


@given(VALUES, st.data())
def test_merge_in_any_grouping(values: list[Decimal], data: st.DataObject) -> None:
    """However values are cut, shuffled and merged, the counts are the same."""
    shuffled = data.draw(st.permutations(values))
    cut = data.draw(st.integers(0, len(values)))
    parts = [histogram(shuffled[:cut]), histogram(shuffled[cut:]), Histogram()]
    again = merge([parts[0], merge(parts[1:])])
    assert again == merge(data.draw(st.permutations(parts))) == histogram(values)
    assert again.n == len(values)


@given(VALUES, NUMBERS)
def test_ranks_enclose_the_truth(values: list[Decimal], asked: Decimal) -> None:
    """The exact ranks of pandas lie inside the stated bounds; with single buckets they meet."""
    found = histogram(values).rank(decimal_bucket(asked))
    below = sum(value < asked for value in values)
    through = sum(value <= asked for value in values)
    assert found.below <= below <= through <= found.below + found.same
    series = pd.Series([float(decimal_edge(decimal_bucket(v))) for v in values])
    edge = float(decimal_edge(decimal_bucket(asked)))
    assert found.n == len(series)
    assert found.below == int((series < edge).sum())
    assert found.same == int((series == edge).sum())


def test_percentile_of_exact_values() -> None:
    """Values of three digits: the mean rank is that of pandas, to two places."""
    draw = np.random.default_rng(1)
    values = [Decimal(int(v)) for v in draw.integers(-999, 1_000, 500)]
    series = pd.Series([float(v) for v in values])
    counted = histogram(values)
    for asked in values[:100]:
        below, same = (series < float(asked)).sum(), (series == float(asked)).sum()
        mean = (2 * below + same) / (2 * len(series)) * 100
        found = counted.rank(decimal_bucket(asked)).percentile
        assert found is not None
        assert abs(float(found) - mean) <= 0.005 + 1e-9


@given(VALUES, st.integers(1, 99))
def test_quantiles(values: list[Decimal], share: int) -> None:
    """A quantile's bucket is that of the order statistic."""
    ordered = sorted(values)
    exact = ordered[max(1, -(-len(ordered) * share // 100)) - 1]
    assert histogram(values).quantile_bucket(share, 100) == decimal_bucket(exact)


def test_magnitudes() -> None:
    """Folded, a value and its mirror are the same size."""
    folded = histogram([Decimal(-5), Decimal(5), Decimal(0)]).folded()
    assert folded.rank(decimal_bucket(Decimal(5))).same == 2


def test_nothing_and_nonsense() -> None:
    """Without values there is no percentile; what can't be counted is refused."""
    assert Histogram().rank(1).percentile is None
    assert Histogram().quantile_bucket(1, 2) is None
    assert percent(1, 0) is None
    for wrong in (Decimal("NaN"), Decimal("Infinity"), Decimal("1e-50")):
        with pytest.raises(DomainError):
            decimal_bucket(wrong)
    with pytest.raises(DomainError):
        share_bucket(1, 0)
