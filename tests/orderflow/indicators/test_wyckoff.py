"""Wyckoff evidence: each situation is found where it is, explained where it isn't."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flow_tape import TRADE, minutes, shaped
from hypothesis import given
from hypothesis import strategies as st
from six_trades import Trade, bar_of
from wyckoff_tape import BARS, CONTEXT, mirrored, next_bar, upside_down

from orderflow import footprint
from orderflow.errors import MergeError
from orderflow.evidence import Evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.spot_perp import spot_perp
from orderflow.indicators.wyckoff_absorption import range_absorption
from orderflow.indicators.wyckoff_cause import cause
from orderflow.indicators.wyckoff_climax import climax
from orderflow.indicators.wyckoff_effort import effort
from orderflow.indicators.wyckoff_retest import retest
from orderflow.indicators.wyckoff_spring import spring
from orderflow.indicators.wyckoff_strength import strength
from orderflow.timeframe import MINUTE_MS

Judge = Callable[[FootprintBar, Sequence[FootprintBar]], Evidence]

JUDGES: dict[str, Judge] = {
    "selling": lambda bar, past: climax(bar, past, "selling"),
    "buying": lambda bar, past: climax(bar, past, "buying"),
    "spring": lambda bar, past: spring(bar, past, "spring"),
    "upthrust": lambda bar, past: spring(bar, past, "upthrust"),
    "little": lambda bar, past: effort(bar, past, "effort_without_result"),
    "much": lambda bar, past: effort(bar, past, "result_without_effort"),
    "absorption": range_absorption,
    "strength": lambda bar, past: strength(bar, past, "sign_of_strength"),
    "weakness": lambda bar, past: strength(bar, past, "sign_of_weakness"),
    "support": lambda bar, past: retest(bar, past, "support"),
    "resistance": lambda bar, past: retest(bar, past, "resistance"),
    "cause": cause,
}
CLIMAX: list[Trade] = [
    (100, 20, False),
    (95, 60, False),
    (90, 90, False),
    (91, 30, True),
    (95, 20, True),
]
SPRING: list[Trade] = [
    (100, 2, False),
    (97, 9, False),
    (96, 8, False),
    (95, 3, False),
    (98, 4, True),
    (100, 5, True),
]
STRENGTH: list[Trade] = [(103, 5, True), (105, 40, True), (106, 30, True), (105, 9, False)]
RETEST: list[Trade] = [(101, 2, True), (100, 2, False)]
STUCK: list[Trade] = [(100, 40, True), (101, 3, True), (100, 2, False)]


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_too_little_history_is_unknown(name: str) -> None:
    """Under 20 earlier bars nothing is held, and nothing breaks; nor in an empty bar."""
    for trades in (SPRING, []):
        found = JUDGES[name](bar_of(trades, 60 * MINUTE_MS), CONTEXT[:5])
        assert found.held is not True
        assert any(one.held is None for one in found.checks)


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_no_look_ahead(name: str) -> None:
    """A bar that isn't earlier is refused; what lies beyond the window changes nothing."""
    with pytest.raises(MergeError):
        JUDGES[name](CONTEXT[10], CONTEXT)


@pytest.mark.parametrize("name", sorted(set(JUDGES) - {"cause"}))
def test_only_the_window_counts(name: str) -> None:
    """Bars older than fifty, and bars without trades, don't matter."""
    older = minutes([[(5_000, 900, True)]] * 3 + [[]])
    newest = [
        bar_of([(t[0], t[1], t[2]) for t in trades], (k + 4) * MINUTE_MS, 100 + 10 * k)
        for k, trades in enumerate([RETEST, STUCK, SPRING, STRENGTH, RETEST] * 10)
    ]
    bar = bar_of(SPRING, 99 * MINUTE_MS, 9_000)
    assert JUDGES[name](bar, [*older, *newest]) == JUDGES[name](bar, newest)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("selling", "buying"),
        ("spring", "upthrust"),
        ("strength", "weakness"),
        ("support", "resistance"),
    ],
)
@pytest.mark.parametrize("trades", [CLIMAX, SPRING, STRENGTH, RETEST, STUCK])
def test_mirror(one: str, other: str, trades: list[Trade]) -> None:
    """What is evidence below is evidence above when the market is turned upside down."""
    found = JUDGES[one](next_bar(trades), CONTEXT)
    turned = JUDGES[other](next_bar(mirrored(trades)), upside_down(CONTEXT))
    assert sorted(str(c.held) for c in found.checks) == sorted(str(c.held) for c in turned.checks)
    assert found.held == turned.held


@given(st.lists(TRADE, min_size=1, max_size=8))
def test_every_check_is_explained(trades: Any) -> None:
    """Whatever the bar, each check has its number, its threshold and a verdict that follows."""
    for judge in JUDGES.values():
        found = judge(next_bar(trades), CONTEXT)
        assert found.context_bars == BARS
        for one in found.checks:
            if one.held is not None:
                assert one.value is not None
                assert one.threshold is not None
        assert set(found.failed) <= {one.name for one in found.checks}


