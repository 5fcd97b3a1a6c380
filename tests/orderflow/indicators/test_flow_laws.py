"""What every flow, footprint and impact function owes: the old traps, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from flow_tape import MINUTES, closing, flows, minutes
from hypothesis import given
from six_trades import bar_of

from orderflow import footprint
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import (
    absorption,
    amihud,
    cot,
    cross_venue,
    cvd,
    delta,
    delta_divergence,
    diagonal_imbalance,
    exhaustion,
    flow_ladder,
    kyle,
    large_trades,
    lead_lag,
    premium,
    roll,
    size_class_cvd,
    size_distribution,
    spot_perp,
    stacked_imbalance,
    sweeps,
    trade_intensity,
    trapped_traders,
    unfinished_auction,
)
from orderflow.timeframe import MINUTE_MS

OF_FLOWS: dict[str, Callable[[Sequence[FlowBar]], Any]] = {
    "cvd": cvd.candles,
    "flow_ladder": lambda bars: flow_ladder.flow_ladder(bars, 20 * MINUTE_MS),
    "trade_intensity": lambda bars: trade_intensity.trade_intensity(bars, 20 * MINUTE_MS),
    "spot_perp": lambda bars: spot_perp.spot_perp(bars, bars),
    "lead_lag": lambda bars: lead_lag.lead_lag(bars, bars),
    "cross_venue": lambda bars: cross_venue.disagreement({"a": bars, "b": bars}),
    "delta_divergence": delta_divergence.delta_divergences,
    "kyle": kyle.kyle,
    "roll": roll.roll,
    "amihud": amihud.amihud,
    "absorption": absorption.thresholds,
}
OF_FOOTPRINTS: dict[str, Callable[[Sequence[FootprintBar]], Any]] = {
    "unfinished_auction": unfinished_auction.unfinished_ledger,
    "size_class_cvd": lambda bars: size_class_cvd.size_class_cvd(bars, least_prints=1),
}
OF_A_BAR: dict[str, Callable[[FootprintBar], Any]] = {
    "delta": lambda bar: delta.delta(bar.flow),
    "cot": lambda bar: cot.cot(bar.flow),
    "sweeps": lambda bar: sweeps.sweeps(bar.flow),
    "premium": lambda bar: premium.premium(bar.flow, bar.flow),
    "size_distribution": size_distribution.size_distribution,
    "large_trades": lambda bar: large_trades.large_trades(bar, []),
    "diagonal_imbalance": lambda bar: diagonal_imbalance.diagonal_imbalances(bar.rows),
    "stacked_imbalance": lambda bar: stacked_imbalance.stacked_imbalances(
        diagonal_imbalance.diagonal_imbalances(bar.rows)
    ),
    "absorption": lambda bar: absorption.absorption_at_extreme(bar),
    "exhaustion": lambda bar: [exhaustion.exhaustion(bar, side) for side in ("buy", "sell")],
    "trapped_traders": trapped_traders.trapped_traders,
}


@pytest.mark.parametrize("name", sorted(OF_FLOWS))
def test_no_bars(name: str) -> None:
    """Nothing given is nothing found, and no error; nor are empty bars one."""
    OF_FLOWS[name]([])
    OF_FLOWS[name](flows([[], []]))


@pytest.mark.parametrize("name", sorted(OF_FLOWS | OF_FOOTPRINTS))
def test_defect_a_bar_counts_once(name: str) -> None:
    """Defect 4: the same window applied twice was counted twice. Here a bar given twice fails."""
    bars = minutes([[(5, 2, True)], [(6, 1, False)]])
    found: Callable[[Any], Any] = (OF_FLOWS | OF_FOOTPRINTS)[name]
    twice: list[Any] = [bars[0], bars[0]] if name in OF_FOOTPRINTS else [bars[0].flow] * 2
    with pytest.raises(MergeError, match="each bar once"):
        found(twice)


@pytest.mark.parametrize("name", sorted(OF_FLOWS))
def test_same_input_same_answer(name: str) -> None:
    """Nothing is carried over from one call to the next."""
    bars = closing(5, 7, 6, 9, 4, 8, deltas=[1, 2, -1, 4, -5, 3])
    assert OF_FLOWS[name](bars) == OF_FLOWS[name](bars)


@pytest.mark.parametrize("name", sorted(OF_A_BAR))
def test_defect_one_price(name: str) -> None:
    """Defect 3: a window of one price was an empty distribution. Every function takes it."""
    OF_A_BAR[name](bar_of([(7, 2, True), (7, 3, False)]))
    OF_A_BAR[name](bar_of([]))


@given(MINUTES)
def test_finer_steps_say_the_same(tape: Any) -> None:
    """Counted in finer ticks and lots a footprint has the same imbalances and auctions."""
    for bar in minutes(tape):
        fine = bar.rescaled(Decimal("0.5"), Decimal("0.1"))
        one, other = (diagonal_imbalance.diagonal_imbalances(b.rows) for b in (bar, fine))
        assert [(i.row, i.side, 10 * i.own_lots) for i in one] == [
            (i.row, i.side, i.own_lots) for i in other
        ]
        trapped = [trapped_traders.trapped_traders(b) for b in (bar, fine)]
        assert [t.low_row for t in trapped[0]] == [t.low_row for t in trapped[1]]


@given(MINUTES, MINUTES)
def test_venues_in_any_order(a: Any, b: Any) -> None:
    """Streams side by side give the same answers whichever is named first."""
    one, other = (footprint.then(minutes(tape)) for tape in (a, b))
    for name, function in OF_A_BAR.items():
        left, right = footprint.beside([one, other]), footprint.beside([other, one])
        assert function(left) == function(right), name


@given(MINUTES)
def test_minutes_add_up(tape: Any) -> None:
    """What a long bar says is what its trades say when they are applied at once."""
    trades = [trade for one in tape for trade in one]
    direct, merged = bar_of(trades), footprint.then(minutes(tape))
    for name in sorted(set(OF_A_BAR) - {"large_trades", "sweeps", "exhaustion", "absorption"}):
        assert OF_A_BAR[name](direct) == OF_A_BAR[name](merged), name
    for side in ("buy", "sell"):
        found = [exhaustion.exhaustion(bar, side).checks for bar in (direct, merged)]
        assert found[0] == found[1]


def test_defect_newest_not_oldest() -> None:
    """Defect 6: the hundred oldest trades were read as the newest."""
    bars = closing(*range(1, 101), deltas=[1 + k % 7 for k in range(100)])
    assert roll.roll(bars, window=10) == roll.roll(bars[-10:])
    assert amihud.amihud(bars, window=10) == amihud.amihud(bars[-10:])
    ladder = flow_ladder.flow_ladder(bars, 100 * MINUTE_MS)
    assert ladder.rungs[0].delta_lots == bars[-1].delta_lots


def test_defect_cumulative_is_no_rolling_sum() -> None:
    """OrderflowChart's cumulative delta forgets after ten bars; CVD counts from its anchor."""
    bars = closing(*[5] * 15, deltas=[1] * 15)
    assert cvd.candles(bars)[-1].close_lots == 15
