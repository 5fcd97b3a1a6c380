"""Absorption from trades only."""

from __future__ import annotations

from typing import Any

import pytest
from flow_tape import TRADE, closing, shaped
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow.errors import MergeError
from orderflow.indicators.absorption import (
    Thresholds,
    absorption_after,
    absorption_at_extreme,
    absorption_of_effort,
    thresholds,
)
from orderflow.timeframe import MINUTE_MS

USUAL = closing(*range(100, 130), deltas=[3 + k % 5 for k in range(30)])


def moving(move: int, delta: int, at: int = 30) -> Any:
    """A later bar that moved by `move` ticks on this delta."""
    bar = bar_of([(100, abs(delta) or 1, delta > 0)], at * MINUTE_MS).flow
    return shaped(bar, buy_lots=max(delta, 0), sell_lots=max(-delta, 0), close_ticks=100 + move)


def test_defect_it_can_fire() -> None:
    """Defect 5: total / n was compared with 2.5 x total / n, which nothing ever reaches."""
    found = absorption_after(moving(0, -9), USUAL)
    assert found.held is True
    assert found.side == "sell"
    assert found.context_bars == 30


def test_what_fails_is_named() -> None:
    """Little delta, or much movement, or no delta at all."""
    assert absorption_after(moving(0, 3), USUAL).failed == ("abs_delta_lots",)
    assert absorption_after(moving(50, 9), USUAL).failed == ("move_ticks",)
    flat = absorption_of_effort(moving(0, 0), Thresholds(0, 0, 30))
    assert flat.failed == ("delta_present",)


def test_too_little_history_is_unknown() -> None:
    """Under 20 earlier bars nobody knows what much is."""
    assert absorption_after(moving(0, -9), USUAL[:19]).held is None
    assert thresholds([]) == Thresholds(None, None, 0)


def test_thresholds_are_of_the_past() -> None:
    """The bar under test doesn't move its own threshold; later bars are refused."""
    big = absorption_after(moving(0, -9_000), USUAL)
    small = absorption_after(moving(0, -9), USUAL)
    assert [c.threshold for c in big.checks] == [c.threshold for c in small.checks]
    with pytest.raises(MergeError):
        absorption_after(USUAL[3], USUAL)


def test_defect_lengths_are_not_mixed() -> None:
    """Defect 7 kept no timeframe with its numbers: bars of another length are refused here."""
    long = shaped(moving(0, -9), end_ms=40 * MINUTE_MS)
    with pytest.raises(MergeError, match="one length"):
        absorption_after(long, USUAL)


def test_stack_at_the_extreme() -> None:
    """Buyers stacked under the high, and the close is below them."""
    up = [(row, 30, True) for row in range(10, 14)]
    (found,) = absorption_at_extreme(bar_of([(9, 1, False), *up, (9, 5, False)]))
    assert (found.side, found.held) == ("buy", True)
    (found,) = absorption_at_extreme(bar_of([(9, 1, False), *up]))
    assert found.failed == ("close_row",)
    assert absorption_at_extreme(bar_of([])) == []


@given(st.lists(TRADE, min_size=1, max_size=12))
def test_mirror(trades: Any) -> None:
    """Upside down the absorbed side is the other one."""
    mirrored = [(200 - price, lots, not buy) for price, lots, buy in trades]
    one, other = (absorption_at_extreme(bar_of(t), minimum_lots=1) for t in (trades, mirrored))
    swap = {"buy": "sell", "sell": "buy", None: None}
    assert sorted((str(swap[e.side]), str(e.held)) for e in one) == sorted(
        (str(e.side), str(e.held)) for e in other
    )
