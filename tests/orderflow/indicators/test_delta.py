"""Delta of a bar against a plain running sum."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

from flow_tape import TRADE
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import flow
from orderflow.indicators.delta import Delta, delta


@given(st.lists(TRADE, min_size=1, max_size=20))
def test_against_a_running_sum(trades: Any) -> None:
    """Delta, share and extremes equal a running sum that starts at 0."""
    running = list(accumulate((lots if buy else -lots for _, lots, buy in trades), initial=0))
    total = sum(lots for _, lots, _ in trades)
    found = delta(bar_of(trades).flow)
    assert (found.delta_lots, found.min_delta_lots, found.max_delta_lots) == (
        running[-1],
        min(running),
        max(running),
    )
    assert found.delta_pct == round(Decimal(100 * running[-1]) / total, 6)
    assert found.buy_lots + found.sell_lots == total


def test_nothing_traded() -> None:
    """An empty bar has no share, which is not 0."""
    assert delta(bar_of([]).flow) == Delta(0, 0, 0, None, 0, 0)


def test_all_sells() -> None:
    """The start counts: an all-sell bar never was above 0, and never above -5 without it."""
    bar = bar_of([(100, 5, False), (99, 2, False)]).flow
    assert delta(bar).max_delta_lots == 0
    assert bar.max_delta_lots == -5


def test_merged_venues_know_no_extremes() -> None:
    """The order of trades of two venues is unknown, so are the extremes."""
    both = flow.beside(bar_of([(100, 5, False)]).flow, bar_of([(100, 9, True)]).flow)
    assert delta(both).delta_lots == 4
    assert delta(both).min_delta_lots is None