def test_climax() -> None:
    """A flood of sells into the low that was bought; each missing part is named."""
    found = climax(next_bar(CLIMAX), CONTEXT, "selling")
    assert (found.held, found.side) == (True, "sell")
    assert set(climax(next_bar(CLIMAX[:3]), CONTEXT, "selling").failed) == {
        "answer_pct",
        "close_position_pct",
    }
    assert "volume_lots" in climax(next_bar(SPRING), CONTEXT, "selling").failed
    assert climax(next_bar(CLIMAX), CONTEXT, "buying").held is False


def test_merged_venues_leave_the_answer_open() -> None:
    """Two venues together don't know what came after the low: unknown, not false."""
    both = footprint.beside([next_bar(CLIMAX), next_bar(CLIMAX)])
    found = climax(both, CONTEXT, "selling")
    assert found.held is None
    assert {one.name for one in found.checks if one.held is None} == {"answer_pct"}


def test_spring() -> None:
    """Sold below the range, closed back inside, sellers left behind."""
    found = spring(next_bar(SPRING), CONTEXT, "spring")
    assert found.held is True
    assert (found.kind, found.side) == ("spring", "sell")
    assert found.failed == ("trapped_stacks",)
    stays = spring(next_bar(SPRING[:4]), CONTEXT, "spring")
    assert set(stays.failed) >= {"close_ticks", "close_position_pct"}


def test_effort() -> None:
    """Forty lots that move nothing; a jump on one lot."""
    stuck = effort(next_bar(STUCK), CONTEXT, "effort_without_result")
    assert (stuck.held, stuck.side) == (True, "buy")
    jump = effort(next_bar([(100, 1, True), (110, 1, True)]), CONTEXT, "result_without_effort")
    assert jump.held is True
    balanced = [(100, 30, True), (100, 30, False)]
    assert effort(next_bar(balanced), CONTEXT, "effort_without_result").held is None


def test_range_absorption() -> None:
    """Buyers keep buying and price stays; spot against perp is told beside."""
    bars = minutes([[(100, 10, True), (101, 5, True), (100, 4, False)]] * 25)
    current = bar_of([(101, 9, True), (100, 2, False)], 30 * MINUTE_MS, 900)
    found = range_absorption(current, bars)
    assert (found.held, found.side) == (True, "buy")
    assert dict(found.numbers)["cvd_lots"] == 25 * 11 + 7
    against = spot_perp([bars[0].flow], [bar_of([(100, 3, False)]).flow])
    told = range_absorption(current, bars, against)
    assert told.number("spot_perp_diverges") == 1
    trend = minutes([[(100 + k, 10, True)] for k in range(25)])
    assert "net_move_pct" in range_absorption(next_bar([(130, 9, True)]), trend).failed


def test_strength() -> None:
    """Value above the old value, bought."""
    assert strength(next_bar(STRENGTH), CONTEXT, "sign_of_strength").held is True
    sold = [(price, lots, False) for price, lots, _ in STRENGTH]
    assert strength(next_bar(sold), CONTEXT, "sign_of_strength").failed == ("delta_lots",)
    inside = strength(next_bar(STUCK), CONTEXT, "sign_of_strength")
    assert {"poc_row", "overlap_pct"} <= set(inside.failed)


def test_retest() -> None:
    """Back at the POC on little volume, which holds; a given level counts as well."""
    assert retest(next_bar(RETEST), CONTEXT, "support").held is True
    assert retest(next_bar(RETEST), CONTEXT, "support", (90, 91)).failed == ("low_ticks",)
    loud = [(100, 30, True), (100, 29, False)]
    assert retest(next_bar(loud), CONTEXT, "support").failed == ("volume_lots",)


def test_cause() -> None:
    """Thirty minutes of range are a cause with duration and volume; a trend is none."""
    found = cause(next_bar(RETEST), CONTEXT)
    assert found.held is True
    numbers = dict(found.numbers)
    assert numbers["duration_ms"] == (BARS + 1) * MINUTE_MS
    assert numbers["volume_lots"] == sum(bar.flow.volume_lots for bar in CONTEXT) + 4
    trend = minutes([[(100 + 3 * k, 1, True), (102 + 3 * k, 1, True)] for k in range(30)])
    assert "bars" in cause(next_bar([(200, 1, True)]), trend).failed


def test_levels_keep_their_price_on_finer_ticks() -> None:
    """A level is given in ticks of the current bar, whatever the scale of its past."""
    fine = [bar.rescaled(bar.flow.tick_size / 10, bar.flow.lot_size) for bar in CONTEXT]
    found = retest(next_bar(RETEST), fine, "support", (100, 100))
    assert found.held is True
    assert shaped(next_bar(RETEST).flow).close_ticks == 100
