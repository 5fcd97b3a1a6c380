"""Decimal strings and scaled integers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.decimals import TextOf, decimals, scaled, step_digits, text_of

_numbers = st.tuples(st.integers(0, 10**12), st.integers(0, 8)).map(
    lambda pair: f"{Decimal(pair[0]).scaleb(-pair[1]):f}"
)


@given(st.lists(_numbers, min_size=1, max_size=20))
def test_texts_become_exact_integers_of_one_scale(texts: list[str]) -> None:
    """Every text keeps its value, whatever mix of decimals the column has."""
    values, digits = scaled(texts)
    assert [Decimal(value).scaleb(-digits) for value in values] == [Decimal(t) for t in texts]


@given(st.integers(0, 10**15), st.integers(0, 10), st.one_of(st.none(), st.integers(0, 12)))
def test_printing_never_rounds(value: int, digits: int, places: int | None) -> None:
    """A printed number equals the integer, with at least the places asked for."""
    text = text_of(value, digits, places)
    assert Decimal(text) == Decimal(value).scaleb(-digits)
    if places is not None:
        assert len(text.partition(".")[2]) >= places


def test_exponents_are_read_and_garbage_is_refused() -> None:
    """Archive rows with exponents are numbers; other text is a ValueError."""
    assert scaled(["1e-05", "2.5"]) == ([1, 250_000], 5)
    with pytest.raises(ValueError, match="not a column of numbers"):
        scaled(["1.0", "abc"])


def test_steps_are_the_largest_power_of_ten_that_fits() -> None:
    """The inferred step divides every value and is never above one."""
    assert step_digits(np.array([150, 2250], np.int64), 3) == 2
    assert step_digits(np.array([1000, 3000], np.int64), 2) == 0
    assert decimals("0.10") == 1
    assert decimals("5") == 0


def test_remembered_texts_equal_fresh_ones() -> None:
    """The cache prints as the function does."""
    texts = TextOf(2, 8)
    assert texts[4_218_077] == text_of(4_218_077, 2, 8) == "42180.77000000"
    assert TextOf(3, None)[1500] == "1.5"
