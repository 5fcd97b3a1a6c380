"""Premium of one stream over another."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow.indicators.premium import Premium, premium


def test_last_and_average() -> None:
    """101 over 100 is 100 bps; the average weighs by volume."""
    a = bar_of([(100, 1, True), (101, 1, True)]).flow
    b = bar_of([(100, 3, False)]).flow
    assert premium(a, b) == Premium(Decimal(100), Decimal(50), 1)


def test_no_trades_no_premium() -> None:
    """A stream that didn't trade has no price, not 0."""
    assert premium(bar_of([]).flow, bar_of([(1, 1, True)]).flow) == Premium(None, None, None)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_scale_changes_nothing(a: int, b: int) -> None:
    """Finer ticks and lots give the same premium."""
    one, other = bar_of([(a, 2, True)]).flow, bar_of([(b, 3, False)]).flow
    fine = other.rescaled(Decimal("0.01"), Decimal("0.001"))
    assert premium(one, fine) == premium(one, other)
