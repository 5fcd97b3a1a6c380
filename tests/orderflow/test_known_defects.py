"""Defects of this project's predecessors and of public code: none of them is ours.

Each docstring names the defect it prevents. `Predecessor N` is line N of the table in
docs/decisions/0013-known-defects.md, which names the tests of all of them.
"""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.content import bar_hash
from orderflow.errors import MergeError
from orderflow.footprint import Row, sum_rows
from orderflow.indicators import vpin
from orderflow.indicators.absorption import absorption_after
from orderflow.indicators.cvd import candles
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances
from orderflow.indicators.kyle import kyle
from orderflow.indicators.market_profile import BRACKET_MS, read, time_profile
from orderflow.indicators.nodes import nodes
from orderflow.indicators.sessions import bar_of_window
from orderflow.indicators.stacked_imbalance import stacked_imbalances
from orderflow.indicators.volume_profile import METHODS, Method, profile
from orderflow.instrument import Step
from orderflow.past import past
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window

rows = st.dictionaries(
    st.integers(-40, 40), st.tuples(st.integers(0, 30), st.integers(0, 30), st.just(1)), min_size=1
)


def of(volumes: dict[int, int]) -> dict[int, Row]:
    return {row: (volume, 0, 1) for row, volume in volumes.items()}


@given(st.integers(1, 10**6))
def test_float_bins(ticks: int) -> None:
    """Float bins (py-market-profile moves 5 % of exact prices up a row): ours stay in their own."""
    step = Step(Decimal("0.1"))
    assert step.steps(str(ticks * Decimal("0.1"))) == ticks


def test_the_float_trap_is_real() -> None:
    """The doubles of exact prices do fall into wrong rows: the test above guards something."""
    wrong = sum(math.floor(float(k * Decimal("0.1")) / 0.1) != k for k in range(1, 10_000))
    assert wrong > 1_000


@given(rows, st.sampled_from(METHODS))
def test_value_area_is_one_piece(found: dict[int, Row], method: Method) -> None:
    """Non-contiguous value area (mtcli: the largest rows until 70 %): ours is one piece."""
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
    """Ties (ValueArea loops for ever, widening both sides uncounted): ours go up and end."""
    result = profile(of({1: 10, 2: 10, 3: 30, 4: 10, 5: 10}), method=method)
    assert result is not None
    assert result.vah_row >= 4
    assert 100 * result.value_area_lots >= 70 * result.total_lots


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("border", [0, 5])
def test_poc_at_a_border(method: Method, border: int) -> None:
    """POC at a border (vp_extended raises there): no error and no end."""
    volumes = dict.fromkeys(range(6), 10) | {border: 30}
    result = profile(of(volumes), method=method)
    assert result is not None
    assert result.poc_row == border
    assert 100 * result.value_area_lots >= 70 * result.total_lots


def test_an_empty_row_is_no_wall() -> None:
    """Early stop (chart-patterns ends at 61 % before an empty row): the walk crosses empty rows."""
    result = profile(of({0: 20, 1: 40, 2: 30, 9: 55, 10: 85}))
    assert result is not None
    assert (result.val_row, result.vah_row, result.value_area_lots) == (2, 10, 170)


def test_exactly_seventy_percent_is_enough() -> None:
    """Float threshold (0.7 * total misses 105 of 10,000 exact profiles): 70 of 100 is enough."""
    for scale in (1, 3, 7, 10**17 + 3):
        result = profile(of({0: 10 * scale, 1: 70 * scale, 2: 20 * scale}))
        assert result is not None
        assert (result.val_row, result.vah_row) == (1, 1)


def test_ties_of_the_poc_are_ruled() -> None:
    """Ties of the POC (flowsurface takes any, by hash order): nearest the middle, then lower."""
    tied = [(1, 9), (4, 9), (6, 9), (9, 9), (0, 1), (10, 1)]
    for order in (tied, tied[::-1], sorted(tied, key=lambda v: -v[0] % 3)):
        result = profile(of(dict(order)))
        assert result is not None
        assert result.poc_row == 4


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9), st.booleans()), min_size=1))
def test_a_new_extreme_moves_no_row(trades: list[tuple[int, int, bool]]) -> None:
    """Bins over the range of the window (wickra, predecessors): a new extreme moves no row."""
    before = bar_of(trades, row_ticks=5)
    after = footprint.then([before, bar_of([(10_000, 1, True)], MINUTE_MS, row_ticks=5)])
    assert {row: cell for row, cell in after.rows.items() if row != 2_000} == before.rows


