"""Kyle's lambda: exact sums in any grouping."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_tape import MINUTES, closing, flows, without_empty
from hypothesis import given
from hypothesis import strategies as st

from orderflow.evidence import shown
from orderflow.indicators import impact
from orderflow.indicators.kyle import Kyle, Sums, fitted, kyle, sums, then


@given(MINUTES, st.integers(0, 12), st.integers(0, 12))
def test_any_grouping(tape: Any, one: int, other: int) -> None:
    """Three stretches merged either way are the sums of the whole."""
    low, high = sorted((one, other))
    bars = flows(tape)
    a, b, c = sums(bars[:low]), sums(bars[low:high]), sums(bars[high:])
    assert then(then(a, b), c) == then(a, then(b, c)) == sums(bars)
    assert then(Sums(), a) == then(a, Sums()) == a
    assert sums(bars) == sums(without_empty(bars))


@given(MINUTES)
def test_against_the_trade_level_function(tape: Any) -> None:
    """The slope is that of the plain regression of changes on deltas."""
    bars = without_empty(flows(tape))
    expected = impact.kyle_lambda(
        [Decimal(bar.close_ticks or 0) for bar in bars], [Decimal(b.delta_lots) for b in bars]
    )
    found = kyle(flows(tape)).ticks_per_lot
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, rel=Decimal("1e-11"), abs=Decimal("1e-11"))


@given(MINUTES)
def test_steps_of_ticks_and_lots(tape: Any) -> None:
    """In price per unit the steps don't matter."""
    bars = flows(tape)
    fine = [bar.rescaled(Decimal("0.1"), Decimal("0.01")) for bar in bars]
    assert kyle(fine).price_per_unit == kyle(bars).price_per_unit
    assert kyle(fine).r_squared == kyle(bars).r_squared


def test_defect_the_newest_window() -> None:
    """Defect 6 read the oldest hundred; the newest bars count here."""
    bars = closing(1, 2, 3, 4, 8, 6, 12, deltas=[1, 1, 1, 1, 2, -1, 3])
    assert kyle(bars, window=4) == kyle(bars[-4:])
    assert kyle(bars, window=4).pairs == 3


def test_defect_a_mean_is_no_slope() -> None:
    """The mean of |move| / volume is another number (orderflowkit's proxy)."""
    bars = closing(100, 101, 99, 100, deltas=[1, 2, -2, 4])
    proxy = Decimal(1) / 3 * (Decimal(1) / 2 + Decimal(2) / 2 + Decimal(1) / 4)
    assert kyle(bars).ticks_per_lot != shown(proxy)


def test_without_variation() -> None:
    """Nothing varies, nothing is explained."""
    assert kyle([]) == Kyle(None, None, None, 0)
    assert kyle(closing(1, 2, 3)).price_per_unit is None
    assert (
        fitted(sums(closing(5, 5, 5, deltas=[1, 2, 3])), Decimal(1), Decimal(1)).r_squared is None
    )
