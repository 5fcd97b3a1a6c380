"""Quantiles without interpolation: always a value that occurred, so whole numbers stay whole.

Nearest rank (definition 1 of Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

from orderflow.errors import DomainError

Exact = TypeVar("Exact", int, Fraction)


def rank(count: int, pct: int) -> int:
    """The place, from 1, of the quantile in `count` sorted values; DomainError outside 0..100."""
    if not 0 <= pct <= 100:
        raise DomainError(f"a percentile is between 0 and 100, got {pct}")
    return max(1, -(-pct * count // 100))


def quantile(values: Iterable[Exact], pct: int) -> Exact | None:
    """The smallest value that at least `pct` percent of the values don't exceed; None of none."""
    ordered = sorted(values)
    return ordered[rank(len(ordered), pct) - 1] if ordered else None


def counted_quantile(counts: Mapping[int, int], pct: int) -> int | None:
    """The same of values given as value to count; None when all counts are zero."""
    total = sum(counts.values())
    place = rank(total, pct)
    for value in sorted(counts):
        place -= counts[value]
        if place <= 0 and total:
            return value
    return None
