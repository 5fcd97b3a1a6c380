"""Nearest-rank quantiles."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import DomainError
from orderflow.quantile import counted_quantile, quantile, rank


@given(st.lists(st.integers(-50, 50), min_size=1), st.integers(0, 100))
def test_the_smallest_that_covers(values: list[int], pct: int) -> None:
    """At least pct percent don't exceed it, and no smaller value of the sample does that."""
    found = quantile(values, pct)
    assert found is not None

    def covered(limit: int) -> int:
        return 100 * sum(value <= limit for value in values)

    assert covered(found) >= pct * len(values)
    assert all(covered(value) < pct * len(values) or pct == 0 for value in values if value < found)


@given(st.lists(st.integers(0, 9)), st.integers(0, 100))
def test_counts_are_the_same(values: list[int], pct: int) -> None:
    """Values given as counts have the same quantile; of none there is none."""
    assert counted_quantile(Counter(values), pct) == quantile(values, pct)


def test_outside() -> None:
    """A percentile is between 0 and 100."""
    with pytest.raises(DomainError):
        rank(5, 101)
    assert quantile([], 50) is None
    assert counted_quantile({3: 0}, 50) is None