def test_no_row_is_shifted() -> None:
    """Off-by-one rows (ceil in py-market-profile): 104.9 lies in row 104, not in 103 or 105."""
    bar = bar_of([(1_049, 1, True), (1_050, 1, True)], row_ticks=10)
    assert set(bar.rows) == {104, 105}


def test_volume_not_count_decides() -> None:
    """Counts instead of volume: many small trades do not outweigh one large one."""
    result = profile(sum_rows([{1: (1, 0, 500)}, {2: (400, 0, 1)}]))
    assert result is not None
    assert result.poc_row == 2
    assert [node.row for node in nodes({1: (1, 0, 500), 2: (400, 0, 1)}, smooth_rows=1)] == [2]


def test_a_day_is_made_of_a_day() -> None:
    """Predecessor 7: 4h and 1d made from one hour of retention; ours hold all their hours."""
    bars = [bar_of([(100 + hour, 1, True)], hour * HOUR_MS, hour + 1) for hour in range(24)]
    bar = bar_of_window(bars, Window(0, DAY_MS))
    assert bar is not None
    assert bar.flow.volume_lots == 24
    assert len(bar.rows) == 24
    assert (bar.flow.start_ms, bar.flow.end_ms) == (0, 23 * HOUR_MS + MINUTE_MS)


def test_the_first_hour_is_half_open() -> None:
    """Inclusive slice (py-market-profile takes a third bracket): the first hour is half open."""
    bars = [bar_of([(100 + k, 1, True)], k * BRACKET_MS, k + 1).flow for k in range(3)]
    found = read(time_profile(bars, 0, row_ticks=1))
    assert found is not None
    assert found.balance == (100, 101)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9), st.booleans()), min_size=1))
def test_the_highest_price_counts(trades: list[tuple[int, int, bool]]) -> None:
    """Predecessor 2: trades at the top price fell out of the last bin (100 of 102 units): every
    lot is in a row, and all of the highest price in the highest row."""
    bar = bar_of(trades)
    assert sum(buy + sell for buy, sell, _ in bar.rows.values()) == sum(t[1] for t in trades)
    top = max(price for price, _, _ in trades)
    assert sum(bar.rows[top][:2]) == sum(lots for price, lots, _ in trades if price == top)


def test_the_poc_may_be_the_highest_price() -> None:
    """Predecessor 2: 100 of 102 units at the top are the POC, not the two below."""
    result = profile(bar_of([(1, 1, True), (2, 1, False), (3, 100, True)]).rows)
    assert result is not None
    assert (result.poc_row, result.total_lots) == (3, 102)


@pytest.mark.parametrize("method", METHODS)
def test_one_price_is_a_profile(method: Method) -> None:
    """Predecessor 3: a window of one price was empty; it is POC, VAH and VAL at that price."""
    result = profile(bar_of([(7, 3, True), (7, 4, False)]).rows, method=method)
    assert result is not None
    assert (result.poc_row, result.vah_row, result.val_row) == (7, 7, 7)
    assert result.value_area_lots == result.total_lots == 7


def test_a_window_is_counted_once() -> None:
    """Predecessor 4: the same window twice made 60 to 120; a bar given twice is refused, asking
    twice gives the same, and two lengths of bars end at the same sum."""
    minutes = [bar_of([(100, 3 + k, k % 3 > 0)], k * MINUTE_MS, k + 1).flow for k in range(10)]
    once = candles(minutes)
    assert candles(minutes) == once
    with pytest.raises(MergeError):
        candles([*minutes, minutes[-1]])
    longer = [
        footprint.then([footprint.FootprintBar(m, Decimal(1), {}) for m in part]).flow
        for part in (minutes[:5], minutes[5:])
    ]
    assert candles(longer)[-1].close_lots == once[-1].close_lots


def test_absorption_can_happen() -> None:
    """Predecessor 5: total / n was compared with 2.5 times itself, so it never fired."""
    before = [
        bar_of([(100, 3, True), (100 + k % 3, 2, False)], k * MINUTE_MS, 2 * k + 1).flow
        for k in range(20)
    ]
    stuck = bar_of([(100, 90, True), (101, 5, False), (100, 1, False)], 20 * MINUTE_MS, 99).flow
    assert absorption_after(stuck, before).held is True
    assert absorption_after(before[-1], before[:-1], least_bars=5).held is False


