"""Histogram: exact counts of values in fixed buckets, so that any grouping merges to the same.

Buckets are absolute, hence independent of tick, lot, venue and day. `decimal_bucket` keeps the
three leading digits of a number: a bucket is at most 1 % of its lower edge wide (100 to 101), and
numbers of at most three significant digits are exact. `share_bucket` cuts -1..1 in steps of 0.005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from orderflow.errors import DomainError

DIGITS = 3
SMALLEST_LEAD = 100
PER_DECADE = 900
LOWEST_EXPONENT = -40
RELATIVE_ERROR = Decimal(1).scaleb(1 - DIGITS)
"""A decimal bucket is at most this share of its lower edge wide."""
SHARE_STEPS = 200
SHARE_ERROR = Decimal(1) / SHARE_STEPS
"""A share bucket is this wide (the one of 0 on both sides)."""
PERCENT_PLACES = Decimal("0.01")


def decimal_bucket(value: Decimal) -> int:
    """Bucket of a number; negative ones mirror positive ones, 0 has bucket 0.

    DomainError below 1e-40 in size, or when it is not finite.
    """
    if not value.is_finite():
        raise DomainError("only finite numbers have a bucket")
    if value == 0:
        return 0
    exponent = value.adjusted()
    if exponent < LOWEST_EXPONENT:
        raise DomainError(f"{value} is too small to be counted")
    lead = int(abs(value).scaleb(DIGITS - 1 - exponent))
    found = (exponent - LOWEST_EXPONENT) * PER_DECADE + lead - SMALLEST_LEAD + 1
    return -found if value < 0 else found


def decimal_edge(bucket: int) -> Decimal:
    """The number of a decimal bucket that is nearest to zero."""
    if bucket == 0:
        return Decimal(0)
    exponent, lead = divmod(abs(bucket) - 1, PER_DECADE)
    edge = Decimal(lead + SMALLEST_LEAD).scaleb(exponent + LOWEST_EXPONENT - DIGITS + 1)
    return -edge if bucket < 0 else edge


def share_bucket(part: int, whole: int) -> int:
    """Bucket of part / whole for a positive whole: whole steps away from zero, exact."""
    if whole <= 0:
        raise DomainError("a share needs a positive whole")
    steps = abs(part) * SHARE_STEPS // whole
    return -steps if part < 0 else steps


class Rank(msgspec.Struct, gc=False, frozen=True):
    """Where a value stands among `n`: `below` in lower buckets, `same` in its own."""

    n: int
    below: int
    same: int

    @property
    def at_least(self) -> Decimal | None:
        """Percent of values that are surely below."""
        return percent(2 * self.below, 2 * self.n)

    @property
    def at_most(self) -> Decimal | None:
        """Percent of values that may be below or equal."""
        return percent(2 * (self.below + self.same), 2 * self.n)

    @property
    def percentile(self) -> Decimal | None:
        """Mean rank in percent, the value's own bucket counted half; None without values."""
        return percent(2 * self.below + self.same, 2 * self.n)


def percent(part: int, whole: int) -> Decimal | None:
    """100 x part / whole to two places; None without a whole."""
    if whole == 0:
        return None
    return (Decimal(100 * part) / whole).quantize(PERCENT_PLACES, ROUND_HALF_EVEN)


class Histogram:
    """Counts by bucket. Merging is addition: associative, commutative, the empty one neutral."""

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    @property
    def n(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    def add(self, bucket: int) -> None:
        """Count one value."""
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def rank(self, bucket: int) -> Rank:
        """Where a value of this bucket stands."""
        below = sum(count for key, count in self.counts.items() if key < bucket)
        return Rank(self.n, below, self.counts.get(bucket, 0))

    def quantile_bucket(self, numerator: int, denominator: int) -> int | None:
        """The lowest bucket at or below which at least that share of values lies."""
        total, seen = self.n, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen * denominator >= total * numerator:
                return bucket
        return None

    def folded(self) -> Histogram:
        """The sizes of the values: a mirrored bucket counts as its positive one."""
        sizes: dict[int, int] = {}
        for bucket, count in self.counts.items():
            sizes[abs(bucket)] = sizes.get(abs(bucket), 0) + count
        return Histogram(sizes)


def merge(parts: Iterable[Histogram]) -> Histogram:
    """All counts together."""
    total: dict[int, int] = {}
    for part in parts:
        for bucket, count in part.counts.items():
            total[bucket] = total.get(bucket, 0) + count
    return Histogram(total)
