"""The row ladder: rows nest, fit every tick, and the served row follows the timeframe."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow import grid
from orderflow.errors import DomainError, ValidationError
from orderflow.timeframe import TIMEFRAMES

sizes = st.builds(
    lambda digits, power: Decimal(digits).scaleb(power), st.integers(1, 99_999), st.integers(-10, 3)
)
ticks = st.lists(
    st.builds(
        lambda units, places: Decimal(units).scaleb(-places),
        st.sampled_from([1, 2, 5, 25]),
        st.integers(0, 8),
    ),
    min_size=1,
    max_size=4,
)
ranges = st.builds(
    lambda digits, power: Decimal(digits).scaleb(power), st.integers(1, 9_999), st.integers(-6, 2)
)


def on_ladder(step: Decimal) -> bool:
    """1 or 5 times a power of ten."""
    return step.normalize().as_tuple().digits in {(1,), (5,)}


@given(sizes)
def test_smallest_step_not_below(size: Decimal) -> None:
    """The step is on the ladder, not below the size, and the one under it would be."""
    step = grid.step_at_least(size)
    assert on_ladder(step)
    assert step >= size
    digits = step.normalize().as_tuple().digits
    under = step / (5 if digits == (5,) else 2)
    assert on_ladder(under)
    assert under < size


@given(sizes)
def test_ladder_nests(size: Decimal) -> None:
    """Every rung is a whole multiple of every rung under it."""
    rungs = grid.allowed_rows(grid.step_at_least(size), 9)
    assert len(rungs) == 9
    assert all(on_ladder(rung) for rung in rungs)
    for low, high in pairwise(rungs):
        assert high > low
        assert high % low == 0
    assert rungs[-1] % rungs[0] == 0


@given(sizes)
def test_rungs_are_plain(size: Decimal) -> None:
    """Rows are written without an exponent, as they are served."""
    assert "E" not in str(grid.step_at_least(size) if size >= 1 else Decimal(1))
    assert grid.plain(size) == size
    assert "E+" not in str(grid.plain(size))


@given(ticks, ranges)
def test_base_row(found: list[Decimal], hour_range: Decimal) -> None:
    """A base row is on the ladder, a whole multiple of every venue's tick, and a typical hour
    spans at most so many of it."""
    row = grid.base_row(found, hour_range)
    assert on_ladder(row)
    assert grid.fits(row, found)
    assert hour_range / row <= grid.BASE_ROWS_PER_HOUR


@given(ticks, ranges)
def test_served_rows(found: list[Decimal], hour_range: Decimal) -> None:
    """Served rows are whole multiples of the base row and never shrink with the timeframe."""
    base = grid.base_row(found, hour_range)
    served = [grid.served_row(base, hour_range, name) for name in TIMEFRAMES]
    assert served == sorted(served)
    for name, row in zip(TIMEFRAMES, served, strict=True):
        assert row % base == 0
        assert hour_range * grid.SQUARE_ROOT_OF_TIME[name] / row <= grid.SERVED_ROWS


def test_rows_follow_the_root_of_time() -> None:
    """Four hours span twice the range of one, a day almost five times."""
    roots = grid.SQUARE_ROOT_OF_TIME
    assert (roots["1h"], roots["4h"], roots["15m"]) == (1, 2, Decimal("0.5"))
    assert roots["1d"] == Decimal("4.90")


@given(st.integers(1, 60), st.sampled_from([Decimal("0.5"), Decimal(1), Decimal(10)]))
def test_asked_rows(times: int, base: Decimal) -> None:
    """A whole multiple of the base row is honoured; half a row more names what is allowed."""
    assert grid.checked_row(base * times, base) == base * times
    with pytest.raises(ValidationError, match="whole multiple"):
        grid.checked_row(base * times + base / 2, base)


@pytest.mark.parametrize("asked", ["0", "-5"])
def test_asked_row_is_positive(asked: str) -> None:
    """Nothing and less than nothing is no row size; the message gives sizes to choose from."""
    with pytest.raises(ValidationError, match="5, 10, 50, 100, 500, 1000, 5000"):
        grid.checked_row(Decimal(asked), Decimal(5))


@given(st.lists(ranges, min_size=1, max_size=30))
def test_median_range(found: list[Decimal]) -> None:
    """The median is one of the ranges, and not more than half are above it."""
    median = grid.median_range(found, Decimal(7))
    assert median in found
    assert 2 * sum(value > median for value in found) <= len(found)
    assert 2 * sum(value < median for value in found) <= len(found)


def test_median_ignores_dead_hours() -> None:
    """Hours without movement say nothing about the range; without any the price decides."""
    assert grid.median_range([Decimal(0), Decimal(0), Decimal(4)], Decimal(1)) == 4
    assert grid.median_range([Decimal(0)], Decimal(2_000)) == 18


def test_sizes_that_can_not_be() -> None:
    """A size that is not positive, and a tick no rung is a multiple of, are refused."""
    for size in ("0", "-1"):
        with pytest.raises(DomainError, match="positive"):
            grid.step_at_least(Decimal(size))
    with pytest.raises(DomainError, match=r"0\.07"):
        grid.smallest_row([Decimal("0.07"), Decimal("0.1")], Decimal(1))


def test_rows_of_two_venues() -> None:
    """A tick of 0.25 beside one of 0.1 needs rows of 0.5."""
    assert grid.smallest_row([Decimal("0.1"), Decimal("0.25")], Decimal("0.1")) == Decimal("0.5")
    assert grid.fits(Decimal("0.5"), [Decimal("0.1"), Decimal("0.25")])
    assert not grid.fits(Decimal("0.5"), [Decimal("0.2")])
