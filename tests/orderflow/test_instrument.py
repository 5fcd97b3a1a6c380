"""Prices and quantities as whole steps: exact from text, exact from doubles, or refused."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow.errors import DomainError, OffGridError
from orderflow.instrument import Instrument, Market, Step, common_step

UNITS = st.sampled_from([1, 2, 5, 25, 125])
PLACES = st.integers(0, 10)
steps = st.builds(lambda units, places: Step(Decimal(units).scaleb(-places)), UNITS, PLACES)


def text_of(digits: int, places: int) -> str:
    """`digits` with a point before the last `places` of them."""
    return f"{Decimal(digits).scaleb(-places):f}"


def outcome(read: object, value: object) -> int | None:
    """Whole steps, or None where the value is refused."""
    try:
        return read(value)  # type: ignore[operator]
    except OffGridError:
        return None


@given(steps, st.integers(0, 10**15 - 1), PLACES)
@example(Step(Decimal("0.1")), 3, 1)
@example(Step(Decimal("0.01")), 999_999_999_999_999, 2)
@example(Step(Decimal("0.00001")), 999_999_999_999_999, 5)
@example(Step(Decimal("0.01")), 115, 2)
def test_doubles_equal_decimals(step: Step, digits: int, places: int) -> None:
    """Read as a double or as text: the same whole steps, or refused both times, for every decimal
    of at most 15 digits below 10**15 of the step's last decimal."""
    text = text_of(digits, places)
    if Decimal(text) * 10**step.decimals < 10**15:
        assert outcome(step.steps_of_float, float(text)) == outcome(step.steps, text)


@given(steps, st.integers(1, 10**9))
def test_on_grid_round_trip(step: Step, count: int) -> None:
    """Every whole number of steps survives text and double."""
    value = step.value(count)
    assert value == step.size * count
    assert step.steps(f"{value:f}") == count
    if count * step.units < 10**15:
        assert step.steps_of_float(float(value)) == count


@given(steps, st.integers(1, 10**6), st.integers(1, 9))
def test_off_grid_is_refused(step: Step, count: int, rest: int) -> None:
    """A tenth of a step's last decimal off the grid is refused, by text and by double."""
    value = step.value(count) + Decimal(rest).scaleb(-step.decimals - 1)
    with pytest.raises(OffGridError, match="no multiple of"):
        step.steps(f"{value:f}")
    if len(value.as_tuple().digits) <= 15:
        with pytest.raises(OffGridError, match="no multiple of"):
            step.steps_of_float(float(value))


@given(st.integers(1, 10**9), st.sampled_from([1, -1]))
def test_neighbouring_doubles_are_refused(count: int, side: int) -> None:
    """The double next to a price is another number and never rounded to it."""
    step = Step(Decimal("0.01"))
    value = float(step.value(count))
    with pytest.raises(OffGridError):
        step.steps_of_float(math.nextafter(value, side * math.inf))


@pytest.mark.parametrize("text", ["", " ", "abc", "1.2.3", "0x10", "NaN", "sNaN", "-Infinity"])
def test_no_number_is_refused(text: str) -> None:
    """What is no finite decimal number is off the grid, and the message repeats none of it."""
    with pytest.raises(OffGridError) as caught:
        Step(Decimal(1)).steps(text)
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("size", ["0", "-0.1", "NaN", "Infinity"])
def test_a_step_is_positive(size: str) -> None:
    """A step of nothing, below nothing or beyond everything can't be counted in."""
    with pytest.raises(DomainError, match="positive"):
        Step(Decimal(size))


@pytest.mark.parametrize(
    ("size", "decimals", "units"),
    [("0.50", 1, 5), ("1E+1", 0, 10), ("10", 0, 10), ("0.000025", 6, 25), ("1", 0, 1)],
)
def test_a_step_is_units_and_decimals(size: str, decimals: int, units: int) -> None:
    """However a step is written, it is `units` of its last decimal."""
    step = Step(Decimal(size))
    assert (step.decimals, step.units) == (decimals, units)
    assert step.steps(size) == 1


sizes = st.lists(
    st.builds(
        lambda units, places: Decimal(units).scaleb(-places), st.integers(1, 400), st.integers(0, 6)
    ),
    min_size=1,
    max_size=5,
)


@given(sizes)
def test_common_step(found: list[Decimal]) -> None:
    """The common step divides every step, and nothing larger does."""
    common = common_step(found)
    ratios = [size / common for size in found]
    assert all(ratio == int(ratio) for ratio in ratios)
    assert math.gcd(*(int(ratio) for ratio in ratios)) == 1


@given(sizes, st.randoms(use_true_random=False))
def test_common_step_of_any_order(found: list[Decimal], chance: object) -> None:
    """The common step does not depend on the order or on repetition."""
    shuffled = [*found, found[0]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert common_step(shuffled) == common_step(found)


def test_instrument_counts_both_ways() -> None:
    """Prices are counted in ticks, quantities in lots, and both come back as they were."""
    found = Instrument("v", Market.PERP, "ABCUSD", "ABC", "USD", Decimal("0.5"), Decimal("0.001"))
    assert found.name == "v:perp:ABCUSD"
    assert (found.price_ticks("101.5"), found.qty_lots("2.345")) == (203, 2_345)
    assert (str(found.price(203)), str(found.qty(2_345))) == ("101.5", "2.345")
    with pytest.raises(OffGridError):
        found.price_ticks("101.4")
    with pytest.raises(OffGridError):
        found.qty_lots("0.0001")


def test_equal_instruments_are_equal() -> None:
    """Two descriptions of one instrument compare equal; another lot makes another one."""
    one = Instrument("v", Market.SPOT, "AB", "A", "B", Decimal("0.10"), Decimal(1))
    same = Instrument("v", Market.SPOT, "AB", "A", "B", Decimal("0.1"), Decimal(1))
    other = Instrument("v", Market.SPOT, "AB", "A", "B", Decimal("0.1"), Decimal(2))
    assert one == same
    assert one != other
