"""Size classes, their percentiles, and CVD by size."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from flow_tape import MINUTES, minutes
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.errors import DomainError
from orderflow.indicators.size_class_cvd import grouped_deltas, size_class_cvd
from orderflow.indicators.size_distribution import bounds, size_distribution
from orderflow.quantile import quantile
from orderflow.timeframe import MINUTE_MS


@given(MINUTES)
def test_percentiles_hold_the_print(tape: Any) -> None:
    """The class of a percentile holds the print of that rank; classes add up to the bar."""
    found = size_distribution(footprint.then(minutes(tape)))
    notionals = [price * lots for trades in tape for price, lots, _ in trades]
    assert found.prints == len(notionals)
    assert found.volume_lots == sum(lots for trades in tape for _, lots, _ in trades)
    assert sum(one.buy_lots + one.sell_lots for one in found.classes) == found.volume_lots
    for one in found.percentiles:
        value = quantile(notionals, one.pct)
        assert value is not None
        assert one.low_quote <= value < one.high_quote


def test_borders_and_nothing() -> None:
    """A notional of exactly 2^k belongs to the class above; an empty bar has no class."""
    assert bounds(0) == (0, 1)
    assert bounds(1) == (1, 2)
    (only,) = size_distribution(bar_of([(64, 1, True)])).classes
    assert (only.low_quote, only.high_quote) == (64, 128)
    empty = size_distribution(bar_of([]))
    assert (empty.classes, empty.percentiles, empty.mean_lots) == ((), (), None)


@given(MINUTES, st.integers(1, 4))
def test_groups_share_all_delta(tape: Any, window: int) -> None:
    """Small, mid and large together are the delta of the bar; sums are running sums."""
    bars = minutes(tape)
    found = size_class_cvd(bars, window=window, least_prints=1)
    by_start = {bar.flow.start_ms: bar.flow for bar in bars}
    for one in found:
        deltas = (one.small_delta_lots, one.mid_delta_lots, one.large_delta_lots)
        assert sum(deltas) == by_start[one.start_ms].delta_lots
        assert one.mid_from_quote <= one.large_from_quote
        assert one.since_ms == found[0].start_ms
    assert [one.large_cvd_lots for one in found] == list(
        accumulate(one.large_delta_lots for one in found)
    )


@given(MINUTES, st.integers(1, 4), st.integers(0, 12))
def test_no_look_ahead(tape: Any, window: int, cut: int) -> None:
    """Borders come from bars before: neither the future nor the bar itself moves them."""
    bars = minutes(tape)
    found = size_class_cvd(bars, window=window, least_prints=1)
    early = size_class_cvd(bars[:cut], window=window, least_prints=1)
    assert early == [one for one in found if one.end_ms <= cut * MINUTE_MS]


def test_borders_of_the_window() -> None:
    """Ninety small prints, nine of a middle size and one large one set both borders."""
    before = [(1, 1, True)] * 90 + [(1, 100, True)] * 9 + [(1, 10_000, True)]
    now = [(1, 1, True), (1, 120, False), (1, 9_000, True)]
    (found,) = size_class_cvd(minutes([before, now]), least_prints=100)
    assert (found.mid_from_quote, found.large_from_quote) == (2, 128)
    assert (found.small_delta_lots, found.mid_delta_lots, found.large_delta_lots) == (
        1,
        -120,
        9_000,
    )
    assert size_class_cvd(minutes([before, now])) == []
    assert grouped_deltas({}, 1, 2) == (0, 0, 0)
    with pytest.raises(DomainError):
        size_class_cvd([], percentiles=(99, 90))


def test_mean() -> None:
    """Volume per print."""
    assert size_distribution(bar_of([(5, 1, True), (5, 2, True)])).mean_lots == Decimal("1.5")
