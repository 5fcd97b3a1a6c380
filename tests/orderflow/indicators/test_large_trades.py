"""Large prints: a threshold from earlier minutes only, exact where it says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_tape import MINUTES, minutes
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.errors import MergeError
from orderflow.indicators.large_trades import large_trades
from orderflow.quantile import quantile
from orderflow.tail import tail
from orderflow.timeframe import MINUTE_MS

BUSY = st.lists(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 2_000), st.booleans()),
        min_size=1,
        max_size=250,
    ),
    min_size=1,
    max_size=4,
)


@given(BUSY, st.sampled_from([50, 90, 99, 100]))
def test_threshold(tape: Any, pct: int) -> None:
    """Exact thresholds are the percentile of all prints; others are no smaller than it."""
    found = tail(minutes(tape), pct)
    true = quantile((price * lots for trades in tape for price, lots, _ in trades), pct)
    assert found is not None
    assert true is not None
    assert found.quote == true if found.exact else found.quote >= true
    assert found.prints == sum(map(len, tape))


def test_kept_prints_bound_the_percentile() -> None:
    """What one busy minute dropped can't be larger than what it kept, so the bound is tight."""
    busy = [(1, 1_000 + k, True) for k in range(200)]
    quiet = [(1, 1_150, True), (1, 600, False)]
    found = tail(minutes([busy, quiet]), 99)
    assert found is not None
    assert (found.quote, found.exact) == (1_198, False)
    assert tail([], 99) is None


@given(BUSY, st.integers(1, 6_000))
def test_complete_means_all(tape: Any, limit: int) -> None:
    """When it says complete, every print of at least the threshold is listed."""
    bar = minutes(tape)[0]
    found = large_trades(bar, [], fixed_quote=Decimal(limit))
    large = sorted(p * q for p, q, _ in tape[0] if p * q >= limit)
    listed = sorted(int(trade.quote) for trade in found.trades)
    assert len(listed) <= len(large)
    if found.complete:
        assert listed == large
        buys = sum(q for p, q, buy in tape[0] if buy and p * q >= limit)
        assert found.buy_lots == buys


@given(MINUTES)
def test_the_bar_sets_no_threshold_of_its_own(tape: Any) -> None:
    """The threshold is that of the bars before, whatever the bar holds; the future is refused."""
    bars = minutes([*tape, [(100, 5, True)]])
    now = bars[-1]
    big = bar_of([(100, 5_000, True)], now.flow.start_ms, 9_000)
    small, large = (
        large_trades(bar, bars[:-1], pct=50, least_prints=1).threshold for bar in (now, big)
    )
    assert small == large
    if not bars[0].flow.empty:
        with pytest.raises(MergeError):
            large_trades(bars[0], bars)


def test_listed_in_time_order() -> None:
    """Large prints come with time, price, size and side."""
    before = minutes([[(10, 1, True)] * 20])
    trades = [(10, 9, False), (10, 1, True), (11, 9, True)]
    found = large_trades(bar_of(trades, MINUTE_MS, 100), before, least_prints=1)
    assert found.threshold is not None
    assert (found.threshold.quote, found.complete) == (10, False)
    trades[2] = (11, 90, True)
    fixed = large_trades(bar_of(trades), [], fixed_quote=Decimal(500))
    assert [(t.event_ms, t.price_ticks, t.side, t.quote) for t in fixed.trades] == [
        (2, 11, "buy", 990)
    ]
    assert fixed.complete


def test_too_little() -> None:
    """Without a thousand earlier prints there is no threshold."""
    before = minutes([[(10, 1, True)] * 99])
    found = large_trades(bar_of([(10, 9, True)], MINUTE_MS, 100), before)
    assert (found.threshold, found.trades, found.complete) == (None, (), False)


def test_merged_bars_claim_nothing() -> None:
    """Of longer bars and of merged venues nobody knows what the minutes dropped."""
    tape = [[(10, k + 1, True) for k in range(150)], [(10, 1, True)] * 150]
    one = minutes(tape)
    long = footprint.then(one)
    found = tail([long], 99)
    assert found is not None
    assert not found.exact
    both = footprint.beside([one[0], one[0]])
    assert not large_trades(both, [], fixed_quote=Decimal(1_400)).complete
    assert large_trades(one[0], [], fixed_quote=Decimal(1_495)).complete
