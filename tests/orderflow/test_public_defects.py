"""Defects found in public profile code and in this project's predecessors: none of them is ours.

Sources of the defects: py-market-profile, ValueArea, vp_extended, chart-patterns, wickra, mtcli,
pandas-ta, and the two earlier versions of this server.
"""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.footprint import Row, sum_rows
from orderflow.indicators.market_profile import BRACKET_MS, read, time_profile
from orderflow.indicators.nodes import nodes
from orderflow.indicators.sessions import bar_of_window
from orderflow.indicators.volume_profile import METHODS, Method, profile
from orderflow.instrument import Step
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window

rows = st.dictionaries(
    st.integers(-40, 40), st.tuples(st.integers(0, 30), st.integers(0, 30), st.just(1)), min_size=1
)


def of(volumes: dict[int, int]) -> dict[int, Row]:
    return {row: (volume, 0, 1) for row, volume in volumes.items()}


@given(st.integers(1, 10**6))
def test_float_bins(ticks: int) -> None:
    """A price on the grid stays in its own row, where floor(price / tick) of doubles does not."""
    step = Step(Decimal("0.1"))
    assert step.steps(str(ticks * Decimal("0.1"))) == ticks


def test_the_float_trap_is_real() -> None:
    """The doubles of exact prices do fall into wrong rows: the test above guards something."""
    wrong = sum(math.floor(float(k * Decimal("0.1")) / 0.1) != k for k in range(1, 10_000))
    assert wrong > 1_000


@given(rows, st.sampled_from(METHODS))
def test_value_area_is_one_piece(found: dict[int, Row], method: Method) -> None:
    """The value area is a contiguous range around the POC, not a hull of the largest rows."""
    result = profile(found, method=method)
    if result is not None:
        inside = sum(
            buy + sell
            for row, (buy, sell, _) in found.items()
            if result.val_row <= row <= result.vah_row
        )
        assert inside == result.value_area_lots
        assert result.val_row <= result.poc_row <= result.vah_row


@pytest.mark.parametrize("method", METHODS)
def test_equal_neighbours_end(method: Method) -> None:
    """Equal neighbours on both sides end the walk (upwards) instead of looping for ever."""
    result = profile(of({1: 10, 2: 10, 3: 30, 4: 10, 5: 10}), method=method)
    assert result is not None
    assert result.vah_row >= 4
    assert 100 * result.value_area_lots >= 70 * result.total_lots


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("border", [0, 5])
def test_poc_at_a_border(method: Method, border: int) -> None:
    """A POC in the first or last row is no error and no end."""
    volumes = dict.fromkeys(range(6), 10) | {border: 30}
    result = profile(of(volumes), method=method)
    assert result is not None
    assert result.poc_row == border
    assert 100 * result.value_area_lots >= 70 * result.total_lots


def test_an_empty_row_is_no_wall() -> None:
    """The walk crosses empty rows: it does not stop at 61 % because the next row is empty."""
    result = profile(of({0: 20, 1: 40, 2: 30, 9: 55, 10: 85}))
    assert result is not None
    assert (result.val_row, result.vah_row, result.value_area_lots) == (2, 10, 170)


def test_exactly_seventy_percent_is_enough() -> None:
    """70 of 100 ends the walk in whole numbers; 0.7 * total of doubles would add a row."""
    for scale in (1, 3, 7, 10**17 + 3):
        result = profile(of({0: 10 * scale, 1: 70 * scale, 2: 20 * scale}))
        assert result is not None
        assert (result.val_row, result.vah_row) == (1, 1)


def test_ties_of_the_poc_are_ruled() -> None:
    """A tie goes to the row nearest the middle, then the lower, whatever the order of insertion."""
    tied = [(1, 9), (4, 9), (6, 9), (9, 9), (0, 1), (10, 1)]
    for order in (tied, tied[::-1], sorted(tied, key=lambda v: -v[0] % 3)):
        result = profile(of(dict(order)))
        assert result is not None
        assert result.poc_row == 4


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9), st.booleans()), min_size=1))
def test_a_new_extreme_moves_no_row(trades: list[tuple[int, int, bool]]) -> None:
    """Rows are absolute: a later, higher price leaves every older row as it was."""
    before = bar_of(trades, row_ticks=5)
    after = footprint.then([before, bar_of([(10_000, 1, True)], MINUTE_MS, row_ticks=5)])
    assert {row: cell for row, cell in after.rows.items() if row != 2_000} == before.rows


def test_no_row_is_shifted() -> None:
    """Row numbers mean prices from row x size up: 104.9 is in 104, not in 103 or 105."""
    bar = bar_of([(1_049, 1, True), (1_050, 1, True)], row_ticks=10)
    assert set(bar.rows) == {104, 105}


def test_volume_not_count_decides() -> None:
    """Many small trades do not outweigh one large one."""
    result = profile(sum_rows([{1: (1, 0, 500)}, {2: (400, 0, 1)}]))
    assert result is not None
    assert result.poc_row == 2
    assert [node.row for node in nodes({1: (1, 0, 500), 2: (400, 0, 1)}, smooth_rows=1)] == [2]


def test_a_day_is_made_of_a_day() -> None:
    """A 1d profile holds every minute of its 24 hours, not the last one's (1 h of retention)."""
    bars = [bar_of([(100 + hour, 1, True)], hour * HOUR_MS, hour + 1) for hour in range(24)]
    bar = bar_of_window(bars, Window(0, DAY_MS))
    assert bar is not None
    assert bar.flow.volume_lots == 24
    assert len(bar.rows) == 24
    assert (bar.flow.start_ms, bar.flow.end_ms) == (0, 23 * HOUR_MS + MINUTE_MS)


def test_the_first_hour_is_half_open() -> None:
    """The bracket that begins when the first hour ends is no part of the initial balance."""
    bars = [bar_of([(100 + k, 1, True)], k * BRACKET_MS, k + 1).flow for k in range(3)]
    found = read(time_profile(bars, 0, row_ticks=1))
    assert found is not None
    assert found.balance == (100, 101)
