"""Amihud's illiquidity."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flow_tape import MINUTES, closing, flows, without_empty
from hypothesis import given

from orderflow.indicators.amihud import Amihud, amihud


@given(MINUTES)
def test_against_fractions(tape: Any) -> None:
    """Within the stated bound of the exact value; empty bars are neutral."""
    bars = without_empty(flows(tape))
    terms = [
        Fraction(abs((b.close_ticks or 0) - (a.close_ticks or 0)), a.close_ticks or 1)
        / (b.buy_quote + b.sell_quote)
        for a, b in pairwise(bars)
    ]
    found = amihud(flows(tape))
    assert found.bars == len(terms)
    if terms:
        exact = 1_000_000 * sum(terms, Fraction(0)) / len(terms)
        assert abs(Fraction(found.illiquidity or 0) - exact) <= exact / 10**19
    assert found == amihud(bars)


@given(MINUTES)
def test_steps_of_ticks_and_lots(tape: Any) -> None:
    """The steps prices and quantities are counted in don't matter."""
    bars = flows(tape)
    fine = [bar.rescaled(Decimal("0.1"), Decimal("0.01")) for bar in bars]
    assert amihud(fine) == amihud(bars)


def test_too_little() -> None:
    """One bar has no change."""
    assert amihud(closing(5)) == Amihud(None, 0)
    assert amihud([]) == Amihud(None, 0)