def test_the_newest_are_taken() -> None:
    """Predecessor 6: sort descending and [-100:] took the oldest trades; a limit keeps the newest,
    in time order."""
    bars = [bar_of([(100 + k**3, 1 + k % 4, True)], k * MINUTE_MS, k + 1) for k in range(80)]
    kept, _ = past(bars[:-1], bars[-1])
    assert [bar.flow.start_ms for bar in kept.bars] == [k * MINUTE_MS for k in range(29, 79)]
    flows = [bar.flow for bar in bars]
    assert kyle(flows) == kyle(flows[-60:]) != kyle(flows[:60])


def test_windows_know_their_length() -> None:
    """Predecessor 7: documents carried no timeframe, so a 1h and a 4h one were the same thing."""
    bar = bar_of([(100, 1, True)])
    assert bar_hash(["a"], "1h", bar) != bar_hash(["a"], "4h", bar)


@given(rows, st.integers(2, 50))
def test_counts_decide_no_imbalance(found: dict[int, Row], many: int) -> None:
    """Count-based imbalance (freqtrade divides numbers of trades): only volume decides."""
    busy = {row: (buy, sell, trades * many + row % 3) for row, (buy, sell, trades) in found.items()}
    assert diagonal_imbalances(busy) == diagonal_imbalances(found)


def test_an_imbalance_is_in_its_own_row() -> None:
    """Off-by-one rows (freqtrade reports a buy imbalance one row too low), same-row comparison
    and "300" meaning 4 times (chart-patterns): ours is diagonal, in its row, at exactly 3 times."""
    rows_: dict[int, Row] = {103: (0, 10, 1), 104: (30, 10, 1), 105: (10, 1, 1)}
    (buy,) = [
        one
        for one in diagonal_imbalances(rows_, minimum_lots=1)
        if one.side == "buy" and one.row == 104
    ]
    assert (buy.own_lots, buy.opponent_lots) == (30, 10)
    rows_[104] = (29, 10, 1)
    assert 104 not in {o.row for o in diagonal_imbalances(rows_, minimum_lots=1) if o.side == "buy"}


def test_nobody_opposite_is_flagged() -> None:
    """Division by zero (freqtrade: inf is an imbalance like any other) and neighbours by order of
    occupied rows: an empty row is a 0, and zero opponents are told apart."""
    found = diagonal_imbalances({100: (9, 9, 1), 105: (9, 0, 1)}, minimum_lots=1)
    far = next(one for one in found if one.row == 105)
    assert (far.side, far.opponent_lots, far.zero_opponent) == ("buy", 0, True)


def test_a_stack_is_one_stack() -> None:
    """Every window start as a stack of its own (freqtrade 2026.9): a run is said once."""
    found = diagonal_imbalances(dict.fromkeys(range(100, 106), (50, 0, 1)), minimum_lots=1)
    (stack,) = stacked_imbalances(found)
    assert (stack.low_row, stack.high_row, stack.rows) == (100, 105, 6)


def test_the_seller_is_no_buyer() -> None:
    """Flag -1 read as a buy (tradetropy's bit test), 0 as a sell: sides are sides."""
    bar = bar_of([(100, 5, False), (100, 3, True)])
    assert bar.rows[100][:2] == (3, 5)
    assert bar.flow.delta_lots == -2


def test_large_sums_are_exact() -> None:
    """Fixed-point overflow (flowsurface: 9.2e10 units in an i64): a coin of many lots is exact."""
    lots = 10**24 + 1
    bar = bar_of([(10**9, lots, True), (10**9 + 1, 1, False)])
    assert bar.flow.volume_lots == lots + 1
    assert bar.flow.buy_quote == lots * 10**9
    whole = footprint.then([bar, bar_of([(1, 1, True)], MINUTE_MS, 3)])
    assert whole.flow.volume_lots == lots + 2


def test_buckets_split_trades() -> None:
    """VPIN without splitting (vpin_lab's default: 1.0 where it is 0.4): a trade over a border
    counts on both sides of it, by its true aggressor."""
    state = vpin.new(10, 2)
    state.add_trades([7, 6, 7], [1, 0, 1])
    assert state.imbalances == [4, 4]
    assert state.value() == Decimal("0.4")


@given(rows)
def test_all_of_it_is_reachable(found: dict[int, Row]) -> None:
    """A value area of 100 % (py-market-profile adds None): it ends at the ends."""
    for method in METHODS:
        result = profile(found, method=method, pct=100)
        if result is not None:
            traded = [row for row, (buy, sell, _) in found.items() if buy + sell]
            assert (result.val_row, result.vah_row) == (min(traded), max(traded))
